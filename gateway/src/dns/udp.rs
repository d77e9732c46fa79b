//! Questions in datagrams.

use std::{sync::Arc, time::Duration};

use tokio::{net::UdpSocket, sync::watch, task::JoinSet};

use super::{
    query::Transport,
    server::{Core, Step},
};

/// Larger datagrams are cut and then found malformed; a question takes a few hundred bytes at most.
const LARGEST_QUESTION: usize = 4096;
/// Pause after a failure of the socket, so that a lasting one does not keep a core busy.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until told to stop, then waits for what is being forwarded.
pub(super) async fn serve(socket: UdpSocket, core: Arc<Core>, mut stopped: watch::Receiver<bool>) {
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let socket = Arc::new(socket);
    let mut forwarding = JoinSet::new();
    let mut buffer = vec![0; LARGEST_QUESTION];
    loop {
        // A datagram not yet received stays in the socket; a finished task only leaves its place.
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            Some(_) = forwarding.join_next() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        let (length, client) = match received {
            Ok(received) => received,
            Err(error) => {
                core.observer.failed(local, &error);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Nobody can receive on port zero; such a question is forged.
        let Some(bytes) = buffer.get(..length).filter(|_| client.port() != 0) else {
            continue;
        };
        match core.handle(bytes, Transport::Udp, client, local.ip()) {
            Step::Silence => {}
            // Whether the client still listens is its own affair.
            Step::Send(answer) => drop(socket.send_to(&answer, client).await),
            Step::Forward(question) => {
                let (core, socket) = (Arc::clone(&core), Arc::clone(&socket));
                forwarding.spawn(async move {
                    if let Some(answer) = core.forward(question).await {
                        let _ = socket.send_to(&answer, client).await;
                    }
                });
            }
        }
    }
    forwarding.join_all().await;
}
