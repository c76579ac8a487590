//! A real Kubernetes API for tests: kube-apiserver and etcd on a machine of a lab, and a client to fill them.
//!
//! ```no_run
//! use caracal_cluster::ControlPlane;
//! use caracal_lab::{Lab, NodeSpec};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::builder("example").node(NodeSpec::new("n1")).client("control").start()?;
//! let control = ControlPlane::start(lab.client("control"))?;
//! control.api().apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")?;
//! # Ok(())
//! # }
//! ```
//!
//! The programs are what `install/kubernetes.sh` builds. They live in the machine's namespaces, their files in its tmpfs:
//! however a test ends, the lab's keeper ends them.

#![deny(unsafe_code)]

mod account;
mod agent;
mod api;
mod bed;
mod control_plane;
mod crds;
mod crowd;
mod object;
mod proxy;
mod runtime;

pub use self::{
    account::{Account, Asked, Right, granted},
    agent::{Agent, Memory},
    api::Api,
    bed::{Bed, RBAC},
    control_plane::ControlPlane,
    crds::Kinds,
    crowd::Crowd,
    object::Object,
    proxy::{Line, PIECE, Proxy},
};
