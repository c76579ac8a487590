//! What nodes of Azure have in `/etc/cni/net.d`, by kind of network: the lists that we come after.

/// A vendor's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorList {
    /// The kind of network.
    pub network: &'static str,
    /// The file's name on the node.
    pub file: &'static str,
    /// Its content.
    pub content: &'static str,
}

/// The lists of azure-vnet in transparent mode.
pub const AZURE: [VendorList; 5] = [
    VendorList { network: "node subnet", file: "10-azure.conflist", content: NODE_SUBNET },
    VendorList { network: "pod subnet", file: "15-azure-swift.conflist", content: POD_SUBNET },
    VendorList { network: "overlay", file: "15-azure-swift-overlay.conflist", content: OVERLAY },
    VendorList { network: "overlay, written by CNS", file: "15-azure-swift-overlay.conflist", content: V4_OVERLAY },
    VendorList {
        network: "dual-stack overlay, written by CNS",
        file: "15-azure-swift-overlay.conflist",
        content: DUAL_STACK_OVERLAY,
    },
];

/// A list of azure-vnet and portmap. Of what azure-vnet is told, `$more` comes before its IPAM and `$after` behind.
macro_rules! azure {
    ($more:literal, $ipam:literal, $after:literal) => {
        concat!(
            "{\n  \"cniVersion\": \"0.3.0\",\n  \"name\": \"azure\",\n  \"plugins\": [\n",
            "    {\n      \"type\": \"azure-vnet\",\n      \"mode\": \"transparent\",\n",
            $more,
            "      \"ipsToRouteViaHost\": [\"169.254.20.10\"],\n",
            "      \"ipam\": ",
            $ipam,
            $after,
            "\n    },\n",
            "    {\n      \"type\": \"portmap\",\n      \"capabilities\": {\"portMappings\": true},\n      \"snat\": true\n    }\n",
            "  ]\n}\n"
        )
    };
}

const NODE_SUBNET: &str = azure!("", r#"{"type": "azure-vnet-ipam"}"#, "");
const POD_SUBNET: &str = azure!("      \"executionMode\": \"v4swift\",\n", r#"{"type": "azure-cns"}"#, "");
const OVERLAY: &str = azure!("", r#"{"type": "azure-cns", "mode": "overlay"}"#, "");
const V4_OVERLAY: &str = azure!(
    "",
    r#"{"type": "azure-cns", "mode": "v4overlay"}"#,
    ",\n      \"dns\": {},\n      \"runtimeConfig\": {\"dns\": {}},\n      \"windowsSettings\": {}"
);
const DUAL_STACK_OVERLAY: &str = azure!(
    "",
    r#"{"type": "azure-cns", "mode": "dualStackOverlay"}"#,
    ",\n      \"dns\": {},\n      \"runtimeConfig\": {\"dns\": {}},\n      \"windowsSettings\": {}"
);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_is_a_list_that_begins_with_azure_vnet() {
        let modes = AZURE.map(|vendor| {
            let list: Value = serde_json::from_str(vendor.content).unwrap();
            assert_eq!((&list["cniVersion"], &list["name"]), (&"0.3.0".into(), &"azure".into()), "{}", vendor.network);
            assert_eq!(list["plugins"][0]["type"], "azure-vnet");
            assert_eq!(list["plugins"][1]["type"], "portmap");
            list["plugins"][0]["ipam"]["mode"].as_str().unwrap_or_default().to_owned()
        });
        assert_eq!(modes, ["", "", "overlay", "v4overlay", "dualStackOverlay"]);
    }
}
