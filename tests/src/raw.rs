//! Clients that write bytes of their own.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::wait::within;

/// A TCP connection whose bytes the scenario writes and reads itself.
#[derive(Debug)]
pub struct Raw {
    /// The socket.
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    /// Over this socket.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("room to send", self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the other side still reads");
    }

    /// Sends these bytes, if the other side still reads.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        within("room to send", self.stream.write_all(bytes.as_ref())).await
    }

    /// Reads until `end` has come, and gives everything up to there.
    pub async fn read_until(&mut self, end: &str) -> String {
        let what = format!("{end:?}");
        within(&what, async {
            loop {
                let position = self
                    .read
                    .windows(end.len())
                    .position(|window| window == end.as_bytes());
                if let Some(position) = position {
                    let found: Vec<u8> = self.read.drain(..position + end.len()).collect();
                    return String::from_utf8_lossy(&found).into_owned();
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap_or(0);
                let so_far = String::from_utf8_lossy(&self.read);
                assert!(count > 0, "closed before {end:?}, after {so_far:?}");
            }
        })
        .await
    }

    /// Reads the head of a message, without its empty line.
    pub async fn read_head(&mut self) -> String {
        let head = self.read_until("\r\n\r\n").await;
        head.trim_end().to_owned()
    }

    /// Reads so many bytes.
    pub async fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        let read = within("bytes", self.try_read_exactly(count)).await;
        read.unwrap_or_else(|| panic!("closed after {} of {count} bytes", self.read.len()))
    }

    /// Reads so many bytes, however long they take; none when the connection ends before.
    pub async fn try_read_exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(self.read.drain(..count).collect())
    }

    /// Reads to the end of the connection, whether it was closed or reset.
    pub async fn read_to_end(&mut self) -> String {
        within("the end of the connection", async {
            while let Ok(count) = self.stream.read_buf(&mut self.read).await {
                if count == 0 {
                    break;
                }
            }
            String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
        })
        .await
    }

    /// Ends our direction; the other still works.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("an open connection");
    }

    /// Closes so that the other side sees a reset.
    pub fn reset(self) {
        self.stream
            .set_zero_linger()
            .expect("an option that every system has");
    }
}
