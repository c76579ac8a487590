//! Port mappings: what Kubernetes calls a hostPort.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use caracal_datapath::Mapping;
use caracal_ipam::json::{FieldError, Node};

/// IP protocol numbers by the names that runtimes give them.
const PROTOCOLS: [(&str, u8); 3] = [("tcp", 6), ("udp", 17), ("sctp", 132)];

/// A mapping as the runtime wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The node's address; all of them if none is given.
    host_ip: Option<IpAddr>,
    host_port: u16,
    protocol: u8,
    pod_port: u16,
}

/// The runtime's `portMappings`.
pub fn parse(conf: &Node<'_>) -> Result<Vec<Wish>, FieldError> {
    let wishes = conf.get("runtimeConfig")?.map_or(Ok(None), |runtime| runtime.get("portMappings"))?;
    wishes.map_or(Ok(Vec::new()), |wishes| wishes.elements()?.iter().map(wish).collect())
}

fn wish(node: &Node<'_>) -> Result<Wish, FieldError> {
    let port = |key: &str| match node.require::<i64>(key)? {
        port @ 1..=65535 => Ok(u16::try_from(port).unwrap_or_default()),
        port => Err(node.field_error(key, format!("{port} is not between 1 and 65535"))),
    };
    let protocol = node.field::<String>("protocol")?.unwrap_or_default().to_lowercase();
    let name = if protocol.is_empty() { "tcp" } else { &protocol };
    let Some((_, protocol)) = PROTOCOLS.iter().find(|(known, _)| *known == name) else {
        return Err(node.field_error("protocol", format!("{name:?} is not one of \"tcp\", \"udp\", \"sctp\"")));
    };
    let host_ip = node.field::<String>("hostIP")?.filter(|ip| !ip.is_empty());
    let host_ip = host_ip.map(|ip| ip.parse().map_err(|e| node.field_error("hostIP", format!("{ip:?}: {e}"))));
    Ok(Wish {
        host_ip: host_ip.transpose()?,
        host_port: port("hostPort")?,
        protocol: *protocol,
        pod_port: port("containerPort")?,
    })
}

/// The mappings for a pod with these addresses: each for every family that the pod and the wish have in common. `0.0.0.0`
/// and `::` stand for all addresses of their own family.
#[must_use]
pub fn mappings(wishes: &[Wish], addresses: &[IpAddr]) -> Vec<Mapping> {
    let first = |v4: bool| addresses.iter().copied().find(|ip| ip.is_ipv4() == v4);
    let pod_ips: Vec<IpAddr> = [first(true), first(false)].into_iter().flatten().collect();
    let of = |wish: &Wish| {
        let Wish { host_ip, host_port, protocol, pod_port } = *wish;
        let fitting =
            pod_ips.clone().into_iter().filter(move |pod| host_ip.is_none_or(|ip| ip.is_ipv4() == pod.is_ipv4()));
        fitting.map(move |pod_ip| Mapping {
            host_ip: host_ip.unwrap_or(any(pod_ip)),
            host_port,
            protocol,
            pod_ip,
            pod_port,
        })
    };
    wishes.iter().flat_map(of).collect()
}

fn any(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn texts(wishes: &Value, addresses: &[&str]) -> Result<Vec<String>, String> {
        let conf = json!({"runtimeConfig": {"portMappings": wishes}});
        let wishes = parse(&Node::root(&conf)).map_err(|e| e.to_string())?;
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let text = |m: &Mapping| format!("{}/{}:{} {}:{}", m.protocol, m.host_ip, m.host_port, m.pod_ip, m.pod_port);
        Ok(mappings(&wishes, &addresses).iter().map(text).collect())
    }

    #[test]
    fn one_for_each_family_that_pod_and_wish_have_in_common() {
        let both = ["10.0.0.2", "10.0.0.3", "fd00::2"];
        let plain = json!([{"hostPort": 80, "containerPort": 8080}]);
        assert_eq!(texts(&plain, &both).unwrap(), ["6/0.0.0.0:80 10.0.0.2:8080", "6/:::80 fd00::2:8080"]);
        let named = |ip: &str| json!([{"hostPort": 80, "containerPort": 8080, "protocol": "UDP", "hostIP": ip}]);
        assert_eq!(texts(&named("192.0.2.1"), &both).unwrap(), ["17/192.0.2.1:80 10.0.0.2:8080"]);
        assert_eq!(texts(&named("::"), &both).unwrap(), ["17/:::80 fd00::2:8080"]);
        assert_eq!(texts(&named(""), &["fd00::2"]).unwrap(), ["17/:::80 fd00::2:8080"]);
        assert_eq!(texts(&named("192.0.2.1"), &["fd00::2"]).unwrap(), [""; 0]);
        assert_eq!(texts(&Value::Null, &both).unwrap(), [""; 0]);
    }

    #[test]
    fn as_containerd_writes_them() {
        let wishes = json!([{"HostPort": 80, "ContainerPort": 8080, "Protocol": "tcp", "HostIP": ""}]);
        assert_eq!(texts(&wishes, &["10.0.0.2"]).unwrap(), ["6/0.0.0.0:80 10.0.0.2:8080"]);
    }

    #[test]
    fn complaints_name_the_field() {
        let bad = |wish: Value| texts(&json!([wish]), &[]).unwrap_err();
        let field = "runtimeConfig.portMappings[0].";
        assert_eq!(bad(json!({"containerPort": 1})), format!("{field}hostPort: is missing"));
        assert_eq!(
            bad(json!({"hostPort": 0, "containerPort": 1})),
            format!("{field}hostPort: 0 is not between 1 and 65535")
        );
        assert_eq!(
            bad(json!({"hostPort": 1, "containerPort": 65536})),
            format!("{field}containerPort: 65536 is not between 1 and 65535")
        );
        assert_eq!(
            bad(json!({"hostPort": 1, "containerPort": 1, "protocol": "icmp"})),
            format!("{field}protocol: \"icmp\" is not one of \"tcp\", \"udp\", \"sctp\"")
        );
        assert!(
            bad(json!({"hostPort": 1, "containerPort": 1, "hostIP": "x"}))
                .starts_with(&format!("{field}hostIP: \"x\": "))
        );
        assert_eq!(texts(&json!({}), &[]).unwrap_err(), "runtimeConfig.portMappings: must be an array");
    }
}
