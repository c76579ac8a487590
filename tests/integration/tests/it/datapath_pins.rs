//! What is pinned where, what survives a restart, and what is refused.

use std::{collections::BTreeSet, fs};

use aya::maps::{HashMap, MapData};
use caracal_abi::{Endpoint, LAYOUT_VERSION, Mac, map, program};
use caracal_datapath::{Error, Features, Loader, Mapping, Mismatch, Pinned, Root, attach};
use caracal_harness::{Pod, isolated};

fn loader() -> Loader {
    Loader::new(Features::probe())
}

#[test]
fn everything_is_pinned_below_a_directory_with_the_layout_version() {
    isolated(|root| {
        assert!(Pinned::open(root).unwrap().is_none(), "nothing is loaded yet");
        loader().load(root).unwrap();
        assert!(root.version_dir().ends_with(format!("v{LAYOUT_VERSION}")));
        let names = |dir| fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut maps: Vec<String> = names(root.maps_dir()).collect();
        maps.sort();
        assert_eq!(maps, map::ALL);
        let programs: BTreeSet<String> = names(root.programs_dir()).collect();
        let expected = program::TC.iter().copied().chain(attach::SOCKETS.iter().map(|(name, _)| *name));
        assert_eq!(programs, expected.map(str::to_owned).collect());
        assert!(Pinned::open(root).unwrap().is_some());
    });
}

#[test]
fn loading_again_keeps_what_the_maps_hold() {
    isolated(|root| {
        let pod = Pod::new("10.0.0.1", 1, 7);
        loader().load(root).unwrap();
        Pinned::open(root).unwrap().unwrap().set_endpoint(pod.ip, &pod.endpoint()).unwrap();
        let loaded = loader().load(root).unwrap();
        assert!(loaded.replaced.is_empty());
        assert_eq!(Pinned::open(root).unwrap().unwrap().endpoints().unwrap(), [(pod.ip, pod.endpoint())]);
    });
}

#[test]
fn a_map_of_another_size_is_refused_by_name_or_replaced_when_asked() {
    isolated(|root| {
        loader().load(root).unwrap();
        let other = Loader { flow_entries: Some(2048), ..loader() };
        match other.load(root) {
            Err(Error::PinMismatch { path, property, expected, actual }) => {
                assert!([root.map(map::FLOWS4), root.map(map::FLOWS6)].contains(&path), "{}", path.display());
                assert_eq!((property, expected, actual), ("max_entries", 2048, 65536));
            }
            other => panic!("not refused: {other:?}"),
        }
        let loaded = Loader { mismatch: Mismatch::Replace, ..other }.load(root).unwrap();
        let mut replaced = loaded.replaced.clone();
        replaced.sort();
        assert_eq!(replaced, [map::FLOWS4, map::FLOWS6]);
        let flows = MapData::from_pin(root.map(map::FLOWS4)).unwrap();
        assert_eq!(flows.info().unwrap().max_entries(), 2048);
    });
}

#[test]
fn a_map_with_other_values_is_refused_by_loader_and_handle() {
    isolated(|root| {
        loader().load(root).unwrap();
        fs::remove_file(root.map(map::ENDPOINTS4)).unwrap();
        let foreign = HashMap::<MapData, u32, u64>::create(4096, 0).unwrap();
        foreign.pin(root.map(map::ENDPOINTS4)).unwrap();
        let refused = loader().load(root).unwrap_err().to_string();
        assert!(refused.contains("ENDPOINTS4") && refused.contains("value_size 8"), "{refused}");
        let pinned = Pinned::open(root).unwrap().unwrap();
        let refused = pinned.endpoints().unwrap_err().to_string();
        assert!(refused.contains("value size 8") && refused.contains("needs 24"), "{refused}");
    });
}

#[test]
fn a_directory_that_is_not_on_a_bpffs_is_named() {
    isolated(|_| {
        let directory = tempfile::tempdir().unwrap();
        let refused = loader().load(&Root::new(directory.path())).unwrap_err();
        assert!(matches!(refused, Error::NotBpffs { .. }), "{refused}");
        assert!(refused.to_string().contains(&directory.path().display().to_string()), "{refused}");
    });
}

#[test]
fn an_endpoint_is_removed_only_by_its_interface_and_takes_its_flows_along() {
    use caracal_abi::{Be16, Flow, FlowKey, Ip4};
    isolated(|root| {
        loader().load(root).unwrap();
        let pinned = Pinned::open(root).unwrap().unwrap();
        let addr: Ip4 = "10.0.0.1".parse::<std::net::Ipv4Addr>().unwrap().into();
        let other: Ip4 = "10.0.0.2".parse::<std::net::Ipv4Addr>().unwrap().into();
        let third: Ip4 = "10.0.0.3".parse::<std::net::Ipv4Addr>().unwrap().into();
        let endpoint = Endpoint { ifindex: 7, pod_mac: Mac([2, 0, 0, 0, 0, 1]), ..Endpoint::default() };
        pinned.set_endpoint(addr.into(), &endpoint).unwrap();
        let mut flows = pinned.flows4().unwrap();
        let key = |src, dst, port| FlowKey::new(src, dst, Be16::new(port), Be16::new(80), 6);
        let kept = key(other, third, 1);
        let keys: Vec<_> = (1..=3000).map(|port| key(addr, other, port)).collect();
        let entries: Vec<_> =
            keys.iter().flat_map(|k| [(*k, Flow::default()), (k.reverse(), Flow::default())]).collect();
        flows.main.set_all(&entries).unwrap();
        let flow = Flow { in_ifindex: 9, ..Flow::default() };
        flows.new.set(&kept, &flow).unwrap();
        flows.new.set(&key(addr, third, 1), &flow).unwrap();
        flows.new.set(&key(third, addr, 1), &flow).unwrap();

        pinned.remove_endpoint(addr.into(), 8).unwrap();
        assert_eq!(pinned.endpoints().unwrap().len(), 1, "interface 8 does not own it");
        assert_eq!(flows.entries().unwrap().len(), 6003);

        pinned.remove_endpoint(addr.into(), 7).unwrap();
        assert!(pinned.endpoints().unwrap().is_empty());
        assert_eq!(flows.entries().unwrap(), [(kept, flow)]);
        pinned.remove_endpoint(addr.into(), 7).unwrap();
    });
}

#[test]
fn ports_of_a_pod_whose_interface_is_gone_lead_nowhere_any_more() {
    isolated(|root| {
        loader().load(root).unwrap();
        let pinned = Pinned::open(root).unwrap().unwrap();
        // Loopback is there, the others are not; the last has nothing but its port.
        let [here, gone, half_gone] = [("10.0.0.1", 1), ("10.0.0.2", 4711), ("fd00::3", 4712)];
        let map = |(pod_ip, ifindex): (&str, u32), host_port| {
            let pod_ip: std::net::IpAddr = pod_ip.parse().unwrap();
            let host_ip = if pod_ip.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
            let mapping = Mapping { host_ip, host_port, protocol: 6, pod_ip, pod_port: 80 };
            pinned.map_port(&mapping, ifindex).unwrap().unwrap();
            mapping
        };
        for (number, (pod_ip, ifindex)) in [here, gone].into_iter().enumerate() {
            let pod = Pod::new(pod_ip, u8::try_from(number).unwrap(), ifindex);
            pinned.set_endpoint(pod.ip, &pod.endpoint()).unwrap();
        }
        let kept = map(here, 8080);
        map(gone, 8081);
        map(half_gone, 8082);
        pinned.forget_gone().unwrap();
        assert_eq!(pinned.mappings().unwrap(), [(kept, 1)]);
        assert_eq!(pinned.endpoints().unwrap().len(), 1);
        // The port is free for the next pod.
        map(("10.0.0.9", 1), 8081);
    });
}
