//! The lists that we ship, as they are written to nodes: Go's libcni reads them, and containers live by them.

use caracal_cni_suite::{Cell, Kind, addresses, rows};
use caracal_conflist::{AZURE, ChainedOptions, CniVersion, PrimaryOptions, chained, primary};
use caracal_lab::Site as _;
use serde_json::Value;

rows! {
    // Lists have versions of their own: the row's is none of their business.
    primary_lists: since_1_1_0, [driver, cnitool, rust_cni];
    chained_after_azure_vnet: since_1_1_0, [driver, cnitool, rust_cni];
}

/// azure-vnet's place is taken by ptp, which is given an IPAM that works here; what is left of the configuration is the
/// vendor's.
const STAND_IN: &str = r#"jq -c '.ipam = {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}' | /opt/cni/bin/ptp"#;

/// Two containers live by a list.
fn works(cell: &Cell, list: &str) {
    let list: Value = serde_json::from_str(list).unwrap();
    let newest = list["cniVersions"].as_array().and_then(|versions| versions.last()).unwrap_or(&list["cniVersion"]);
    let version = if cell.kind == Kind::RustCni { &list["cniVersion"] } else { newest }.as_str().unwrap();
    if version >= "1.1.0" && cell.kind != Kind::RustCni {
        cell.status(&list).unwrap();
    }
    let (a, b) = (cell.container("a"), cell.container("b"));
    let (a_result, b_result) = (cell.add(&list, &a), cell.add(&list, &b));
    assert_eq!(a_result["cniVersion"], version, "{a_result}");
    let b_ips = addresses(&b_result);
    assert_eq!(addresses(&a_result).len(), b_ips.len());
    for ip in b_ips {
        a.ping(ip).unwrap();
    }
    if version >= "0.4.0" && cell.kind != Kind::RustCni {
        cell.check(&list, &a).unwrap();
    }
    cell.del(&list, &a);
    cell.del(&list, &b);
    cell.is_clean();
    for container in [&a, &b] {
        container.end().unwrap();
    }
}

fn primary_lists(cell: &Cell) {
    let families: [&[&str]; 3] = [&["10.244.1.0/24"], &["fd00:244:1::/64"], &["10.244.1.0/24", "fd00:244:1::/64"]];
    for family in families {
        let subnets = family.iter().map(|subnet| subnet.parse().unwrap()).collect();
        let options = PrimaryOptions::new("pods", subnets);
        for version in [CniVersion::V1_0_0, CniVersion::V1_1_0, CniVersion::Newest] {
            let options = PrimaryOptions { version, ..options.clone() };
            works(cell, &primary(&options).to_json());
        }
        works(cell, &primary(&PrimaryOptions { companions: true, ..options }).to_json());
    }
}

fn chained_after_azure_vnet(cell: &Cell) {
    cell.script("azure-vnet", STAND_IN);
    for vendor in AZURE {
        works(cell, &chained(vendor.content, &ChainedOptions::default()).unwrap());
    }
}
