//! What the cluster says, as plain structs with indexes.
//!
//! Sources tell changes; everybody else computes from what is here. A change costs what it touches, and one that says
//! what is known already touches nothing.

pub mod change;
mod kind;
mod name;
mod node;
mod pod;
mod protocol;
mod standing;
mod stock;

use serde::Serialize;

use self::stock::Put;
pub use self::{
    change::{Body, Change, Object, Origin},
    kind::Kind,
    name::{Labels, Name, Names, Text},
    node::{Namespace, Node},
    pod::{Limits, NamedPort, Pod, Pods, Sources, Wishes},
    protocol::Protocol,
    standing::Standing,
    stock::Stock,
};

/// Everything the agent knows about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Model {
    /// How much is known.
    pub standing: Standing,
    /// Nodes.
    pub nodes: Stock<Node>,
    /// Namespaces.
    pub namespaces: Stock<Namespace>,
    /// Pods.
    pub pods: Pods,
}

/// An object that is not as it was.
pub type Touched = (Kind, Name);

impl Model {
    /// Applies a change. What is returned has changed, or is gone.
    pub fn apply(&mut self, change: Change) -> Vec<Touched> {
        match change {
            Change::Begin(kind) => self.standing.begin(kind),
            Change::Put(object) => {
                self.standing.seen(object.kind(), &object.name);
                self.standing.read(&Origin::Object(object.kind(), object.name.clone()));
                return self.put(object);
            }
            Change::Gone(kind, name) => {
                self.standing.read(&Origin::Object(kind, name.clone()));
                return self.remove(kind, &name);
            }
            Change::Whole(kind) => {
                let Some(seen) = self.standing.whole(kind) else { return Vec::new() };
                let gone: Vec<Name> = self.names(kind).filter(|name| !seen.contains(name)).cloned().collect();
                return gone.iter().flat_map(|name| self.remove(kind, name)).collect();
            }
            Change::Unread(origin, error) => self.standing.unreadable(origin, error),
            Change::Read(origin) => self.standing.read(&origin),
        }
        Vec::new()
    }

    fn put(&mut self, Object { name, body }: Object) -> Vec<Touched> {
        let kind = body.kind();
        let is_changed = match &body {
            Body::Node(node) => matches!(self.nodes.put(&name, node), Put::Changed(_)),
            Body::Namespace(namespace) => matches!(self.namespaces.put(&name, namespace), Put::Changed(_)),
            Body::Pod(pod) => self.pods.put(&name, pod),
        };
        if is_changed { vec![(kind, name)] } else { Vec::new() }
    }

    fn remove(&mut self, kind: Kind, name: &Name) -> Vec<Touched> {
        let was_there = match kind {
            Kind::Node => self.nodes.remove(name).is_some(),
            Kind::Namespace => self.namespaces.remove(name).is_some(),
            Kind::Pod => self.pods.remove(name),
        };
        if was_there { vec![(kind, name.clone())] } else { Vec::new() }
    }

    fn names(&self, kind: Kind) -> Box<dyn Iterator<Item = &Name> + '_> {
        match kind {
            Kind::Node => Box::new(self.nodes.names()),
            Kind::Namespace => Box::new(self.namespaces.names()),
            Kind::Pod => Box::new(self.pods.by_name().names()),
        }
    }
}

#[cfg(test)]
mod tests;
