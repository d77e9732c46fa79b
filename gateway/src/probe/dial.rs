//! Opening connections to targets inside the VPC they live in.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use tokio::net::TcpStream;
use trellis_model::id::VpcId;

/// Opens connections inside a VPC.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// A connection to `address` as it is understood inside `vpc`.
    async fn dial(&self, vpc: &VpcId, address: SocketAddr) -> io::Result<TcpStream>;
}

/// Takes every VPC to be the gateway's own network: the addresses of different VPCs do not overlap.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnNetwork;

#[async_trait]
impl Dialer for OwnNetwork {
    async fn dial(&self, _vpc: &VpcId, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
