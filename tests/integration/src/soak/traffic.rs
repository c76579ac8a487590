//! What pods do to each other all day.

use std::{fmt, net::IpAddr};

use anyhow::{Context as _, Result};
use caracal_lab::{Pod, Process, Site};

use crate::{Cluster, Connection};

/// As many errors are kept as anybody reads.
const KEPT: usize = 20;
/// Bytes of a connection that is no short one, in turn.
const SIZES: [usize; 4] = [1, 1500, 64 << 10, 4 << 20];
/// Short connections to each address in a round.
const SHORT: usize = 10;

/// Pods that talk, and how often.
pub(super) struct Traffic<'a> {
    cluster: &'a Cluster,
    /// On the first node.
    client: Pod,
    /// Whom it talks to: on its own node, on the other, outside.
    others: Vec<IpAddr>,
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
        let pods = [("n1", "near"), ("n2", "far")].map(|(node, name)| cluster.node(node).pod(name));
        let pods: Vec<Pod> = pods.into_iter().collect::<Result<_>>()?;
        let outside = cluster.client("outside");
        let listens = ["tcp/80", "udp/53"];
        let mut servers = vec![outside.serve(&listens)?];
        for pod in &pods {
            servers.push(pod.serve(&listens)?);
        }
        let addresses = pods.iter().flat_map(Site::addresses).chain(outside.addresses());
        let others = addresses.copied().collect();
        Ok(Self { cluster, client, others, pods, servers, rounds: 0, errors: Vec::new(), failed: 0 })
    }

    /// Everything once. What fails is remembered.
    pub(super) fn round(&mut self) {
        let size = SIZES[self.rounds % SIZES.len()];
        self.rounds += 1;
        for to in self.others.clone() {
            self.note("stream", to, stream(&self.client, to, size));
            self.note("short connections", to, short(&self.client, to));
            self.note("reset", to, reset(&self.client, to));
            self.note("datagrams", to, datagrams(&self.client, to));
            self.note("ping", to, self.client.ping(to).map(drop).map_err(Into::into));
        }
        let passing = self.passing_pod();
        self.note("a pod that comes and goes", self.client.ip4().into(), passing);
    }

    /// A pod that talks and is deleted while others would talk to it.
    fn passing_pod(&self) -> Result<()> {
        let node = self.cluster.node(if self.rounds.is_multiple_of(2) { "n1" } else { "n2" });
        let pod = node.pod("passing")?;
        let server = pod.serve(&["tcp/80", "udp/53"])?;
        for to in pod.addresses() {
            Connection::open(&self.client, (*to, 80))?.echo(b"here")?;
            self.client.datagrams((*to, 53))?.echo(b"here")?;
        }
        pod.datagrams((self.others[0], 53))?.echo(b"and there")?;
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

fn stream(from: &Pod, to: IpAddr, bytes: usize) -> Result<()> {
    let mut connection = Connection::open(from, (to, 80))?;
    connection.transfer(bytes)?;
    connection.finish()
}

fn short(from: &Pod, to: IpAddr) -> Result<()> {
    (0..SHORT).try_for_each(|_| {
        let mut connection = Connection::open(from, (to, 80))?;
        connection.echo(b"question")?;
        connection.finish()
    })
}

fn reset(from: &Pod, to: IpAddr) -> Result<()> {
    let mut connection = Connection::open(from, (to, 80))?;
    connection.echo(b"question")?;
    connection.reset()
}

/// The last one comes in fragments.
fn datagrams(from: &Pod, to: IpAddr) -> Result<()> {
    let socket = from.datagrams((to, 53))?;
    for bytes in [1, 1200, 4000] {
        socket.echo(&vec![7; bytes]).with_context(|| format!("{bytes} bytes"))?;
    }
    Ok(())
}
