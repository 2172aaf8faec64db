//! How the kubelet finds the driver: it watches a directory for sockets and asks who is there.

use std::path::PathBuf;

use dlf_wire::pluginregistration::registration_server::Registration;
use dlf_wire::pluginregistration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::layout::DRIVER_NAME;

/// Versions of CSI by whose rules the driver plays.
const CSI_VERSIONS: [&str; 1] = ["1.0.0"];

/// The registration service.
#[derive(Debug)]
pub struct RegistrationService {
    endpoint: PathBuf,
    registered: watch::Sender<bool>,
}

impl RegistrationService {
    /// Sends the kubelet to `endpoint`, and notes what it says to that.
    #[must_use]
    pub fn new(endpoint: PathBuf, registered: watch::Sender<bool>) -> Self {
        Self {
            endpoint,
            registered,
        }
    }
}

#[tonic::async_trait]
impl Registration for RegistrationService {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER_NAME.to_owned(),
            endpoint: self.endpoint.display().to_string(),
            supported_versions: CSI_VERSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if status.plugin_registered {
            tracing::info!("registered with the kubelet");
        } else {
            // The kubelet tries again by itself.
            tracing::error!(
                error = status.error,
                "the kubelet does not register this driver"
            );
        }
        self.registered.send_replace(status.plugin_registered);
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
