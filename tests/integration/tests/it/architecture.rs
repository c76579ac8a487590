//! The tree is what ARCHITECTURE.md draws: crates depend on each other in one direction only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Who may use whom; nobody else may. Test and build dependencies count as well.
const MAY_USE: [(&str, &[&str]); 21] = [
    ("ebpf/abi", &[]),
    ("ebpf/builder", &[]),
    ("ebpf/logic", &["ebpf/abi"]),
    ("ebpf", &["ebpf/abi", "ebpf/logic"]),
    ("datapath", &["ebpf/abi", "ebpf/builder", "ebpf/logic", "netlink"]),
    ("endpoints", &[]),
    ("ipam", &[]),
    ("netlink", &["ebpf/abi"]),
    ("conflist", &["ipam"]),
    ("cni-plugin", &["conflist", "datapath", "endpoints", "ipam", "netlink"]),
    ("agent", &["cni-plugin", "conflist", "datapath", "endpoints", "ipam", "netlink"]),
    ("ctl", &["conflist", "datapath", "ebpf/abi"]),
    ("tests/ebpf", &[]),
    ("tests/lab", &[]),
    ("tests/harness", &["datapath", "ebpf/abi", "ebpf/builder"]),
    ("tests/integration", &["conflist", "datapath", "ebpf/abi", "tests/harness", "tests/lab"]),
    ("tests/azure", &["conflist", "tests/lab"]),
    ("tests/stress", &["datapath", "tests/lab"]),
    ("tests/cluster", &["tests/lab"]),
    ("tests/cni", &["conflist", "tests/lab"]),
    ("tests/demo", &["tests/integration", "tests/lab"]),
];
/// Not in the table: it may measure everything.
const BENCH: &str = "tests/bench";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// The string behind `key = "` in a manifest's line.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?.split('"').next()
}

/// The members of the workspace, and each one's crates of ours by the folder they are in.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let listed = workspace.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let folders: Vec<String> = listed.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let manifests: BTreeMap<&String, String> =
        folders.iter().map(|f| (f, fs::read_to_string(root().join(f).join("Cargo.toml")).unwrap())).collect();
    let names: BTreeMap<&str, &String> = manifests
        .iter()
        .map(|(folder, manifest)| (manifest.lines().find_map(|line| quoted(line, "name")).unwrap(), *folder))
        .collect();
    let uses = |manifest: &str| {
        let dependencies = manifest.lines().filter(|line| line.starts_with("caracal-"));
        let dependencies = dependencies.map(|line| line.split(['.', ' ', '=']).next().unwrap());
        dependencies.map(|name| names[name].clone()).collect()
    };
    manifests.iter().map(|(folder, manifest)| ((*folder).clone(), uses(manifest))).collect()
}

#[test]
fn crates_use_only_what_the_architecture_lets_them() {
    let members = members();
    for (folder, used) in &members {
        if folder == BENCH {
            continue;
        }
        let (_, allowed) = MAY_USE.iter().find(|(f, _)| f == folder).unwrap_or_else(|| panic!("{folder} is not drawn"));
        let allowed: BTreeSet<String> = allowed.iter().map(|f| (*f).to_owned()).collect();
        let forbidden: Vec<_> = used.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{folder} uses {forbidden:?}, which ARCHITECTURE.md does not draw");
    }
    assert_eq!(members.len(), MAY_USE.len() + 1, "the table names folders that are gone");
}

#[test]
fn the_document_names_every_folder_at_the_top() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for folder in members().keys() {
        let name = folder.rsplit('/').next().unwrap();
        assert!(document.contains(name), "ARCHITECTURE.md does not mention {folder}");
    }
}

#[test]
fn the_guide_says_what_every_counter_means() {
    let guide = fs::read_to_string(root().join("docs/guide.md")).unwrap();
    let reasons = caracal_abi::Reason::ALL.iter().map(|reason| reason.name());
    let missing: Vec<_> = reasons.filter(|name| !guide.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/guide.md says nothing of {missing:?}");
}
