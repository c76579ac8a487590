//! The test bed itself: an API server that is there, that does what it is told, and that leaves nothing.

use caracal_cluster::{ControlPlane, Kinds, Object};
use caracal_lab::{Lab, Site as _};
use serde_json::{Value, json};

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.80, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c, image: none}]}
status: {phase: Running, podIPs: [{ip: 10.244.1.5}], podIP: 10.244.1.5}
";

#[test]
fn objects_are_made_changed_and_deleted() {
    let lab = Lab::builder("objects").client("control").start().unwrap();
    let control = ControlPlane::start(lab.client("control")).unwrap();
    let api = control.api();
    api.apply(SHOP).unwrap();
    let objects = Object::read_all(SHOP).unwrap();
    let [_, service, pod] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!(api.get(service).unwrap()["spec"]["clusterIPs"], json!(["10.96.0.80"]));
    assert_eq!(api.get(pod).unwrap()["status"]["podIPs"], json!([{ "ip": "10.244.1.5" }]));

    api.patch(pod, &json!({ "metadata": { "labels": { "app": "other" } } })).unwrap();
    assert_eq!(api.get(pod).unwrap()["metadata"]["labels"]["app"], "other");

    api.delete(SHOP).unwrap();
    for object in &objects {
        let gone = format!("{:#}", api.get(object).unwrap_err());
        assert!(gone.contains("not found"), "{gone}");
    }
    control.stop().unwrap();
    lab.end().unwrap();
}

#[test]
fn what_was_written_survives_a_killed_api_server() {
    let lab = Lab::builder("survives").client("control").start().unwrap();
    let mut control = ControlPlane::start(lab.client("control")).unwrap();
    control.api().apply(SHOP).unwrap();
    control.kill_api_server(0).unwrap();
    assert!(control.api().get_text("/readyz").is_err());
    control.start_api_server(0).unwrap();
    control.compact().unwrap();
    for object in Object::read_all(SHOP).unwrap() {
        control.api().get(&object).unwrap();
    }
    control.stop().unwrap();
    lab.end().unwrap();
}

#[test]
fn a_control_plane_that_is_dropped_is_gone_at_once_and_another_takes_its_place() {
    let lab = Lab::builder("dropped").client("control").start().unwrap();
    let machine = lab.client("control");
    let names = || machine.run("sh", ["-c", "cat /proc/[0-9]*/comm"]).unwrap();
    let is_there = |name: &str| names().lines().any(|line| line == name);
    let control = ControlPlane::start(machine).unwrap();
    control.api().apply(SHOP).unwrap();
    assert!(is_there("kube-apiserver") && is_there("etcd"), "{}", names());
    drop(control);
    assert!(!is_there("kube-apiserver") && !is_there("etcd"), "{}", names());

    let control = ControlPlane::start(machine).unwrap();
    let objects = Object::read_all(SHOP).unwrap();
    control.api().get(&objects[0]).unwrap_err();
    control.stop().unwrap();
    lab.end().unwrap();
}

#[test]
fn every_kind_that_the_agent_reads_can_be_written() {
    let lab = Lab::builder("kinds").client("control").start().unwrap();
    let control = ControlPlane::start(lab.client("control")).unwrap();
    control.api().install(&Kinds::ALL).unwrap();
    let scenario = include_str!("../../scenarios/every-kind.yaml");
    control.api().apply(scenario).unwrap();
    for object in Object::read_all(scenario).unwrap() {
        // Nothing of it was thrown away as unknown.
        let (read, written) = (control.api().get(&object).unwrap(), object.body());
        assert!(contains(&read["spec"], &written["spec"]), "{object}: {read:#}");
        assert!(contains(&read["status"], &written["status"]), "{object}: {read:#}");
    }
    control.api().delete(scenario).unwrap();
    control.stop().unwrap();
    lab.end().unwrap();
}

/// Whether all that was written was kept; servers add to it.
fn contains(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            written.iter().all(|(key, value)| read.get(key).is_some_and(|read| contains(read, value)))
        }
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len() && read.iter().zip(written).all(|(read, written)| contains(read, written))
        }
        (_, Value::Null) => true,
        (read, written) => read == written,
    }
}
