//! Links, addresses, routes and neighbours, as `ip` commands.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use ipnetwork::IpNetwork;

use super::{Call, Endpoint, Info};

/// Every pod's gateway, which is on no link: the host's end answers for it.
const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0x1234, 0x5678, 0x9abc);

/// Hardware address of every host's end.
const HOST_MAC: &str = "aa:aa:aa:aa:aa:aa";

/// Azure's resolver and metadata service, which pods reach by other addresses than their own.
const DNS: &str = "168.63.129.16";
const METADATA: &str = "169.254.169.254";

/// The node's own interface.
const PRIMARY: &str = "eth0";

/// What is made for a pod.
#[derive(Debug)]
pub(super) struct Wiring {
    pub(super) host_ifname: String,
    netns: String,
    before: String,
    host: String,
    pod: String,
    has_ipv6: bool,
}

/// The gateway that a pod of this address has.
pub(super) fn gateway(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { GATEWAY4.into() } else { GATEWAY6.into() }
}

impl Wiring {
    pub(super) fn new(call: &Call, infos: &[Info]) -> Result<Self> {
        let hash = sha1(&format!("{}.{}", call.namespace, call.pod))?;
        let host_ifname = format!("azv{}", hash.get(..11).context("a SHA-1 in hexadecimal")?);
        let (host, ifname, netns) = (&host_ifname, &call.ifname, &call.netns);
        let mtu =
            fs::read_to_string(format!("/sys/class/net/{PRIMARY}/mtu")).context("MTU of the primary interface")?;
        let mtu = mtu.trim();

        let mut outside =
            format!("link add {host} address {HOST_MAC} type veth peer name {host}2\nlink set {host} up\n");
        write!(outside, "link set {host} mtu {mtu}\nlink set {host}2 mtu {mtu}\n")?;
        let mut inside = format!("link set {host}2 down\nlink set {host}2 name {ifname}\nlink set {ifname} up\n");
        for Info { ip, prefix, .. } in infos {
            writeln!(outside, "route add {ip} dev {host} proto static")?;
            let network = IpNetwork::new(*ip, *prefix)?;
            // The kernel made this one of itself: the pod shall not look for the others on its link.
            let route = format!("route del {}/{prefix} dev {ifname} proto kernel", network.network());
            write!(inside, "address add {ip}/{prefix} dev {ifname}\n{route}\n")?;
        }
        writeln!(outside, "link set {host}2 netns {netns}")?;
        for (is_there, gateway, state) in [
            (infos.iter().any(|info| info.ip.is_ipv4()), IpAddr::from(GATEWAY4), "probe"),
            (infos.iter().any(|info| info.ip.is_ipv6()), IpAddr::from(GATEWAY6), "permanent"),
        ] {
            if is_there {
                write!(
                    inside,
                    "route add {gateway} dev {ifname} scope link\nroute add default via {gateway} dev {ifname}\n"
                )?;
                writeln!(inside, "neigh replace {gateway} lladdr {HOST_MAC} dev {ifname} nud {state}")?;
            }
        }
        Ok(Self {
            before: format!("link del {host}\n"),
            host: outside,
            pod: inside,
            netns: netns.clone(),
            has_ipv6: infos.iter().any(|info| info.ip.is_ipv6()),
            host_ifname,
        })
    }

    /// Makes it all; what an earlier pod of the name left is deleted first.
    pub(super) fn apply(&self) -> Result<()> {
        let Self { host_ifname, netns, .. } = self;
        let is_there = || fs::exists(format!("/sys/class/net/{host_ifname}"));
        if is_there()? {
            // It may go just now, with its pod's namespace.
            ip(None, &self.before).or_else(|error| if is_there()? { Err(error) } else { Ok(()) })?;
        }
        ip(None, &self.host)?;
        let made = self.finish();
        if made.is_err() {
            ip(None, &format!("link del {host_ifname}\n")).with_context(|| format!("undoing {netns}"))?;
        }
        made
    }

    fn finish(&self) -> Result<()> {
        let set = |path: String, value: &str| fs::write(&path, value).with_context(|| path.clone());
        set(format!("/proc/sys/net/ipv6/conf/{}/accept_ra", self.host_ifname), "0")?;
        set(format!("/proc/sys/net/ipv4/conf/{}/proxy_arp", self.host_ifname), "1")?;
        if self.has_ipv6 {
            set("/proc/sys/net/ipv6/conf/all/forwarding".to_owned(), "1")?;
            let enable = [
                "--net=".to_owned() + &self.netns,
                "sysctl".into(),
                "-wq".into(),
                "net.ipv6.conf.all.disable_ipv6=0".into(),
            ];
            run("nsenter", &enable, "")?;
        }
        ip(Some(&self.netns), &self.pod)
    }
}

/// Commands that take a pod's routes off the host.
pub(super) fn unroute(endpoint: &Endpoint) -> Vec<String> {
    let Endpoint { host_ifname, addresses, .. } = endpoint;
    addresses.iter().map(|ip| format!("route del {ip} dev {host_ifname}\n")).collect()
}

/// What pods with addresses of Azure's own need on the host: a route to the others, and other sources towards Azure's
/// services.
pub(super) fn swift(infos: &[Info]) -> Result<()> {
    for Info { ip: pod, prefix, raw, .. } in infos {
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("a string is missing");
        let network = format!("{}/{prefix}", IpNetwork::new(*pod, *prefix)?.network());
        let host = &raw["HostPrimaryIPInfo"];
        ip(None, &format!("route replace {network} via {} dev {PRIMARY}\n", text(&host["Gateway"])?))?;
        let primary = text(&raw["NetworkContainerPrimaryIPConfig"]["IPSubnet"]["IPAddress"])?;
        let host = text(&host["PrimaryIP"])?;
        // Whether the chain is there already does not matter.
        let _ = iptables("-N SWIFT");
        ensure_rule("POSTROUTING -j SWIFT")?;
        for (service, protocol, port, source) in
            [(METADATA, "tcp", 80, &host), (DNS, "tcp", 53, &primary), (DNS, "udp", 53, &primary)]
        {
            let of_pods =
                format!("-m addrtype ! --dst-type local -s {network} -d {service} -p {protocol} --dport {port}");
            ensure_rule(&format!("SWIFT {of_pods} -j SNAT --to {source}"))?;
        }
    }
    Ok(())
}

fn ensure_rule(rule: &str) -> Result<()> {
    iptables(&format!("-C {rule}")).or_else(|_| iptables(&format!("-A {rule}")))
}

fn iptables(command: &str) -> Result<()> {
    let words: Vec<String> = ["-w", "-t", "nat"].into_iter().chain(command.split(' ')).map(str::to_owned).collect();
    run("iptables", &words, "").map(drop)
}

fn sha1(text: &str) -> Result<String> {
    run("sha1sum", &[], text)
}

/// Runs `ip` commands, one to a line, on the host or in a pod's namespace.
pub(super) fn ip(netns: Option<&str>, batch: &str) -> Result<()> {
    let words: Vec<String> = ["ip", "-batch", "-"].map(str::to_owned).into();
    let done = match netns {
        None => run("ip", &words[1..], batch),
        Some(netns) => run("nsenter", &[vec![format!("--net={netns}")], words].concat(), batch),
    };
    done.map(drop).with_context(|| batch.trim().to_owned())
}

fn run(program: &str, args: &[String], input: &str) -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "a stand-in may do by programs what the real one does by netlink")]
    let mut command = Command::new(program);
    let piped = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().with_context(|| program.to_owned())?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", args.join(" "), stderr.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
