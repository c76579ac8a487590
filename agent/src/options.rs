//! The command line.

use std::path::PathBuf;

use caracal_datapath::{Root, conntrack::Given};
use clap::Parser;

/// Keeps a node's eBPF maps and routes in step with what the cluster says.
///
/// On SIGTERM or SIGINT it ends and leaves everything it set up in place: pods go on talking without it.
#[derive(Clone, Debug, Parser)]
#[command(name = "caracal-agent", version)]
pub struct Options {
    /// Directory of Kubernetes YAML files to follow (Node objects: routes to other nodes' pods; Pod objects: bandwidth
    /// annotations).
    #[arg(long, value_name = "DIR")]
    pub manifests: PathBuf,

    /// This node's name among the Node objects [default: the host name].
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,

    /// Directory on a bpffs that holds the pinned programs and maps; the file system is mounted if it is not.
    #[arg(long, value_name = "DIR", default_value = Root::DEFAULT)]
    pub bpffs: PathBuf,

    /// Directory for the lock that keeps a second agent away.
    #[arg(long, value_name = "DIR", default_value = "/run/caracal")]
    pub run_dir: PathBuf,

    /// Entries of each table of flows that both sides want (IPv4 and IPv6). An entry takes about 150 bytes of kernel memory,
    /// IPv6 180. The tables of all other flows have a quarter of that, from 16384 to 262144 [default: what is pinned; else
    /// one for each 64 KiB of memory, as a power of two from 65536 to 1048576].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1024..))]
    pub flow_entries: Option<u32>,

    /// For how many seconds flows may be silent, instead of the kernel's defaults: tcp-established=3600,udp=60. There are
    /// tcp-syn-sent, tcp-syn-recv, tcp-established, tcp-unacknowledged, tcp-fin-wait, tcp-time-wait, tcp-close, udp,
    /// udp-stream, icmp, sctp-cookie-wait, sctp-cookie-echoed, sctp-established, sctp-heartbeat-sent, sctp-shutdown,
    /// sctp-closed and generic.
    #[arg(long = "timeout", value_name = "NAME=SECONDS", value_delimiter = ',')]
    pub timeouts: Vec<Given>,

    /// Whether the host translates addresses of pods' flows (kube-proxy, port mappings): then the first packet of a flow
    /// between pods of this node passes the host's stack, and the flow becomes direct with the reply.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub host_nat: bool,

    /// An interface that other machines reach this node by; may be given several times [default: all with an address that
    /// are not a pod's].
    #[arg(long = "nic", value_name = "NAME")]
    pub nics: Vec<String>,

    /// The cgroup below which processes reach port mappings by the node's own addresses [default: the root of cgroup2].
    #[arg(long, value_name = "DIR")]
    pub cgroup: Option<PathBuf>,

    /// Replace pinned maps that do not fit this version by empty ones, instead of refusing to start.
    #[arg(long)]
    pub replace_pins: bool,
}
