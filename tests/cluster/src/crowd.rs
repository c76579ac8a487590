//! A cluster as large as the agent has to take.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{control_plane::ControlPlane, object::Object};

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Services, each with one slice.
    pub services: usize,
    /// Endpoints of each.
    pub endpoints: usize,
    /// Pods, the endpoints among them.
    pub pods: usize,
}

const ONE_OF_EACH: &str = include_str!("../scenarios/one-of-many.yaml");

impl Crowd {
    /// Makes all of it, in namespace `crowd`.
    pub fn gather(self, control: &ControlPlane) -> Result<()> {
        control.api().apply(ONE_OF_EACH)?;
        let one = |kind: &str| {
            let mut objects = Object::read_all(ONE_OF_EACH)?.into_iter();
            objects.find(|object| object.kind() == kind).with_context(|| format!("no {kind} to multiply"))
        };
        control.multiply(&one("Pod")?, self.pods, |number, pod| {
            pod["metadata"]["name"] = format!("pod-{number}").into();
            pod["metadata"]["labels"]["app"] = format!("app-{}", number / self.endpoints).into();
            pod["spec"]["nodeName"] = format!("n{}", number / 100).into();
            pod["status"]["podIP"] = address(number).into();
            pod["status"]["podIPs"] = json!([{ "ip": address(number) }]);
        })?;
        control.multiply(&one("Service")?, self.services, |number, service| {
            service["metadata"]["name"] = name(number);
            let ip = format!("10.96.{}.{}", 100 + number / 250, 1 + number % 250);
            service["spec"]["clusterIP"] = ip.as_str().into();
            service["spec"]["clusterIPs"] = json!([ip]);
        })?;
        control.multiply(&one("EndpointSlice")?, self.services, |number, slice| {
            slice["metadata"]["name"] = name(number);
            slice["metadata"]["labels"]["kubernetes.io/service-name"] = name(number);
            let pods = number * self.endpoints..(number + 1) * self.endpoints;
            let endpoint = |pod| {
                let target = json!({ "kind": "Pod", "namespace": "crowd", "name": format!("pod-{pod}") });
                json!({
                    "addresses": [address(pod)],
                    "conditions": { "ready": true, "serving": true, "terminating": false },
                    "nodeName": format!("n{}", pod / 100),
                    "targetRef": target,
                })
            };
            slice["endpoints"] = pods.map(endpoint).collect();
        })
    }
}

fn name(number: usize) -> Value {
    format!("app-{number}").into()
}

fn address(pod: usize) -> String {
    format!("10.{}.{}.{}", 100 + pod / 62_500, pod / 250 % 250, 1 + pod % 250)
}
