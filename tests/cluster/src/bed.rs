//! A test bed: a node for an agent, an API server, and an account with the rights that we ship.

use anyhow::Result;
use caracal_lab::{Lab, Node, NodeSpec};

use crate::{account::Account, agent::Agent, api::Api, control_plane::ControlPlane, crds::Kinds, proxy::Proxy};

/// What is installed for an agent.
pub const RBAC: &str = include_str!("../../../install/rbac.yaml");

/// A node called `n1` and an API server.
#[derive(Debug)]
pub struct Bed {
    account: Account,
    control: ControlPlane,
    lab: Lab,
}

impl Bed {
    /// Makes one. The API server knows these kinds besides its own.
    pub fn start(name: &str, kinds: &[Kinds]) -> Result<Self> {
        Self::start_with(name, kinds, &[])
    }

    /// The same, with more flags for every API server.
    pub fn start_with(name: &str, kinds: &[Kinds], flags: &[&str]) -> Result<Self> {
        let lab = Lab::builder(name).node(NodeSpec::new("n1")).client("control").start()?;
        let control = ControlPlane::start_with(lab.client("control"), flags)?;
        control.api().install(kinds)?;
        let account = Account::create(control.api(), RBAC)?;
        Ok(Self { account, control, lab })
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.lab.node("n1")
    }

    /// The API servers.
    #[must_use]
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// The same, to be killed.
    pub fn control_mut(&mut self) -> &mut ControlPlane {
        &mut self.control
    }

    /// A client that may do everything.
    #[must_use]
    pub fn api(&self) -> &Api {
        self.control.api()
    }

    /// Who the agent is.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Starts an agent that follows the first API server.
    pub fn follow(&self) -> Result<Agent> {
        self.follow_at(&[])
    }

    /// Starts an agent that follows the first API server by a line that can be made bad.
    pub fn follow_by(&self, line: &Proxy) -> Result<Agent> {
        self.follow_at(&[self.control.url_by(line)])
    }

    /// Starts an agent that follows one of these.
    pub fn follow_at(&self, urls: &[String]) -> Result<Agent> {
        let kubeconfig = self.control.kubeconfig(&self.control.url(0), &self.account.token)?;
        Agent::follow(self.node(), &kubeconfig, urls)
    }

    /// Starts an agent that knows no API server, but a directory with this file.
    pub fn read(&self, manifests: &str) -> Result<Agent> {
        Agent::read(self.node(), manifests)
    }

    /// Ends it, and fails unless nothing is left.
    pub fn end(self) -> Result<()> {
        let Self { account: _, control, lab } = self;
        control.stop()?;
        lab.end()
    }
}
