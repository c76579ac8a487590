//! The command line.

mod events;
mod follow;
mod port_range;
mod reverse_path;

use std::path::PathBuf;

use anyhow::ensure;
use caracal_datapath::{Root, conntrack::Given};
use clap::{ArgAction, Parser};
use ipnetwork::IpNetwork;

pub use self::{events::Events, follow::Follow, port_range::PortRange, reverse_path::ReversePath};

/// Keeps a node's eBPF maps and routes in step with what the cluster says.
///
/// On SIGTERM or SIGINT it ends and leaves everything it set up in place: pods go on talking without it.
#[derive(Clone, Debug, Parser)]
#[command(name = "caracal-agent", version)]
pub struct Options {
    /// Where the cluster's objects come from.
    #[command(flatten)]
    pub follow: Follow,

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
    /// one for each 128 KiB of memory, as a power of two from 65536 to 1048576].
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
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub host_nat: bool,

    /// Whether what pods send to the outside world leaves under the node's address, without netfilter. Needs
    /// `--host-nat=false`.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set)]
    pub masquerade: bool,

    /// The node's ports that are lent to masqueraded flows. Nothing else on the node may send from them: keep them out of
    /// `net.ipv4.ip_local_port_range`, or reserve them in `net.ipv4.ip_local_reserved_ports`.
    #[arg(long, value_name = "FIRST-LAST", default_value = PortRange::DEFAULT)]
    pub masquerade_ports: PortRange,

    /// A network that knows the way to pods, so that what they send there keeps their address; may be given several times.
    /// The pod CIDRs of all Node objects always are.
    #[arg(long, value_name = "CIDR")]
    pub no_masquerade_to: Vec<IpNetwork>,

    /// Which senders beyond the node's NICs the first packet of a flow to a pod is believed: any, those that the host has a
    /// route to, or those that this route leads to by the same NIC. Matters with `--host-nat=false`: otherwise the host's
    /// `rp_filter` decides.
    #[arg(long, value_name = "MODE", value_enum, default_value_t = ReversePath::Loose)]
    pub reverse_path: ReversePath,

    /// An interface that other machines reach this node by; may be given several times [default: all with an address that
    /// are not a pod's].
    #[arg(long = "nic", value_name = "NAME")]
    pub nics: Vec<String>,

    /// The cgroup below which processes reach port mappings by the node's own addresses [default: the root of cgroup2].
    #[arg(long, value_name = "DIR")]
    pub cgroup: Option<PathBuf>,

    /// What `caracalctl monitor` hears.
    #[command(flatten)]
    pub events: Events,

    /// Replace pinned maps that do not fit this version by empty ones, instead of refusing to start.
    #[arg(long)]
    pub replace_pins: bool,
}

impl Options {
    /// Fails if options contradict each other.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !(self.masquerade && self.host_nat),
            "--masquerade=true needs --host-nat=false: with both, the host's netfilter might translate what is translated \
             already. Give --host-nat=false if nothing on this node translates (no kube-proxy, no portmap), otherwise leave \
             --masquerade out and have the host masquerade"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["caracal-agent", "--manifests", "/m"].iter().chain(args))
    }

    #[test]
    fn masquerading_beside_the_hosts_own_translations_is_refused_with_a_way_out() {
        let error = parse(&["--masquerade=true"]).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("--host-nat=false") && error.contains("kube-proxy"), "{error}");
        parse(&["--masquerade=true", "--host-nat=false"]).unwrap().check().unwrap();
        parse(&[]).unwrap().check().unwrap();
    }

    #[test]
    fn events_are_off_unless_asked_for() {
        use caracal_datapath::events::{Telling, Told};

        assert_eq!(parse(&[]).unwrap().events.telling(), Telling::default());
        let asked = ["--events=first", "--events-one-in=10", "--events-per-second", "50", "--events-buffer=1024"];
        let telling = parse(&asked).unwrap().events.telling();
        let expected = Telling { told: Told::First, one_in: 10, per_second: 50, at_once: 5, buffer_bytes: 1 << 20 };
        assert_eq!(telling, expected);
        let error = parse(&["--events", "some"]).unwrap_err().to_string();
        assert!(error.contains("off, drops, first, all"), "{error}");
    }

    #[test]
    fn networks_and_modes_are_read_and_wrong_ones_are_told() {
        let options = parse(&["--no-masquerade-to", "192.0.2.0/24", "--no-masquerade-to=2001:db8::/32"]).unwrap();
        let networks: Vec<String> = options.no_masquerade_to.iter().map(IpNetwork::to_string).collect();
        assert_eq!(networks, ["192.0.2.0/24", "2001:db8::/32"]);
        assert_eq!(options.reverse_path, ReversePath::Loose);
        assert_eq!(parse(&["--reverse-path", "strict"]).unwrap().reverse_path, ReversePath::Strict);
        let wrong = [
            (["--no-masquerade-to", "192.0.2.0/33"], "--no-masquerade-to"),
            (["--reverse-path", "tight"], "off, loose, strict"),
            (["--masquerade-ports", "9-1024"], "below 1024"),
        ];
        for (args, part) in wrong {
            let error = parse(&args).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
