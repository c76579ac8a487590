//! The address service of a node, as far as the network plugin uses it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where the plugin looks for it.
pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10090);

/// Gives a pod its addresses.
pub const REQUEST: &str = "/network/requestipconfigs";
/// Takes them back.
pub const RELEASE: &str = "/network/releaseipconfigs";
/// Who has which; the stub's own.
pub const HELD: &str = "/held";

/// "The allocation failed", in the service's numbering.
const FAILED: u32 = 15;

/// What the stub gives out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// The first address of each family, with the prefix of the pods' network.
    pub first: Vec<IpNetwork>,
    /// How many there are of each.
    pub size: u32,
    /// The gateway of the pods' network, where the network is one of Azure's own.
    pub pod_gateway: Option<IpAddr>,
    /// The node's address, with its prefix.
    pub host: IpNetwork,
    /// The node's gateway.
    pub host_gateway: IpAddr,
}

/// Who has which address.
pub type Held = BTreeMap<IpAddr, Holder>;

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The plugin's name for the attachment.
    pub interface: String,
    /// The pod's name.
    pub pod: String,
}

/// The stub.
#[derive(Debug)]
pub struct Service {
    config: Config,
    held: Held,
}

impl Service {
    /// With all addresses free.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, held: Held::new() }
    }

    /// Answers a request.
    pub fn answer(&mut self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let interface = body["podInterfaceID"].as_str().unwrap_or_default();
        match (method, path) {
            ("POST", REQUEST) => Some(self.request(interface, body)),
            ("POST", RELEASE) => {
                self.held.retain(|_, holder| holder.interface != interface);
                Some(json!({"response": {"ReturnCode": 0}}))
            }
            ("GET", HELD) => serde_json::to_value(&self.held).ok(),
            _ => None,
        }
    }

    fn request(&mut self, interface: &str, body: &Value) -> Value {
        let pod = body["orchestratorContext"]["podName"].as_str().unwrap_or_default();
        let holder = Holder { interface: interface.to_owned(), pod: pod.to_owned() };
        let given: Option<Vec<IpAddr>> =
            (0..self.config.first.len()).map(|family| self.take(family, &holder)).collect();
        let Some(given) = given.filter(|_| !interface.is_empty()) else {
            self.held.retain(|_, other| *other != holder);
            let message = "not enough IPs available, waiting on Azure CNS to allocate more";
            return json!({"podIPInfo": null, "response": {"ReturnCode": FAILED, "Message": message}});
        };
        let infos: Vec<Value> = self.config.first.iter().zip(given).map(|(first, ip)| self.info(first, ip)).collect();
        json!({"podIPInfo": infos, "response": {"ReturnCode": 0, "Message": ""}})
    }

    /// What the holder has of a family already, or the first that is free.
    fn take(&mut self, family: usize, holder: &Holder) -> Option<IpAddr> {
        let first = self.config.first.get(family)?.ip();
        let all = || (0..self.config.size).map(|number| nth(first, number));
        let own = all().find(|ip| self.held.get(ip) == Some(holder));
        let ip = own.or_else(|| all().find(|ip| !self.held.contains_key(ip)))?;
        self.held.insert(ip, holder.clone());
        Some(ip)
    }

    fn info(&self, first: &IpNetwork, ip: IpAddr) -> Value {
        let Config { pod_gateway, host, host_gateway, .. } = &self.config;
        let gateway = pod_gateway.filter(|gateway| gateway.is_ipv4() == ip.is_ipv4());
        let gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        let prefix = first.prefix();
        json!({
            "PodIPConfig": {"IPAddress": ip, "PrefixLength": prefix},
            "NetworkContainerPrimaryIPConfig": {
                "IPSubnet": {"IPAddress": first.network(), "PrefixLength": prefix},
                "GatewayIPAddress": gateway,
            },
            "HostPrimaryIPInfo": {
                "Gateway": host_gateway,
                "PrimaryIP": host.ip(),
                "Subnet": format!("{}/{}", host.network(), host.prefix()),
            },
            "NICType": "InfraNIC",
        })
    }
}

fn nth(first: IpAddr, number: u32) -> IpAddr {
    match first {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() + number).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() + u128::from(number)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service::new(Config {
            first: vec!["10.244.1.10/16".parse().unwrap(), "fd00::a/64".parse().unwrap()],
            size: 2,
            pod_gateway: None,
            host: "172.31.0.2/16".parse().unwrap(),
            host_gateway: "172.31.0.1".parse().unwrap(),
        })
    }

    fn ask(service: &mut Service, path: &str, interface: &str) -> Value {
        let body = json!({"podInterfaceID": interface, "orchestratorContext": {"podName": "p", "podNamespace": "n"}});
        service.answer("POST", path, &body).unwrap()
    }

    #[test]
    fn each_interface_has_one_address_of_each_family_until_it_gives_them_back() {
        let mut service = service();
        let first = ask(&mut service, REQUEST, "a-eth0");
        assert_eq!(first["podIPInfo"][0]["PodIPConfig"]["IPAddress"], "10.244.1.10");
        assert_eq!(first["podIPInfo"][1]["PodIPConfig"]["IPAddress"], "fd00::a");
        assert_eq!(first["podIPInfo"][1]["HostPrimaryIPInfo"]["Subnet"], "172.31.0.0/16");
        assert_eq!(ask(&mut service, REQUEST, "a-eth0"), first, "asked again");
        ask(&mut service, REQUEST, "b-eth0");
        assert_eq!(ask(&mut service, REQUEST, "c-eth0")["response"]["ReturnCode"], FAILED);
        assert_eq!(service.held.len(), 4);
        for _ in 0..2 {
            assert_eq!(ask(&mut service, RELEASE, "a-eth0")["response"]["ReturnCode"], 0);
        }
        let holder = Holder { interface: "b-eth0".to_owned(), pod: "p".to_owned() };
        assert_eq!(service.held.values().collect::<Vec<_>>(), [&holder, &holder]);
        assert_eq!(ask(&mut service, REQUEST, "c-eth0")["podIPInfo"], first["podIPInfo"]);
    }

    #[test]
    fn what_it_does_not_have_is_not_found() {
        assert_eq!(service().answer("GET", "/network/interfaces", &Value::Null), None);
    }
}
