//! How the API servers are reached.
//!
//! Never by the service that Caracal itself provides: it would wait for itself. So addresses come, in this order, from
//! the options, from the `ConfigMap` `kubernetes-services-endpoint` that Calico's users have, and from the kubeconfig or
//! the environment; the environment is that `ConfigMap`'s where a `DaemonSet` takes it from there.

mod endpoint;

use std::{env, path::PathBuf, time::Duration};

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

pub use self::endpoint::EndpointError;
use super::Servers;

/// A server that does not take a connection within this is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// What is known about the API servers beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who we are and whom we trust; without one, what a pod's service account has.
    pub kubeconfig: Option<PathBuf>,
    /// Addresses: `https://192.0.2.1:6443`, or a part of that.
    pub servers: Vec<String>,
    /// The `ConfigMap` `kubernetes-services-endpoint`: mounted as a directory, or a file.
    pub services_endpoint: Option<PathBuf>,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {}: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// There is no service account.
    #[error("cannot use the pod's service account: {0}; outside of a pod give --kubeconfig")]
    InCluster(#[from] InClusterError),
    /// Nothing says where the servers are.
    #[error(
        "nothing says where the API server is: give --api-server or --services-endpoint, or set \
         KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT"
    )]
    NoAddress,
    /// An address is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No client can be made.
    #[error("cannot make a client for {address}: {source}")]
    Client {
        /// Of the server.
        address: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

impl Settings {
    /// The servers, not asked anything yet.
    pub async fn servers(&self) -> Result<Servers, ConnectError> {
        let (config, own) = match &self.kubeconfig {
            Some(path) => {
                let config = from_kubeconfig(path).await?;
                let own = config.cluster_url.clone();
                (config, vec![own])
            }
            None => (Config::incluster_dns()?, endpoint::of_environment(|name| env::var(name).ok())?),
        };
        let mut addresses = Vec::new();
        for server in &self.servers {
            addresses.push(endpoint::url(server, None)?);
        }
        if let (true, Some(path)) = (addresses.is_empty(), &self.services_endpoint) {
            addresses = endpoint::read(path)?;
        }
        if addresses.is_empty() {
            addresses = own;
        }
        let clients = addresses.into_iter().map(|address| client(&config, address)).collect::<Result<_, _>>()?;
        Servers::new(clients).ok_or(ConnectError::NoAddress)
    }
}

async fn from_kubeconfig(path: &std::path::Path) -> Result<Config, ConnectError> {
    let wrong = |source| ConnectError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(wrong)
}

/// A client for one server, with its address.
pub(super) fn client(config: &Config, address: http::Uri) -> Result<(String, Client), ConnectError> {
    let text = address.to_string();
    let mut config = config.clone();
    config.cluster_url = address;
    config.connect_timeout = Some(CONNECT);
    // Followers know better how long silence may last, and when to try again.
    (config.read_timeout, config.default_retry) = (None, false);
    match Client::try_from(config) {
        Ok(client) => Ok((text, client)),
        Err(source) => Err(ConnectError::Client { address: text, source: Box::new(source) }),
    }
}
