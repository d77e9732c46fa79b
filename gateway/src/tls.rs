//! TLS towards clients: which certificate answers which name, with which parameters. TLS towards targets is in [`targets`].
//!
//! A [`Terminator`] is made per VPC and snapshot and does the handshakes of that VPC's clients. It asks a [`CertificateFor`],
//! the snapshot's view of that VPC, so a name of another tenant cannot be told from a name that does not exist. There is no
//! fallback certificate: a handshake without a server name, or with one that nobody in the VPC's view has, is refused.
//!
//! Certificates come from files ([`store`]) or from the internal CA ([`ca`]). What must outlive a snapshot, the keys that seal
//! session tickets, is [`Resumption`], one per VPC, so that a session begun in one tenant network is worth nothing in another.
//! Which clients are asked for certificates, and what of that sessions carry on, is settled in [`client`].
//!
//! Source: VPC Lattice user guide, "HTTPS listeners" and "Bring your own certificate (BYOC)".

mod accept;
pub mod ca;
mod cipher;
mod client;
mod leaf;
mod parameters;
pub mod store;
mod targets;
#[cfg(test)]
mod tests;

pub use accept::{HandshakeError, Http, Negotiated, Terminator};
pub use cipher::{cipher_name, version_name};
pub use client::{Authorities, AuthoritiesError, Client, Rejected, Shown, Trust, TrustId};
pub use parameters::{CertificateFor, Resumption, TicketError, provider, server_config};
pub use targets::TargetTls;
