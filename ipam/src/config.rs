//! What a network configuration asks for, in the schema of the host-local plugin, so that its users keep theirs.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnetwork::IpNetwork;

use crate::{
    host_local,
    json::{FieldError, Node},
    protocol::{Args, Route, args_error, wishes},
    ranges::{InvalidSet, Range, RangeSet, RangeSpec},
};

/// The `ipam` object of a network configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// An attachment gets one address of each.
    pub sets: Vec<RangeSet>,
    /// Routes for the container.
    pub routes: Vec<Route>,
    /// Where the store is, if not in its usual place.
    pub data_dir: Option<PathBuf>,
    /// A file in resolv.conf's format to take the container's DNS settings from.
    pub resolv_conf: Option<PathBuf>,
}

impl Config {
    /// Reads the `ipam` object. `ip_ranges` is the runtime's `ipRanges` capability, whose sets come first.
    pub fn parse(ipam: &Node<'_>, ip_ranges: Option<&Node<'_>>) -> Result<Self, FieldError> {
        let mut sets = Vec::new();
        if let Some(ip_ranges) = ip_ranges {
            sets.extend(range_sets(ip_ranges)?);
        }
        // The schema from before there were sets: one subnet beside the other keys.
        if ipam.get("subnet")?.is_some() {
            sets.push((
                RangeSet::new(vec![range(ipam, Vec::new())?]).map_err(|e| ipam.error(e.to_string()))?,
                ipam.clone(),
            ));
        }
        if let Some(ranges) = ipam.get("ranges")? {
            sets.extend(range_sets(&ranges)?);
        }
        if sets.is_empty() {
            return Err(ipam.field_error("ranges", "is missing; at least one range is needed to take addresses from"));
        }
        for (i, (set, node)) in sets.iter().enumerate() {
            let others = sets[..i].iter().flat_map(|(set, _)| set.ranges());
            for other in others {
                if let Some(one) = set.ranges().iter().find(|one| one.overlaps(other)) {
                    return Err(node.error(InvalidSet::overlap(one, other).to_string()));
                }
            }
        }
        let exclude = exclusions(ipam)?;
        let sets: Vec<_> = sets.into_iter().map(|(set, _)| set.excluding(&exclude)).collect();
        if let Some(set) = sets.iter().find(|set| set.size() == 0) {
            return Err(ipam.field_error("exclude", format!("leaves no address in range set {set}")));
        }
        Ok(Self {
            sets,
            routes: ipam.field("routes")?.unwrap_or_default(),
            data_dir: data_dir(ipam)?,
            resolv_conf: ipam.field("resolvConf")?,
        })
    }
}

/// Where the `ipam` object wants the store: all that giving addresses back needs to know of it.
pub fn data_dir(ipam: &Node<'_>) -> Result<Option<PathBuf>, FieldError> {
    let dir: Option<PathBuf> = ipam.field("dataDir")?;
    match dir {
        Some(dir) if !dir.is_absolute() => Err(ipam.field_error("dataDir", "must be an absolute path")),
        dir => Ok(dir),
    }
}

/// Where host-local gave out addresses of `network` before, which are not to be given out again: the directory that the
/// `ipam` object names, its usual place if that names none, nothing if it names none by an empty string.
pub fn host_local_dir(ipam: &Node<'_>, network: &str) -> Result<Option<PathBuf>, FieldError> {
    match ipam.field::<PathBuf>("hostLocalDir")? {
        None => Ok(Some(usual_host_local_dir(network))),
        Some(dir) if dir.as_os_str().is_empty() => Ok(None),
        Some(dir) if dir.is_absolute() => Ok(Some(dir)),
        Some(_) => {
            Err(ipam.field_error("hostLocalDir", "must be an absolute path, or empty to leave host-local's addresses"))
        }
    }
}

/// Where host-local keeps the addresses of `network` unless it was told otherwise.
#[must_use]
pub fn usual_host_local_dir(network: &str) -> PathBuf {
    Path::new(host_local::DIR).join(network)
}

/// The addresses asked for by name: the runtime's `ips` capability, else `args.cni.ips`, else `IP` in `CNI_ARGS`.
pub fn requested_addresses(conf: &Node<'_>, args: &Args) -> Result<Vec<IpAddr>, FieldError> {
    for ips in wishes(conf, "ips")? {
        let ips = ips.elements()?;
        let addresses =
            ips.iter().map(|ip| Ok(ip.parse::<IpNetwork>()?.ip())).collect::<Result<Vec<_>, FieldError>>()?;
        if !addresses.is_empty() {
            return Ok(addresses);
        }
    }
    let listed = args.get("IP").unwrap_or_default().split(',').map(str::trim).filter(|ip| !ip.is_empty());
    listed
        .map(|ip| match ip.parse::<IpNetwork>() {
            Ok(network) => Ok(network.ip()),
            Err(e) => Err(args_error("IP", format!("{ip:?}: {e}"))),
        })
        .collect()
}

fn range_sets<'a>(ranges: &Node<'a>) -> Result<Vec<(RangeSet, Node<'a>)>, FieldError> {
    let mut sets = Vec::new();
    for set in ranges.elements()? {
        let ranges = set.elements()?.iter().map(|node| range(node, exclusions(node)?)).collect::<Result<_, _>>()?;
        sets.push((RangeSet::new(ranges).map_err(|e| set.error(e.to_string()))?, set));
    }
    Ok(sets)
}

/// Addresses that are never to be handed out: networks, and addresses alone.
fn exclusions(node: &Node<'_>) -> Result<Vec<IpNetwork>, FieldError> {
    let Some(list) = node.get("exclude")? else { return Ok(Vec::new()) };
    let excluded = list.elements()?.into_iter().map(|node| {
        let network: IpNetwork = node.parse()?;
        if network.ip() == network.network() {
            return Ok(network);
        }
        let (whole, prefix, alone) = (network.network(), network.prefix(), network.ip());
        Err(node.error(format!("{network} has host bits set; did you mean {whole}/{prefix}, or {alone} alone?")))
    });
    excluded.collect()
}

fn range(node: &Node<'_>, exclude: Vec<IpNetwork>) -> Result<Range, FieldError> {
    let spec = RangeSpec {
        subnet: node.require("subnet")?,
        start: node.given("rangeStart")?,
        end: node.given("rangeEnd")?,
        gateway: node.given("gateway")?,
        exclude,
    };
    Range::new(&spec).map_err(|e| node.field_error(e.field, e.reason))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(ipam: &Value) -> Result<Config, String> {
        let conf = json!({"ipam": ipam});
        let node = Node::root(&conf).get("ipam").unwrap().unwrap();
        Config::parse(&node, None).map_err(|e| e.to_string())
    }

    fn sets(config: &Config) -> Vec<String> {
        config.sets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_host_local_takes_is_taken() {
        let config = parse(&json!({
            "type": "caracal", "something": "else",
            "subnet": "10.9.0.0/24", "rangeEnd": "10.9.0.20", "gateway": "10.9.0.254",
            "ranges": [
                [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10"}, {"subnet": "10.2.0.0/24"}],
                [{"subnet": "fd00:1::/64"}],
            ],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.1", "mtu": 1400}],
            "dataDir": "/var/lib/x", "resolvConf": "/etc/resolv.conf",
        }))
        .unwrap();
        assert_eq!(
            sets(&config),
            [
                "10.9.0.1-10.9.0.20",
                "10.1.0.10-10.1.0.254, 10.2.0.1-10.2.0.254",
                "fd00:1::1-fd00:1::ffff:ffff:ffff:ffff"
            ]
        );
        assert_eq!(config.sets[0].ranges()[0].gateway().to_string(), "10.9.0.254");
        assert_eq!(config.routes[1].gw, Some("10.1.0.1".parse().unwrap()));
        assert_eq!(config.routes[1].mtu, Some(1400));
        assert_eq!(config.data_dir, Some("/var/lib/x".into()));
        assert_eq!(config.resolv_conf, Some("/etc/resolv.conf".into()));
    }

    #[test]
    fn ranges_as_containerd_writes_them() {
        let range = json!({"Subnet": "10.2.0.0/24", "RangeStart": "", "RangeEnd": "10.2.0.9", "Gateway": ""});
        let conf = json!({"ipam": {"subnet": "10.1.0.0/24"}, "ipRanges": [[range]]});
        let root = Node::root(&conf);
        let ip_ranges = root.get("ipRanges").unwrap();
        let config = Config::parse(&root.get("ipam").unwrap().unwrap(), ip_ranges.as_ref()).unwrap();
        assert_eq!(sets(&config), ["10.2.0.1-10.2.0.9", "10.1.0.1-10.1.0.254"]);
    }

    #[test]
    fn the_runtimes_ranges_come_first() {
        let conf = json!({"ipam": {"subnet": "10.1.0.0/24"}, "ipRanges": [[{"subnet": "10.2.0.0/24"}]]});
        let root = Node::root(&conf);
        let ip_ranges = root.get("ipRanges").unwrap();
        let config = Config::parse(&root.get("ipam").unwrap().unwrap(), ip_ranges.as_ref()).unwrap();
        assert_eq!(sets(&config), ["10.2.0.1-10.2.0.254", "10.1.0.1-10.1.0.254"]);
    }

    #[test]
    fn complaints_name_the_field() {
        let bad = |ipam: Value| parse(&ipam).unwrap_err();
        assert_eq!(bad(json!({})), "ipam.ranges: is missing; at least one range is needed to take addresses from");
        assert_eq!(bad(json!({"ranges": [[]]})), "ipam.ranges[0]: must not be empty");
        assert_eq!(bad(json!({"ranges": [{"subnet": "10.0.0.0/24"}]})), "ipam.ranges[0]: must be an array");
        assert_eq!(bad(json!({"ranges": [[{}]]})), "ipam.ranges[0][0].subnet: is missing");
        assert!(bad(json!({"subnet": "10.0.0.0/33"})).starts_with("ipam.subnet: invalid address"));
        assert_eq!(
            bad(json!({"ranges": [[{"subnet": "10.0.0.0/24", "rangeEnd": "10.0.1.1"}]]})),
            "ipam.ranges[0][0].rangeEnd: 10.0.1.1 is not a usable address of 10.0.0.0/24"
        );
        assert_eq!(
            bad(json!({"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.0.0/16"}]]})),
            "ipam.ranges[1]: 10.0.0.1-10.0.255.254 overlaps 10.0.0.1-10.0.0.254"
        );
        assert_eq!(bad(json!({"subnet": "10.0.0.0/24", "dataDir": "x"})), "ipam.dataDir: must be an absolute path");
        assert!(bad(json!({"subnet": "10.0.0.0/24", "routes": [{"gw": "10.0.0.1"}]})).starts_with("ipam.routes: "));
    }

    #[test]
    fn exclusions_are_per_range_and_for_all() {
        let config = parse(&json!({
            "ranges": [
                [{"subnet": "10.1.0.0/24", "exclude": ["10.1.0.128/25", "10.1.0.7"]}, {"subnet": "10.2.0.0/29"}],
                [{"subnet": "fd00::/64", "exclude": ["fd00::8000:0:0:0/65"]}],
            ],
            "exclude": ["10.2.0.2/31", "fd00::2", "192.0.2.0/24"],
        }))
        .unwrap();
        let gives = |set: usize, ip: &str| config.sets[set].gives(ip.parse().unwrap());
        assert!(gives(0, "10.1.0.2") && !gives(0, "10.1.0.7") && !gives(0, "10.1.0.200"));
        assert!(!gives(0, "10.2.0.3") && gives(0, "10.2.0.4"));
        assert!(!gives(1, "fd00::2") && gives(1, "fd00::3") && !gives(1, "fd00::8000:0:0:3"));
        let legacy = parse(&json!({"subnet": "10.1.0.0/24", "exclude": ["10.1.0.2", "fd00::/64"]})).unwrap();
        assert!(!legacy.sets[0].gives("10.1.0.2".parse().unwrap()));
        let bad = |ipam: Value| parse(&ipam).unwrap_err();
        assert_eq!(
            bad(json!({"ranges": [[{"subnet": "10.0.0.0/24", "exclude": ["10.0.0.9/24"]}]]})),
            "ipam.ranges[0][0].exclude[0]: 10.0.0.9/24 has host bits set; did you mean 10.0.0.0/24, or 10.0.0.9 alone?"
        );
        assert_eq!(
            bad(json!({"ranges": [[{"subnet": "10.0.0.0/24", "exclude": ["10.1.0.9"]}]]})),
            "ipam.ranges[0][0].exclude: 10.1.0.9/32 is not in 10.0.0.0/24"
        );
        assert!(
            bad(json!({"subnet": "10.0.0.0/24", "exclude": ["x"]})).starts_with("ipam.exclude[0]: invalid address")
        );
        assert_eq!(bad(json!({"subnet": "10.0.0.0/24", "exclude": "10.0.0.1"})), "ipam.exclude: must be an array");
        assert_eq!(
            bad(json!({"subnet": "10.0.0.0/29", "exclude": ["10.0.0.0/8"]})),
            "ipam.exclude: leaves no address in range set 10.0.0.1-10.0.0.6"
        );
    }

    #[test]
    fn host_locals_directory_is_the_usual_another_or_none() {
        let of = |ipam: Value| {
            let conf = json!({"ipam": ipam});
            let node = Node::root(&conf).get("ipam").unwrap().unwrap();
            host_local_dir(&node, "net").map_err(|e| e.to_string())
        };
        assert_eq!(of(json!({})), Ok(Some("/var/lib/cni/networks/net".into())));
        assert_eq!(of(json!({"hostLocalDir": "/d/cbr0"})), Ok(Some("/d/cbr0".into())));
        assert_eq!(of(json!({"hostLocalDir": ""})), Ok(None));
        let refused = of(json!({"hostLocalDir": "d"})).unwrap_err();
        assert!(refused.starts_with("ipam.hostLocalDir: must be an absolute path"), "{refused}");
    }

    #[test]
    fn the_runtimes_wish_wins_over_the_configurations_over_the_environments() {
        let args = Args::parse("IP=10.0.0.1/24, 10.0.0.2;K8S_POD_NAME=x").unwrap();
        let mut conf = json!({"args": {"cni": {"ips": ["10.0.0.3"]}}, "runtimeConfig": {"ips": ["10.0.0.4/24"]}});
        let requested = |conf: &Value| {
            let addresses = requested_addresses(&Node::root(conf), &args).unwrap();
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(requested(&conf), ["10.0.0.4"]);
        conf["runtimeConfig"] = json!({"ips": []});
        assert_eq!(requested(&conf), ["10.0.0.3"]);
        conf["args"] = json!({"labels": []});
        assert_eq!(requested(&conf), ["10.0.0.1", "10.0.0.2"]);
        let bad = requested_addresses(&Node::root(&json!({})), &Args::parse("IP=x").unwrap()).unwrap_err();
        assert!(bad.to_string().starts_with("CNI_ARGS: IP: \"x\": invalid address"), "{bad}");
    }
}
