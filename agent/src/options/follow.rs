//! Whom the agent follows.

use std::path::PathBuf;

use clap::Args;

use crate::source::kubernetes::Settings;

/// Where the cluster's objects come from.
#[derive(Args, Clone, Debug, Default)]
pub struct Follow {
    /// Directory of Kubernetes YAML files to follow.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["kubernetes", "kubeconfig"])]
    pub manifests: Option<PathBuf>,

    /// Follow the Kubernetes API, as the service account of the pod that this runs in.
    #[arg(long, conflicts_with = "manifests")]
    pub kubernetes: bool,

    /// Follow the Kubernetes API, as this file says.
    #[arg(long, value_name = "FILE", conflicts_with = "manifests")]
    pub kubeconfig: Option<PathBuf>,

    /// Address of an API server, such as `https://192.0.2.1:6443`, instead of those that are known otherwise; may be given
    /// several times: when one does not answer, the next is asked.
    #[arg(long = "api-server", value_name = "URL", value_delimiter = ',', conflicts_with = "manifests")]
    pub api_servers: Vec<String>,

    /// The `ConfigMap` kubernetes-services-endpoint with `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: a directory it
    /// is mounted as, or a file of NAME=value lines.
    #[arg(long, value_name = "PATH", conflicts_with = "manifests")]
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
