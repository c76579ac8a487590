//! The state file, locked from the first look at it until the process ends.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::IpAddr,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

const DIR: &str = "/var/run/azure-vnet";
const LOCK: &str = "/var/run/azure-vnet/azure-vnet.json.lock";
const FILE: &str = "/var/run/azure-vnet.json";

/// What ADD made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Endpoint {
    pub(super) id: String,
    pub(super) container_id: String,
    pub(super) host_ifname: String,
    pub(super) addresses: Vec<IpAddr>,
}

/// All endpoints.
#[derive(Debug)]
pub(super) struct State {
    endpoints: Vec<Endpoint>,
    _lock: File,
}

impl State {
    /// Waits for the lock and reads.
    pub(super) fn lock() -> Result<Self> {
        fs::create_dir_all(DIR).with_context(|| DIR.to_owned())?;
        let lock = File::create(LOCK).with_context(|| LOCK.to_owned())?;
        lock.lock().context("timed out locking store")?;
        let endpoints = match fs::read(FILE) {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            text => serde_json::from_slice(&text.context(FILE)?).context(FILE)?,
        };
        Ok(Self { endpoints, _lock: lock })
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.id == id)
    }

    pub(super) fn of_container(&self, container_id: &str) -> Option<Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.container_id == container_id).cloned()
    }

    pub(super) fn add(&mut self, endpoint: Endpoint) -> Result<()> {
        self.endpoints.push(endpoint);
        self.write()
    }

    pub(super) fn remove(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.endpoints.retain(|other| other.id != endpoint.id);
        self.write()
    }

    fn write(&self) -> Result<()> {
        fs::write(FILE, serde_json::to_vec_pretty(&self.endpoints)?).context(FILE)
    }
}
