//! From what the cluster says to what this node should hold. Pure: no kernel, no clock, no files.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnetwork::IpNetwork;

use crate::model::Model;

/// Next hop by destination.
pub type Routes = BTreeMap<IpNetwork, IpAddr>;

/// Routes from the node `own` to the pods of every other node, without encapsulation.
///
/// A node without an address of a CIDR's family is left out: there is nowhere to send its packets.
#[must_use]
pub fn routes(model: &Model, own: &str) -> Routes {
    let others = model.nodes.iter().filter(|(name, _)| *name.name != *own).map(|(_, node)| node);
    let hops = others.flat_map(|node| {
        node.pod_cidrs.iter().filter_map(|cidr| {
            let hop = node.internal_ips.iter().find(|ip| ip.is_ipv4() == cidr.is_ipv4())?;
            Some((network(*cidr), *hop))
        })
    });
    hops.collect()
}

/// The networks that know the way to pods: what pods send there keeps their address. Other pods always do.
#[must_use]
pub fn inside(model: &Model, told: &[IpNetwork]) -> BTreeSet<IpNetwork> {
    let pods = model.nodes.values().flat_map(|node| &node.pod_cidrs);
    pods.chain(told).map(|cidr| network(*cidr)).collect()
}

/// The CIDR without host bits, which is how the kernel has it.
fn network(cidr: IpNetwork) -> IpNetwork {
    IpNetwork::new(cidr.network(), cidr.prefix()).unwrap_or(cidr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Body, Change, Name, Node, Object};

    fn node(cidrs: &[&str], ips: &[&str]) -> Node {
        Node {
            pod_cidrs: cidrs.iter().map(|c| c.parse().unwrap()).collect(),
            internal_ips: ips.iter().map(|i| i.parse().unwrap()).collect(),
            ..Node::default()
        }
    }

    fn model(nodes: &[(&str, Node)]) -> Model {
        let mut model = Model::default();
        for (name, node) in nodes {
            model.apply(Change::Put(Object { name: Name::global(*name), body: Body::Node(node.clone().into()) }));
        }
        model
    }

    #[test]
    fn other_nodes_are_reached_by_their_address_of_the_same_family() {
        let model = model(&[
            ("a", node(&["10.1.0.0/24", "fd00:1::/64"], &["192.0.2.1", "2001:db8::1"])),
            ("b", node(&["10.2.0.7/24", "fd00:2::/64"], &["2001:db8::2", "192.0.2.2"])),
        ]);
        let routes = routes(&model, "a");
        let expected = [("10.2.0.0/24", "192.0.2.2"), ("fd00:2::/64", "2001:db8::2")];
        let expected: Routes = expected.iter().map(|(c, h)| (c.parse().unwrap(), h.parse().unwrap())).collect();
        assert_eq!(routes, expected);
    }

    #[test]
    fn pods_of_all_nodes_are_inside_and_what_was_told() {
        let model = model(&[("a", node(&["10.1.0.0/24"], &[])), ("b", node(&["10.2.0.7/24", "fd00:2::/64"], &[]))]);
        let told = ["192.0.2.9/24".parse().unwrap(), "10.1.0.0/24".parse().unwrap()];
        let inside: Vec<String> = inside(&model, &told).iter().map(IpNetwork::to_string).collect();
        assert_eq!(inside, ["10.1.0.0/24", "10.2.0.0/24", "192.0.2.0/24", "fd00:2::/64"]);
    }

    #[test]
    fn a_node_without_an_address_of_the_family_gets_no_route() {
        let model = model(&[("b", node(&["10.2.0.0/24", "fd00:2::/64"], &["192.0.2.2"]))]);
        assert_eq!(routes(&model, "a").len(), 1);
    }

    #[test]
    fn a_node_that_is_not_in_the_model_routes_to_all_that_are() {
        let model = model(&[("b", node(&["10.2.0.0/24"], &["192.0.2.2"]))]);
        assert_eq!(routes(&model, "unknown").len(), 1);
        assert_eq!(routes(&model, "b").len(), 0);
    }
}
