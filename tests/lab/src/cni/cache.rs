//! The runtime's memory: the result of each ADD, where libcni has it too and in its format, without the fields that
//! only libcni itself reads back.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attachment, Error, Network};
use crate::machine::Machine;

const DIR: &str = "/var/lib/cni/results";

/// One file of the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    kind: String,
    pub(super) container_id: String,
    pub(super) if_name: String,
    network_name: String,
    netns: Option<PathBuf>,
    cni_args: Vec<(String, String)>,
    capability_args: Map<String, Value>,
    pub(super) result: Value,
}

impl Entry {
    /// What was attached.
    pub(super) fn attachment(&self) -> Attachment {
        Attachment {
            container_id: self.container_id.clone(),
            netns: self.netns.clone(),
            ifname: self.if_name.clone(),
            args: self.cni_args.clone(),
            capabilities: self.capability_args.clone(),
        }
    }
}

/// Remembers the result of an ADD.
pub(super) fn store(
    machine: &Machine,
    network: &Network,
    attachment: &Attachment,
    result: &Value,
) -> Result<(), Error> {
    let entry = Entry {
        kind: "cniCacheV1".to_owned(),
        container_id: attachment.container_id.clone(),
        if_name: attachment.ifname.clone(),
        network_name: network.name.clone(),
        netns: attachment.netns.clone(),
        cni_args: attachment.args.clone(),
        capability_args: attachment.capabilities.clone(),
        result: result.clone(),
    };
    let path = path(network, attachment);
    let write = || {
        fs::create_dir_all(DIR)?;
        fs::write(&path, serde_json::to_vec(&entry)?)
    };
    machine.inside(write).flatten().map_err(|source| Error::Cache { path: path.clone(), source })
}

/// What an ADD gave, if it was remembered.
pub(super) fn load(machine: &Machine, network: &Network, attachment: &Attachment) -> Result<Option<Value>, Error> {
    let path = path(network, attachment);
    let read = || match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(serde_json::from_slice::<Entry>(&read?)?.result)),
    };
    machine.inside(read).flatten().map_err(|source| Error::Cache { path: path.clone(), source })
}

/// Forgets an ADD.
pub(super) fn forget(machine: &Machine, network: &Network, attachment: &Attachment) -> Result<(), Error> {
    let path = path(network, attachment);
    let remove = || match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    machine.inside(remove).flatten().map_err(|source| Error::Cache { path: path.clone(), source })
}

/// All that is remembered of `network`.
pub(super) fn all(machine: &Machine, network: &Network) -> Result<Vec<Entry>, Error> {
    let read = || {
        let mut entries = Vec::new();
        for file in fs::read_dir(DIR)? {
            let entry: Entry = serde_json::from_slice(&fs::read(file?.path())?)?;
            if entry.network_name == network.name {
                entries.push(entry);
            }
        }
        Ok(entries)
    };
    match machine.inside(read).flatten() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(|source| Error::Cache { path: DIR.into(), source }),
    }
}

fn path(network: &Network, attachment: &Attachment) -> PathBuf {
    PathBuf::from(format!("{DIR}/{}-{}-{}", network.name, attachment.container_id, attachment.ifname))
}
