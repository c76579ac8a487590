//! The settings, each once: name, type, default, what is allowed, what it does, when a change takes effect.

mod events;
mod follow;
mod host;
mod log_filter;
mod port_range;
mod reverse_path;

use std::path::PathBuf;

use anyhow::ensure;
use caracal_datapath::{Root, conntrack};
use ipnetwork::IpNetwork;

pub use self::{
    events::{BufferKib, Which},
    follow::Follow,
    host::Host,
    log_filter::LogFilter,
    port_range::PortRange,
    reverse_path::ReversePath,
};
use crate::{
    config::{
        Change, Problem, Setting,
        kind::{Choice, Kind, Many, Maybe, Parsed, Switch, Whole},
    },
    logs::Format,
};

/// Writes the list once: the struct that everybody uses, and what is known of each setting.
macro_rules! settings {
    ($($(#[doc = $help:literal])+
        $name:literal $field:ident: $type:ty = [$($default:expr)?], $value_name:literal, $kind:expr, $change:ident
        $(, $alias:literal)?;)+) => {
        /// The settings in force.
        #[derive(Clone, Debug)]
        pub struct Options { $($(#[doc = $help])+ pub $field: $type,)+ }

        /// Every setting, in the order in which people read about them.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            value_name: $value_name,
            help: concat!($($help),+).trim_ascii(),
            default: &[$($default)?],
            kind: &$kind,
            change: Change::$change,
            aliases: &[$($alias)?],
        },)+];

        impl Options {
            /// From the texts of each setting, by its name.
            pub fn read<'a>(texts: impl Fn(&'static str) -> &'a [String]) -> Result<Self, Problem> {
                Ok(Self { $($field: $kind.read(texts($name)).map_err(|why| Problem::of($name, &why))?,)+ })
            }
        }
    };
}

settings! {
    /// Directory of Kubernetes YAML files to follow, instead of the Kubernetes API.
    "manifests" manifests: Option<PathBuf> = [], "DIR", Maybe(Parsed::<PathBuf>::new("a directory")), Restart;

    /// Follow the Kubernetes API, as the service account of the pod that this runs in.
    "kubernetes" kubernetes: bool = ["false"], "BOOL", Switch, Restart;

    /// Follow the Kubernetes API, as this file says.
    "kubeconfig" kubeconfig: Option<PathBuf> = [], "FILE", Maybe(Parsed::<PathBuf>::new("a file")), Restart;

    /// Address of an API server, instead of those that are known otherwise; may be given several times. When one does not
    /// answer, the next is asked.
    "api-server" api_servers: Vec<String> = [], "URL", Many(Parsed::<String>::new("a URL such as https://192.0.2.1:6443")), Restart;

    /// The ConfigMap kubernetes-services-endpoint with `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: a directory it
    /// is mounted as, or a file of NAME=value lines.
    "services-endpoint" services_endpoint: Option<PathBuf> = [], "PATH",
        Maybe(Parsed::<PathBuf>::new("a directory or a file")), Restart;

    /// This node's name among the Node objects. If it is not given, the host name.
    "node-name" node_name: Option<String> = [], "NAME", Maybe(Parsed::<String>::new("a name")), Restart, "NODE_NAME";

    /// Directory on a bpffs that holds the pinned programs and maps. The file system is mounted if it is not.
    "bpffs" bpffs: PathBuf = [Root::DEFAULT], "DIR", Parsed::<PathBuf>::new("a directory"), Restart;

    /// Directory for the lock that keeps a second agent away, and for what the agent remembers.
    "run-dir" run_dir: PathBuf = ["/run/caracal"], "DIR", Parsed::<PathBuf>::new("a directory"), Restart;

    /// Entries of each table of flows that both sides want (IPv4 and IPv6). An entry takes about 150 bytes of kernel memory,
    /// IPv6 180. The tables of all other flows have a quarter of that, from 16384 to 262144. If it is not given: what is pinned;
    /// else one for each 128 KiB of memory, as a power of two from 65536 to 1048576.
    "flow-entries" flow_entries: Option<u32> = [], "N", Maybe(Whole::<u32>(1024..=u32::MAX)), Restart;

    /// For how many seconds flows may be silent, instead of the kernel's defaults: tcp-established=3600,udp=60. There are
    /// tcp-syn-sent, tcp-syn-recv, tcp-established, tcp-unacknowledged, tcp-fin-wait, tcp-time-wait, tcp-close, udp,
    /// udp-stream, icmp, sctp-cookie-wait, sctp-cookie-echoed, sctp-established, sctp-heartbeat-sent, sctp-shutdown,
    /// sctp-closed and generic.
    "timeout" timeouts: Vec<conntrack::Given> = [], "NAME=SECONDS",
        Many(Parsed::<conntrack::Given>::new("NAME=SECONDS")), Restart;

    /// Whether the host translates addresses of pods' flows (kube-proxy, port mappings). Then the first packet of a flow
    /// between pods of this node passes the host's stack, and the flow becomes direct with the reply.
    "host-nat" host_nat: bool = ["true"], "BOOL", Switch, Restart;

    /// Whether what pods send to the outside world leaves under the node's address, without netfilter. Needs
    /// `--host-nat=false`.
    "masquerade" masquerade: bool = ["false"], "BOOL", Switch, Restart;

    /// The node's ports that are lent to masqueraded flows. Nothing else on the node may send from them: keep them out of
    /// `net.ipv4.ip_local_port_range`, or reserve them in `net.ipv4.ip_local_reserved_ports`.
    "masquerade-ports" masquerade_ports: PortRange = [PortRange::DEFAULT], "FIRST-LAST",
        Parsed::<PortRange>::new("a range of ports between 1024 and 65535"), Restart;

    /// A network that knows the way to pods, so that what they send there keeps their address; may be given several times.
    /// The pod CIDRs of all Node objects always are.
    "no-masquerade-to" no_masquerade_to: Vec<IpNetwork> = [], "CIDR",
        Many(Parsed::<IpNetwork>::new("a network such as 192.0.2.0/24")), Live;

    /// Which senders beyond the node's NICs the first packet of a flow to a pod is believed. Any, those that the host has a
    /// route to, or those that this route leads to by the same NIC. Matters with `--host-nat=false`: otherwise the host's
    /// `rp_filter` decides.
    "reverse-path" reverse_path: ReversePath = ["loose"], "MODE", Choice::<ReversePath>::new(), Restart;

    /// An interface that other machines reach this node by; may be given several times. If none is given, all with an
    /// address that are not a pod's.
    "nic" nics: Vec<String> = [], "NAME", Many(Parsed::<String>::new("the name of an interface")), Restart;

    /// The cgroup below which processes reach port mappings by the node's own addresses. If it is not given, the root of
    /// cgroup2.
    "cgroup" cgroup: Option<PathBuf> = [], "DIR", Maybe(Parsed::<PathBuf>::new("a directory")), Restart;

    /// The packets that `caracalctl monitor` can show; those of established flows are none of them. What is off costs
    /// nothing.
    "events" events: Which = ["off"], "WHICH", Choice::<Which>::new(), Restart;

    /// Of packets that are not dropped only one of so many is told, chosen by chance.
    "events-one-in" events_one_in: u32 = ["1"], "N", Whole::<u32>(1..=u32::MAX), Restart;

    /// At most so many events are told on each CPU in a second, and a tenth of that at once. The others are counted.
    "events-per-second" events_per_second: u32 = ["1000"], "N", Whole::<u32>(1..=1_000_000), Restart;

    /// KiB of the buffer that holds events until they are read. One holds nine events.
    "events-buffer" events_buffer: BufferKib = ["256"], "KIB",
        Parsed::<BufferKib>::new("a power of two from 64 to 1048576"), Restart;

    /// Replace pinned maps that do not fit this version by empty ones, instead of refusing to start.
    "replace-pins" replace_pins: bool = ["false"], "BOOL", Switch, Restart;

    /// Whether `/healthz`, `/livez` and `/readyz` are served.
    "health" health: bool = ["true"], "BOOL", Switch, Live;

    /// On which addresses they are.
    "health-host" health_host: Host = ["localhost"], "HOST",
        Parsed::<Host>::new("an IP address, localhost or all"), Live;

    /// On which port they are.
    "health-port" health_port: u16 = ["9099"], "PORT", Whole::<u16>(1..=u16::MAX), Live;

    /// Whether `/debug/state` and `/debug/config` are served beside them. Only to who asks from a loopback address.
    "debug" debug: bool = ["true"], "BOOL", Switch, Live;

    /// Whether `/metrics` is served.
    "metrics" metrics: bool = ["false"], "BOOL", Switch, Live;

    /// On which addresses it is.
    "metrics-host" metrics_host: Host = ["all"], "HOST", Parsed::<Host>::new("an IP address, localhost or all"), Live;

    /// On which port it is. Where it is also the health port, on the same addresses, one socket serves both.
    "metrics-port" metrics_port: u16 = ["9091"], "PORT", Whole::<u16>(1..=u16::MAX), Live;

    /// How many seconds late a part of the agent may be with its heart-beat, before `/livez` and systemd's watchdog are told
    /// that it hangs.
    "watchdog-seconds" watchdog_seconds: u32 = ["90"], "SECONDS", Whole::<u32>(5..=86_400), Live;

    /// What is logged: a level, and levels of single modules too, such as `info,rtnetlink=debug`.
    "log-level" log_level: LogFilter = ["info"], "LEVEL",
        Parsed::<LogFilter>::new("off, error, warn, info, debug or trace, and MODULE=LEVEL"), Live, "RUST_LOG";

    /// Lines for people, or a JSON object a line.
    "log-format" log_format: Format = ["text"], "FORMAT", Choice::<Format>::new(), Live;
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
        ensure!(
            self.manifests.is_none() || !(self.kubernetes || self.kubeconfig.is_some()),
            "--manifests, and --kubernetes or --kubeconfig: only one source can be followed; leave out the other"
        );
        Ok(())
    }
}
