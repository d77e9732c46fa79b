//! Loopback addresses that nobody else uses.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// Whoever listens on this port of a loopback address has the whole address. Below the range from which the system gives ports to
/// clients, so that none of them gets it by chance.
const CLAIM_PORT: u16 = 20_559;

/// An address of 127.0.0.0/8 that is ours as long as this value lives: no other scenario, in this process or another, has it.
#[derive(Debug)]
pub struct Address {
    ip: Ipv4Addr,
    given: BTreeSet<u16>,
    _claim: TcpListener,
}

impl Address {
    /// Claims an address.
    pub fn claim() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            // Processes begin at different places, so that they seldom meet. All of 127.64.0.0/10.
            let number = std::process::id()
                .wrapping_mul(977)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let ip = Ipv4Addr::from(0x7f40_0000 | (number & 0x003f_ffff));
            if ip.octets()[3] == 0 || ip.octets()[3] == 255 {
                continue;
            }
            if let Ok(claim) = TcpListener::bind((ip, CLAIM_PORT)) {
                return Self {
                    ip,
                    given: BTreeSet::new(),
                    _claim: claim,
                };
            }
        }
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// A port on which nobody listens, another one each time.
    pub fn port(&mut self) -> u16 {
        loop {
            let probe = TcpListener::bind((self.ip, 0)).expect("a free port");
            let port = probe
                .local_addr()
                .expect("the address of a listener")
                .port();
            if self.given.insert(port) {
                return port;
            }
        }
    }

    /// A socket address on which nobody listens.
    pub fn socket(&mut self) -> SocketAddr {
        (self.ip, self.port()).into()
    }
}
