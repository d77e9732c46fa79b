//! Questions over TCP: each message behind its length, one after the other.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{
    query::Transport,
    server::{Core, Step},
};

/// Connections at once on one address; further ones are closed.
const CONNECTIONS: usize = 512;
/// Connections at once of one client, so that nobody takes all of them.
const PER_CLIENT: usize = 32;
/// Longest wait for a whole question, and for the client to take an answer.
const IDLE: Duration = Duration::from_secs(10);
/// Pause after a failure to accept: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until told to stop, then waits for the answers that are under way.
pub(super) async fn serve(
    listener: TcpListener,
    core: Arc<Core>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let guests = Arc::new(Guests::default());
    let mut connections = JoinSet::new();
    loop {
        // A connection not yet accepted waits in the system; a finished task only leaves its place.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, client)) => {
                if let Some(guest) = Guests::admit(&guests, client.ip()) {
                    let (core, stopped) = (Arc::clone(&core), stopped.clone());
                    connections.spawn(converse(stream, client, core, stopped, guest));
                }
            }
            Err(error) => {
                core.observer.failed(address, &error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.join_all().await;
}

/// One connection, until the client leaves, is silent for too long, sends what is no question, or we stop.
async fn converse(
    mut stream: TcpStream,
    client: SocketAddr,
    core: Arc<Core>,
    mut stopped: watch::Receiver<bool>,
    _guest: Guest,
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    loop {
        // A question half read is lost when we stop; its client sees the connection close and asks again.
        let received = tokio::select! {
            received = timeout(IDLE, receive(&mut stream)) => received,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok(Ok(bytes)) = received else { return };
        let answer = match core.handle(&bytes, Transport::Tcp, client, local.ip()) {
            Step::Silence => return,
            Step::Send(answer) => Some(answer),
            Step::Forward(question) => core.forward(question).await,
        };
        let Some(answer) = answer else { return };
        match timeout(IDLE, send(&mut stream, &answer)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

/// Reads one message. Spec: RFC 1035 §4.2.2.
pub(crate) async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Writes one message, its length and itself in one piece.
pub(crate) async fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    stream.write_all(&framed).await
}

/// Who is connected, by address.
#[derive(Debug, Default)]
struct Guests(Mutex<(usize, HashMap<IpAddr, usize>)>);

/// A place among the guests, given back when dropped.
#[derive(Debug)]
struct Guest {
    guests: Arc<Guests>,
    client: IpAddr,
}

impl Guests {
    fn admit(guests: &Arc<Self>, client: IpAddr) -> Option<Guest> {
        let mut counts = guests.0.lock();
        let (all, by_client) = &mut *counts;
        let own = by_client.get(&client).copied().unwrap_or_default();
        if *all >= CONNECTIONS || own >= PER_CLIENT {
            return None;
        }
        *all += 1;
        by_client.insert(client, own + 1);
        Some(Guest {
            guests: Arc::clone(guests),
            client,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.0.lock();
        let (all, by_client) = &mut *counts;
        *all = all.saturating_sub(1);
        if let Some(own) = by_client.get_mut(&self.client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}
