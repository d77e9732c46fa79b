//! What was created through the API, beside what files declare.

use std::{sync::Arc, time::SystemTime};

use trellis_control_plane::ControlPlane;
use trellis_model::{config::Config, problem::Problems};

use crate::server::Overlay;

/// The resources of a control plane, for the data plane to run.
#[derive(Debug)]
pub struct Resources(Arc<ControlPlane>);

impl Resources {
    /// Those of this control plane.
    pub fn of(plane: &Arc<ControlPlane>) -> Self {
        Self(Arc::clone(plane))
    }
}

impl Overlay for Resources {
    fn over(&self, files: &Arc<Config>) -> Result<Arc<Config>, Problems> {
        Ok(self.0.configuration(files, SystemTime::now()))
    }
}
