//! How API servers are run: what makes them slow to start and is of no use to tests is off.

use caracal_lab::{Machine, Site as _};

use super::{DIR, etcd, port};

/// Files that are the same for all API servers.
pub(super) const SHARED: [(&str, &str); 2] =
    [("tokens.csv", "admin,admin,admin,system:masters\n"), ("audit.yaml", AUDIT_POLICY)];

/// Who asked for what, and with what success. The administrator's own requests are of no interest.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, userGroups: ["system:serviceaccounts"]}
  - {level: None}
"#;

/// Flags that name a file.
const FILES: [(&str, &str); 6] = [
    ("tls-cert-file", "server.crt"),
    ("tls-private-key-file", "server.key"),
    ("service-account-signing-key-file", "account.key"),
    ("service-account-key-file", "account.pub"),
    ("token-auth-file", "tokens.csv"),
    ("audit-policy-file", "audit.yaml"),
];

const FLAGS: [&str; 11] = [
    "--service-account-issuer=https://kubernetes.default.svc",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
    "--authorization-mode=RBAC",
    "--allow-privileged=true",
    // Nobody makes the service accounts that it asks for.
    "--disable-admission-plugins=ServiceAccount",
    // Scenarios are to be the same without an API server.
    "--endpoint-reconciler-type=none",
    // Only tests compact.
    "--etcd-compaction-interval=0",
    "--enable-priority-and-fairness=false",
    "--max-requests-inflight=0",
    "--max-mutating-requests-inflight=0",
    "--profiling=false",
];

/// Where an API server writes requests down.
pub(super) fn audit_log(number: usize) -> String {
    format!("{DIR}/audit-{number}.log")
}

/// The arguments of API server `number`.
pub(super) fn of(machine: &Machine, number: usize) -> Vec<String> {
    let mut flags = vec![
        format!("--advertise-address={}", machine.ip4()),
        format!("--secure-port={}", port(number)),
        format!("--etcd-servers={}", etcd::URL),
        format!("--audit-log-path={}", audit_log(number)),
    ];
    flags.extend(FILES.map(|(flag, file)| format!("--{flag}={DIR}/{file}")));
    flags.extend(FLAGS.map(str::to_owned));
    flags
}
