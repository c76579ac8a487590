use super::*;

fn error(yaml: &str) -> String {
    format!("{:#}", LabSpec::parse(yaml).unwrap_err())
}

#[test]
fn the_shipped_examples_are_valid() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut read = 0;
    for entry in fs::read_dir(dir).unwrap() {
        LabSpec::read(&entry.unwrap().path()).unwrap();
        read += 1;
    }
    assert!(read > 0, "there are examples");
}

#[test]
fn what_is_left_out_has_a_default() {
    let spec = LabSpec::parse("name: x\nnodes: [{name: n1}]").unwrap();
    assert_eq!(spec, LabSpec { nodes: vec![NodeSpec::new("n1")], ..LabSpec::new("x") });
    assert_eq!(spec.lan_cidrs.len(), 2, "both families");
}

#[test]
fn a_field_that_does_not_exist_is_named_with_its_line() {
    let error = error("name: x\nnodes:\n  - name: n1\n    adresses: []\n");
    assert!(error.contains("nodes[0]") && error.contains("`adresses`") && error.contains("line 4"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_line() {
    let lan = error("name: x\nlan: token-ring\n");
    assert!(lan.contains("lan") && lan.contains("token-ring") && lan.contains("line 2"), "{lan}");
    let cidr = error("name: x\nnodes:\n- name: n1\n  podCIDRs: [10.0.0.0/99]\n");
    assert!(cidr.contains("nodes[0].podCIDRs") && cidr.contains("10.0.0.0/99") && cidr.contains("line 4"), "{cidr}");
    let conflist = error("name: x\nconflist: 7\n");
    assert!(conflist.contains("neither a mapping nor the path"), "{conflist}");
}

#[test]
fn names_are_checked_and_so_is_what_refers_to_them() {
    for (yaml, expected) in [
        ("name: X", "lab `X`"),
        ("name: x\nnodes: [{name: a-node-with-a-long-name}]", "at most 15"),
        ("name: x\nnodes: [{name: br0}]", "uses that name itself"),
        ("name: x\nnodes: [{name: a}]\nclients: [{name: a}]", "client `a`: another"),
        ("name: x\npods: [{name: p, node: n9}]", "pod `p`: no node `n9`"),
        ("name: x\nnodes: [{name: a}]\npods: [{name: p, node: a}, {name: p, node: a}]", "has a pod of that name"),
        ("name: x\nlanCIDRs: [172.31.0.9/16]", "bits behind its prefix"),
        ("name: x\nlanCIDRs: [10.0.0.0/16, 10.1.0.0/16]", "more than one range"),
    ] {
        assert!(error(yaml).contains(expected), "{yaml}: {}", error(yaml));
    }
}

#[test]
fn a_conflist_is_a_mapping_or_a_file_beside_the_yaml() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lab.yaml");
    fs::write(&file, "name: x\nconflist: {name: net, plugins: []}\nnodes: [{name: n1, conflist: other.json}]").unwrap();
    fs::write(dir.path().join("other.json"), r#"{"name": "other"}"#).unwrap();
    let spec = LabSpec::read(&file).unwrap();
    assert_eq!(spec.conflist.unwrap().value().unwrap()["name"], "net");
    assert_eq!(spec.nodes[0].conflist.as_ref().unwrap().value().unwrap()["name"], "other");

    fs::remove_file(dir.path().join("other.json")).unwrap();
    let error = format!("{:#}", LabSpec::read(&file).unwrap_err());
    assert!(error.contains("other.json"), "{error}");
}
