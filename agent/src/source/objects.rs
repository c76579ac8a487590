//! Kubernetes objects as JSON and YAML have them, as far as they are read.
//!
//! One reader for both: what cannot be read is told by field. Lists and maps may be `null`, which is how Go writes those
//! that are empty.

mod bandwidth;
mod calico;
mod metadata;
mod node;
mod pod;
mod policy;
mod prefixes;
mod service;
mod slice;

use serde::{Deserialize, Deserializer};

pub use self::metadata::{Header, Named};
use self::{calico::Calico, metadata::Metadata};
use crate::model::{
    Body, Kind, Name, Names, Object,
    calico::{CalicoPolicySpec, FelixConfiguration, HostEndpoint, Installation, IpPool, NetworkSet, Tier},
};

/// Where in a spec something is that is not known.
type Unknown = Vec<String>;

/// An object that can be read.
trait Read<'de>: Deserialize<'de> {
    /// What is read of its annotations.
    type Annotations;
    /// Whether what is not known matters.
    const TELLS_UNKNOWN: bool = false;

    /// Which API it is of, where that makes a difference.
    fn api_version(&self) -> Option<&str> {
        None
    }

    /// What it says about itself.
    fn metadata(&self) -> &Metadata<Self::Annotations>;

    /// What it says, as the model has it.
    fn body(self, kind: Kind, names: &mut Names, unknown: Unknown) -> Body;
}

/// Reads an object of a kind.
pub fn read<'de, D: Deserializer<'de>>(kind: Kind, from: D, names: &mut Names) -> Result<Object, D::Error> {
    match kind {
        Kind::Node => object::<node::Node, D>(kind, from, names),
        Kind::Namespace => object::<node::Namespace, D>(kind, from, names),
        Kind::Pod => object::<pod::Pod, D>(kind, from, names),
        Kind::Service => object::<service::Service, D>(kind, from, names),
        Kind::EndpointSlice => object::<slice::EndpointSlice, D>(kind, from, names),
        Kind::ServiceCidr => object::<service::ServiceCidr, D>(kind, from, names),
        Kind::NetworkPolicy => object::<policy::NetworkPolicy, D>(kind, from, names),
        Kind::ClusterNetworkPolicy => object::<policy::ClusterNetworkPolicy, D>(kind, from, names),
        Kind::CalicoNetworkPolicy | Kind::GlobalNetworkPolicy => {
            object::<Calico<CalicoPolicySpec>, D>(kind, from, names)
        }
        Kind::NetworkSet | Kind::GlobalNetworkSet => object::<Calico<NetworkSet>, D>(kind, from, names),
        Kind::Tier => object::<Calico<Tier>, D>(kind, from, names),
        Kind::HostEndpoint => object::<Calico<HostEndpoint>, D>(kind, from, names),
        Kind::IpPool => object::<Calico<IpPool>, D>(kind, from, names),
        Kind::FelixConfiguration => object::<Calico<FelixConfiguration>, D>(kind, from, names),
        Kind::Installation => object::<Calico<Installation>, D>(kind, from, names),
    }
}

fn object<'de, T: Read<'de>, D: Deserializer<'de>>(kind: Kind, from: D, names: &mut Names) -> Result<Object, D::Error> {
    let mut unknown = Unknown::new();
    let object = if T::TELLS_UNKNOWN {
        T::deserialize(serde_ignored::Deserializer::new(from, &mut |path| unknown.push(path.to_string())))?
    } else {
        T::deserialize(from)?
    };
    // Question marks are where something may be left out.
    let unknown = unknown.into_iter().map(|path| path.replace(".?", "")).filter(|path| path.starts_with("spec"));
    let name = object.metadata().name(kind, object.api_version(), names);
    Ok(Object { name, body: object.body(kind, names, unknown.collect()) })
}

/// Reads an object of a kind out of JSON; the error names the field.
pub fn read_json(kind: Kind, json: &str, names: &mut Names) -> Result<Object, String> {
    let mut json = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    read(kind, tracked, names).map_err(|error| match track.path().to_string().as_str() {
        "." => without_place(&error.to_string()).to_owned(),
        path => format!("{path}: {}", without_place(&error.to_string())),
    })
}

/// The name of an object of which nothing else can be read.
pub fn name_json(kind: Kind, json: &str) -> Option<Name> {
    let named: Named = serde_json::from_str(json).ok()?;
    Some(named.name(kind, &mut Names::default()))
}

/// Parsers count lines and columns from the beginning of what they were given, which helps nobody.
pub fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(what, _)| what)
}

#[cfg(test)]
mod tests;
