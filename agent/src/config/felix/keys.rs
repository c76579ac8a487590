//! Calico's keys that mean something here.

use serde_json::Value;

use super::translate::{conntrack_size, host, path, port, ports, reverse_path, seconds, severity, switch, timeouts};

/// One of Calico's keys.
pub(super) struct Key {
    /// As a FelixConfiguration has it.
    pub(super) name: &'static str,
    /// What it is here.
    pub(super) setting: &'static str,
    /// Its value as the setting's.
    pub(super) read: fn(&Value) -> Result<Vec<String>, String>,
}

impl Key {
    /// As a variable has it, in lower case and without `FELIX_`.
    pub(super) fn variable(&self) -> String {
        self.name.to_lowercase()
    }
}

const fn key(name: &'static str, setting: &'static str, read: fn(&Value) -> Result<Vec<String>, String>) -> Key {
    Key { name, setting, read }
}

/// Of two for one setting, the later counts.
pub(super) const KEYS: &[Key] = &[
    key("bpfPSNATPorts", "masquerade-ports", ports),
    key("natPortRange", "masquerade-ports", ports),
    key("bpfEnforceRPF", "reverse-path", reverse_path),
    key("bpfMapSizeConntrack", "flow-entries", conntrack_size),
    key("bpfConntrackTimeouts", "timeout", timeouts),
    key("cgroupV2Path", "cgroup", path),
    key("healthEnabled", "health", switch),
    key("healthHost", "health-host", host),
    key("healthPort", "health-port", port),
    key("prometheusMetricsEnabled", "metrics", switch),
    key("prometheusMetricsHost", "metrics-host", host),
    key("prometheusMetricsPort", "metrics-port", port),
    key("dataplaneWatchdogTimeout", "watchdog-seconds", seconds),
    key("logSeverityScreen", "log-level", severity),
];

/// Those that Calico reads from a node's own environment alone.
pub(super) const FOR_NODES: &[Key] = &[key("felixHostname", "node-name", path)];
