//! Listening sockets: one per worker on the same address, so that the kernel spreads connections.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds until a worker accepts them.
const BACKLOG: i32 = 4096;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub cause: io::Error,
}

/// Finds out whether anybody listens on `address`.
///
/// Asked without `SO_REUSEPORT`: with it the kernel would let us share a port with another process of the same user without a word.
pub(super) fn free(address: SocketAddr) -> Result<(), BindError> {
    listen(address, false)
        .map(drop)
        .map_err(|cause| BindError { address, cause })
}

/// Binds `count` sockets to `address`, which was found to be free, or to be shared with sockets of our own only.
pub(super) fn bind(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, BindError> {
    (0..count)
        .map(|_| listen(address, true))
        .collect::<io::Result<_>>()
        .map_err(|cause| BindError { address, cause })
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Inherited by accepted sockets: answers leave at once, and a client that vanished is noticed.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
