//! What the store of the control plane tells.

use std::sync::Arc;

use trellis_control_plane::{Listener, store::StoreError};

use crate::{
    server::Bell,
    telemetry::{
        Telemetry,
        events::{StoreEntryUnreadable, StoreFailed},
    },
};

/// Makes events of what the store tells, and tells the main thread of changes.
#[derive(Debug)]
pub struct StoreWatch {
    telemetry: Arc<Telemetry>,
    bell: Bell,
}

impl StoreWatch {
    /// One that tells this telemetry, and rings this bell.
    pub fn new(telemetry: Arc<Telemetry>, bell: Bell) -> Self {
        Self { telemetry, bell }
    }
}

impl Listener for StoreWatch {
    fn changed(&self) {
        self.bell.ring();
    }

    fn unreadable(&self, what: &str) {
        self.telemetry.emit(&StoreEntryUnreadable { what });
    }

    fn failed(&self, error: &StoreError) {
        self.telemetry.emit(&StoreFailed { error });
    }
}
