//! What the store of the control plane tells.

use std::sync::Arc;

use trellis_control_plane::{Listener, store::StoreError};

use crate::telemetry::{
    Telemetry,
    events::{StoreEntryUnreadable, StoreFailed},
};

/// Makes events of what the store tells.
#[derive(Debug)]
pub struct StoreWatch {
    telemetry: Arc<Telemetry>,
}

impl StoreWatch {
    /// One that tells this telemetry.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry }
    }
}

impl Listener for StoreWatch {
    fn changed(&self) {}

    fn unreadable(&self, what: &str) {
        self.telemetry.emit(&StoreEntryUnreadable { what });
    }

    fn failed(&self, error: &StoreError) {
        self.telemetry.emit(&StoreFailed { error });
    }
}
