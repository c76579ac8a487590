//! What an account is allowed, and what is known of what it did.

use caracal_cluster::{Account, ControlPlane, Right, granted};
use caracal_lab::Lab;

const RBAC: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: ['', discovery.k8s.io], resources: [services], verbs: [list, get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: kube-system}]
";

fn right(group: &str, resource: &str, verb: &str) -> Right {
    Right { group: group.to_owned(), resource: resource.to_owned(), verb: verb.to_owned() }
}

#[test]
fn an_account_may_do_what_it_was_granted_and_is_seen_doing_it() {
    let lab = Lab::builder("accounts").client("control").start().unwrap();
    let control = ControlPlane::start(lab.client("control")).unwrap();
    let account = Account::create(control.api(), RBAC).unwrap();
    let api = control.api_as(&account).unwrap();
    api.get_text("/api/v1/services").unwrap();
    let refused = format!("{:#}", api.get_text("/api/v1/pods").unwrap_err());
    assert!(refused.contains("forbidden"), "{refused}");

    let asked = control.asked(&account).unwrap();
    let asked: Vec<_> = asked.iter().map(|asked| (asked.right.clone(), asked.code)).collect();
    assert_eq!(asked, [(right("", "services", "list"), 200), (right("", "pods", "list"), 403)]);
    control.stop().unwrap();
    lab.end().unwrap();
}

#[test]
fn rules_are_taken_apart_into_rights() {
    let rights: Vec<Right> = granted(RBAC).unwrap().into_iter().collect();
    let expected = [("", "get"), ("", "list"), ("discovery.k8s.io", "get"), ("discovery.k8s.io", "list")];
    assert_eq!(rights, expected.map(|(group, verb)| right(group, "services", verb)));
}
