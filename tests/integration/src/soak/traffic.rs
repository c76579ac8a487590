//! What pods do to each other all day.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use caracal_lab::{Node, Pod, PodOptions, Process, Site};
use serde_json::json;

use crate::{Cluster, Connection};

/// As many errors are kept as anybody reads.
const KEPT: usize = 20;
/// Bytes of a connection that is no short one, in turn.
const SIZES: [usize; 4] = [1, 1500, 64 << 10, 4 << 20];
/// Short connections to each address in a round.
const SHORT: usize = 10;
/// What servers listen on.
const PORT: u16 = 80;
/// The node's port that leads there.
const HOST_PORT: u16 = 8080;

/// Pods that talk, and how often.
pub(super) struct Traffic<'a> {
    cluster: &'a Cluster,
    /// On the first node.
    client: Pod,
    /// Whom it talks to: on its own node, on the other, outside.
    others: Vec<IpAddr>,
    /// By which somebody outside reaches a pod, by a port of the node's.
    nodes: Vec<IpAddr>,
    pods: Vec<Pod>,
    servers: Vec<Process>,
    rounds: usize,
    errors: Vec<String>,
    failed: usize,
}

impl<'a> Traffic<'a> {
    /// Makes the pods and their servers.
    pub(super) fn start(cluster: &'a Cluster) -> Result<Self> {
        let client = cluster.node("n1").pod("client")?;
        let pods = vec![mapped(cluster.node("n1"), "near")?, cluster.node("n2").pod("far")?];
        let outside = cluster.client("outside");
        let mut servers = vec![serve(outside)?];
        for pod in &pods {
            servers.push(serve(pod)?);
        }
        let addresses = pods.iter().flat_map(Site::addresses).chain(outside.addresses());
        let (others, nodes) = (addresses.copied().collect(), cluster.node("n1").addresses().to_vec());
        Ok(Self { cluster, client, others, nodes, pods, servers, rounds: 0, errors: Vec::new(), failed: 0 })
    }

    /// Everything once. What fails is remembered.
    pub(super) fn round(&mut self) {
        let size = SIZES[self.rounds % SIZES.len()];
        self.rounds += 1;
        for to in self.others.clone() {
            let at = (to, PORT).into();
            self.note("stream", to, stream(&self.client, at, size));
            self.note("short connections", to, short(&self.client, at));
            self.note("reset", to, reset(&self.client, at));
            self.note("datagrams", to, datagrams(&self.client, at));
            self.note("ping", to, self.client.ping(to).map(drop).map_err(Into::into));
        }
        let outside = self.cluster.client("outside");
        for to in self.nodes.clone() {
            let at = (to, HOST_PORT).into();
            self.note("a stream from outside", to, stream(outside, at, size));
            self.note("short connections from outside", to, short(outside, at));
            self.note("datagrams from outside", to, datagrams(outside, at));
        }
        let passing = self.passing_pod();
        self.note("a pod that comes and goes", self.client.ip4().into(), passing);
    }

    /// A pod that talks and is deleted while others would talk to it.
    fn passing_pod(&self) -> Result<()> {
        let node = self.cluster.node(if self.rounds.is_multiple_of(2) { "n1" } else { "n2" });
        let pod = node.pod("passing")?;
        let server = serve(&pod)?;
        for to in pod.addresses() {
            Connection::open(&self.client, (*to, PORT))?.echo(b"here")?;
            self.client.datagrams((*to, PORT))?.echo(b"here")?;
        }
        pod.datagrams((self.others[0], PORT))?.echo(b"and there")?;
        drop(server);
        pod.delete()
    }

    fn note(&mut self, what: &str, to: IpAddr, done: Result<()>) {
        if let Err(error) = done {
            self.failed += 1;
            if self.errors.len() < KEPT {
                self.errors.push(format!("round {}: {what}, {to}: {error:#}", self.rounds));
            }
        }
    }

    /// What has failed, the first of it.
    pub(super) fn errors(&self) -> &[String] {
        &self.errors
    }
}

impl fmt::Display for Traffic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, failed, pods, servers, .. } = self;
        write!(f, "{rounds} rounds, {failed} failures, {} pods, {} servers", pods.len() + 1, servers.len())
    }
}

/// An echo server.
fn serve(site: &impl Site) -> Result<Process> {
    site.serve(&[&format!("tcp/{PORT}"), &format!("udp/{PORT}")])
}

/// A pod that a port of its node leads to.
fn mapped(node: &Node, name: &str) -> Result<Pod> {
    let mapping = |protocol| json!({ "hostPort": HOST_PORT, "containerPort": PORT, "protocol": protocol });
    let mut options = PodOptions::default();
    options.capabilities.insert("portMappings".to_owned(), json!([mapping("tcp"), mapping("udp")]));
    node.pod_with(name, &options)
}

fn stream(from: &impl Site, to: SocketAddr, bytes: usize) -> Result<()> {
    let mut connection = Connection::open(from, to)?;
    connection.transfer(bytes)?;
    connection.finish()
}

fn short(from: &impl Site, to: SocketAddr) -> Result<()> {
    (0..SHORT).try_for_each(|_| {
        let mut connection = Connection::open(from, to)?;
        connection.echo(b"question")?;
        connection.finish()
    })
}

fn reset(from: &impl Site, to: SocketAddr) -> Result<()> {
    let mut connection = Connection::open(from, to)?;
    connection.echo(b"question")?;
    connection.reset()
}

/// The last one comes in fragments.
fn datagrams(from: &impl Site, to: SocketAddr) -> Result<()> {
    let socket = from.datagrams(to)?;
    for bytes in [1, 1200, 4000] {
        socket.echo(&vec![7; bytes]).with_context(|| format!("{bytes} bytes"))?;
    }
    Ok(())
}
