//! Many processes at once, as after a reboot of a node.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use binary::{Answer, answer, start};
use serde_json::{Value, json};

#[path = "support/binary.rs"]
mod binary;

const AT_ONCE: usize = 64;
const ROUNDS: usize = 20;

#[test]
fn processes_never_share_an_address_and_leak_none() {
    let dir = tempfile::tempdir().unwrap();
    let conf = json!({
        "cniVersion": "1.0.0", "name": "net",
        "ipam": {
            "type": "caracal-ipam", "dataDir": dir.path(), "hostLocalDir": "",
            "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]],
        },
    });
    let names = |round: usize| (0..AT_ONCE).map(move |i| format!("c{round}-{i}"));
    let mut held: HashMap<String, Vec<String>> = HashMap::new();
    for round in 0..=ROUNDS {
        // The pods of the round before go while those of this one come.
        let arriving: Vec<_> = if round < ROUNDS { names(round).collect() } else { Vec::new() };
        let leaving: Vec<_> = round.checked_sub(1).into_iter().flat_map(names).collect();
        let adds: Vec<_> = arriving.iter().map(|name| start("ADD", name, "eth0", "", &conf)).collect();
        let dels: Vec<_> = leaving.iter().map(|name| start("DEL", name, "eth0", "", &conf)).collect();
        let mut given: HashMap<String, Vec<String>> = HashMap::new();
        for (name, child) in arriving.into_iter().zip(adds) {
            let answer = answer(child);
            assert_eq!(answer.exit, 0, "{answer:?}");
            let ips = answer.document["ips"].as_array().unwrap().iter();
            given.insert(name, ips.map(|ip| ip["address"].as_str().unwrap().to_owned()).collect());
        }
        for child in dels {
            let Answer { document, exit, stderr } = answer(child);
            assert_eq!((document, exit, stderr.as_str()), (Value::Null, 0, ""));
        }
        // Those that left may have been done before others came, so only this round's are surely there together.
        let mut seen = HashSet::new();
        assert!(given.values().flatten().all(|ip| seen.insert(ip.clone())), "given twice in round {round}: {given:?}");
        assert_eq!(seen.len(), given.len() * 2);
        held = given;
        let files = fs::read_dir(dir.path().join("net")).unwrap().map(|item| item.unwrap().file_name());
        let files: HashSet<_> = files.filter_map(|name| name.to_str().unwrap().parse().ok()).collect();
        let told: HashSet<std::net::IpAddr> =
            held.values().flatten().map(|ip| ip.split('/').next().unwrap().parse().unwrap()).collect();
        assert_eq!(files, told, "after round {round}");
    }
    assert!(held.is_empty());
    assert_eq!(fs::read_dir(dir.path().join("net/attachments")).unwrap().count(), 0);
}
