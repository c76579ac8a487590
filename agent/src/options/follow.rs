//! Whom the agent follows.

use std::path::PathBuf;

use anyhow::ensure;

use crate::{Options, source::kubernetes::Settings};

/// Where the cluster's objects come from.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// A directory of Kubernetes YAML; otherwise the Kubernetes API.
    pub manifests: Option<PathBuf>,
    /// What says how API servers are reached, if not the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// API servers, instead of those that are known otherwise.
    pub api_servers: Vec<String>,
    /// Where else they may be written down.
    pub services_endpoint: Option<PathBuf>,
}

impl Follow {
    /// How API servers are reached.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            kubeconfig: self.kubeconfig.clone(),
            servers: self.api_servers.clone(),
            services_endpoint: self.services_endpoint.clone(),
        }
    }
}

impl Options {
    /// Whom to follow. Fails if nothing says whom, or two things do.
    pub fn follow(&self) -> anyhow::Result<Follow> {
        let asks_api = self.kubernetes || self.kubeconfig.is_some();
        ensure!(
            asks_api || self.manifests.is_some(),
            "nothing says what to follow: give --manifests, --kubernetes or --kubeconfig"
        );
        Ok(Follow {
            manifests: self.manifests.clone(),
            kubeconfig: self.kubeconfig.clone(),
            api_servers: self.api_servers.clone(),
            services_endpoint: self.services_endpoint.clone(),
        })
    }
}
