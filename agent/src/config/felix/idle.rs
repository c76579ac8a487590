//! Calico's keys that mean nothing here, and why.

/// Keys of a FelixConfiguration, by why they have no effect.
pub const IDLE: &[(&str, &[&str])] = &[
    (
        "Caracal does not serve services; whoever does goes on",
        &[
            "bpfEnabled",
            "bpfExternalServiceMode",
            "bpfDSROptoutCIDRs",
            "bpfExcludeCIDRsFromNAT",
            "bpfConnectTimeLoadBalancing",
            "bpfConnectTimeLoadBalancingEnabled",
            "bpfHostNetworkedNATWithoutCTLB",
            "bpfKubeProxyHealthzPort",
            "bpfKubeProxyIptablesCleanupEnabled",
            "bpfKubeProxyMinSyncPeriod",
            "bpfMapSizeNATAffinity",
            "bpfMapSizeNATBackend",
            "bpfMapSizeNATFrontend",
            "bpfExtToServiceConnmark",
            "bpfMaglevMaxEndpointsPerService",
            "bpfMaglevMaxServices",
            "kubeNodePortRanges",
            "serviceLoopPrevention",
        ],
    ),
    (
        "Caracal does not enforce policies",
        &[
            "bpfMapSizeIPSets",
            "bpfPolicyDebugEnabled",
            "defaultEndpointToHostAction",
            "failsafeInboundHostPorts",
            "failsafeOutboundHostPorts",
            "logActionRateLimit",
            "logActionRateLimitBurst",
            "logPrefix",
            "policySyncPathPrefix",
        ],
    ),
    (
        "Caracal has no tunnels",
        &[
            "allowIPIPPacketsFromWorkloads",
            "allowVXLANPacketsFromWorkloads",
            "bpfOverlayHostSourceIP",
            "externalNodesList",
            "ipipEnabled",
            "ipipMTU",
            "vxlanEnabled",
            "vxlanMTU",
            "vxlanMTUV6",
            "vxlanPort",
            "vxlanVNI",
            "wireguardEnabled",
            "wireguardEnabledV6",
            "wireguardHostEncryptionEnabled",
            "wireguardInterfaceName",
            "wireguardInterfaceNameV6",
            "wireguardKeepAlive",
            "wireguardListeningPort",
            "wireguardListeningPortV6",
            "wireguardMTU",
            "wireguardMTUV6",
            "wireguardRoutingRulePriority",
            "wireguardThreadingEnabled",
            "prometheusWireGuardMetricsEnabled",
        ],
    ),
    (
        "Caracal writes no rules of netfilter",
        &[
            "chainInsertMode",
            "disableConntrackInvalidCheck",
            "iptablesBackend",
            "iptablesFilterAllowAction",
            "iptablesFilterDenyAction",
            "iptablesLockProbeInterval",
            "iptablesMangleAllowAction",
            "iptablesMarkMask",
            "iptablesNATOutgoingInterfaceFilter",
            "iptablesPostWriteCheckInterval",
            "iptablesRefreshInterval",
            "ipsetsRefreshInterval",
            "maxIpsetSize",
            "nftablesFilterAllowAction",
            "nftablesFilterDenyAction",
            "nftablesFlowTableDataIfacePattern",
            "nftablesFlowTableOffload",
            "nftablesMangleAllowAction",
            "nftablesMarkMask",
            "nftablesMode",
            "nftablesRefreshInterval",
        ],
    ),
    (
        "the programs write no log; --events and caracalctl monitor show packets",
        &[
            "bpfCTLBLogFilter",
            "bpfConntrackLogLevel",
            "bpfLogFilters",
            "bpfLogLevel",
            "bpfProfiling",
            "bpfExportBufferSizeMB",
        ],
    ),
    (
        "what the kernel can do is found out by trying",
        &["bpfAttachType", "bpfRedirectToPeer", "featureDetectOverride", "featureGates"],
    ),
    (
        "--nic names the interfaces, otherwise all with an address are taken that are not pods'; pods' are known by the plugin",
        &["bpfDataIfacePattern", "bpfL3IfacePattern", "interfaceExclude", "interfacePrefix", "mtuIfacePattern"],
    ),
    (
        "flow tables are swept every five seconds, and have a size of their own",
        &[
            "bpfConntrackMode",
            "bpfMapSizeConntrackCleanupQueue",
            "bpfMapSizeConntrackScaling",
            "bpfMapSizePerCpuConntrack",
            "bpfIPFragTimeout",
            "bpfIPFragmentReassemblyEnabled",
        ],
    ),
    ("Caracal has no such map", &["bpfMapSizeIfState", "bpfMapSizeRoute"]),
    (
        "the host's connection tracking is left to the host; see --host-nat",
        &["bpfForceTrackPacketsFromIfaces", "bpfHostConntrackBypass"],
    ),
    (
        "the node's sysctls and offloads are left to the administrator",
        &["bpfDisableGROForIfaces", "bpfDisableUnprivileged", "bpfJITHardening", "ipForwarding"],
    ),
    (
        "routes carry protocol number 202, and no other is touched",
        &[
            "deviceRouteProtocol",
            "deviceRouteSourceAddress",
            "deviceRouteSourceAddressIPv6",
            "ipv4ElevatedRoutePriority",
            "ipv4NormalRoutePriority",
            "ipv6ElevatedRoutePriority",
            "ipv6NormalRoutePriority",
            "liveMigrationRouteConvergenceTime",
            "localSubnetL2Reachability",
            "localSubnetL2ReachabilityRefreshInterval",
            "programClusterRoutes",
            "removeExternalRoutes",
            "routeSource",
            "routeSyncDisabled",
            "routeTableRange",
            "routeTableRanges",
        ],
    ),
    (
        "the address is that of the NIC a packet leaves by; --no-masquerade-to says where it is kept",
        &["natOutgoingAddress", "natOutgoingExclusions"],
    ),
    (
        "everything is compared with the kernel at intervals that need no choice",
        &["interfaceRefreshInterval", "netlinkTimeout", "routeRefreshInterval", "xdpRefreshInterval"],
    ),
    ("IPv4 and IPv6 are always both there", &["ipv6Support"]),
    ("a pod's annotation alone says where else it may send from", &["workloadSourceSpoofing"]),
    (
        "Caracal has no programs for XDP or for sockets of side-cars",
        &["genericXDPEnabled", "sidecarAccelerationEnabled", "xdpEnabled"],
    ),
    (
        "logs go to standard error",
        &["debugDisableLogDropping", "logDebugFilenameRegex", "logFilePath", "logSeverityFile", "logSeveritySys"],
    ),
    (
        "metrics are served in the clear, and always with those of the process; keep them on a loopback address, with a \
         proxy before them",
        &[
            "prometheusGoMetricsEnabled",
            "prometheusMetricsCAFile",
            "prometheusMetricsCertFile",
            "prometheusMetricsClientAuth",
            "prometheusMetricsKeyFile",
            "prometheusProcessMetricsEnabled",
        ],
    ),
    ("all parts of the agent have --watchdog-seconds", &["healthTimeoutOverrides"]),
    ("--debug serves the agent's state on the health port", &["debugHost", "debugPort"]),
    (
        "nothing is reported to anybody",
        &[
            "endpointReportingDelay",
            "endpointReportingEnabled",
            "endpointStatusPathPrefix",
            "flowLogsCollectorDebugTrace",
            "flowLogsFlushInterval",
            "flowLogsGoldmaneServer",
            "flowLogsLocalReporter",
            "flowLogsPolicyEvaluationMode",
            "reportingInterval",
            "reportingTTL",
            "usageReportingEnabled",
            "usageReportingInitialDelay",
            "usageReportingInterval",
        ],
    ),
    (
        "it is about how Felix is built",
        &[
            "dataplaneDriver",
            "debugMemoryProfilePath",
            "debugSimulateCalcGraphHangAfter",
            "debugSimulateDataplaneApplyDelay",
            "debugSimulateDataplaneHangAfter",
            "goGCThreshold",
            "goMaxProcs",
            "goMemoryLimitMB",
            "requireMTUFile",
            "useInternalDataplaneDriver",
        ],
    ),
    ("the objects `default` and `node.` with a node's name are read, whatever they select", &["nodeSelector"]),
    (
        "Caracal is not on such platforms",
        &["awsSrcDstCheck", "metadataAddr", "metadataPort", "openstackRegion", "windowsManageFirewallRules"],
    ),
    ("Caracal knows nothing of it", &["floatingIPs", "istioAmbientMode", "istioDSCPMark"]),
];

/// Variables that are called otherwise than the key.
const RENAMED: &[(&str, &str)] = &[
    ("ipinipenabled", "ipipEnabled"),
    ("ipinipmtu", "ipipMTU"),
    ("bpfconntrackcleanupmode", "bpfConntrackMode"),
    ("endpointreportingdelaysecs", "endpointReportingDelay"),
    ("externalnodescidrlist", "externalNodesList"),
    ("iptableslockprobeintervalmillis", "iptablesLockProbeInterval"),
    ("iptablespostwritecheckintervalsecs", "iptablesPostWriteCheckInterval"),
    ("netlinktimeoutsecs", "netlinkTimeout"),
    ("reportingintervalsecs", "reportingInterval"),
    ("reportingttlsecs", "reportingTTL"),
    ("usagereportinginitialdelaysecs", "usageReportingInitialDelay"),
    ("usagereportingintervalsecs", "usageReportingInterval"),
    ("wireguardpersistentkeepalive", "wireguardKeepAlive"),
];

/// Variables that no FelixConfiguration has, or what they begin with.
const VARIABLES: &[(&str, &[&str])] = &[
    (
        "Caracal reads the Kubernetes API or manifests, and nothing else",
        &["datastoretype", "etcd", "typha", "clusterguid", "clustertype", "calicoversion", "variant"],
    ),
    ("Caracal has no tunnels", &["ipinip", "ipv4vxlan", "ipv6vxlan", "vxlantunnel"]),
    ("it is about how Felix is built", &["debug", "configfilepath"]),
];

/// Why a key has no effect; `None` if it is unknown.
pub(super) fn why(key: &str) -> Option<&'static str> {
    IDLE.iter().find(|(_, keys)| keys.contains(&key)).map(|(why, _)| *why)
}

/// The same of a variable.
pub(super) fn why_variable(name: &str) -> Option<&'static str> {
    if let Some((_, key)) = RENAMED.iter().find(|(variable, _)| *variable == name) {
        return why(key);
    }
    let by_key = IDLE.iter().find(|(_, keys)| keys.iter().any(|key| key.to_lowercase() == name));
    let by_beginning = || VARIABLES.iter().find(|(_, beginnings)| beginnings.iter().any(|it| name.starts_with(it)));
    by_key.or_else(by_beginning).map(|(why, _)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_known_by_their_keys_and_by_names_of_their_own() {
        for name in ["vxlanmtu", "ipinipmtu", "typhak8sservicename", "ipinipenabled", "debugcpuprofilepath"] {
            assert!(why_variable(name).is_some(), "{name}");
        }
        assert_eq!(why_variable("bpfloglevels"), None);
        assert!(RENAMED.iter().all(|(_, key)| why(key).is_some()));
    }
}
