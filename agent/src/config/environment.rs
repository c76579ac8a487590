//! Variables of the environment: ours, those that others know a setting by, and Calico's.

use std::{collections::BTreeMap, ffi::OsString};

use super::{Layer, Origin, felix};
use crate::options::SETTINGS;

/// What they say. Ours come before Calico's, and those before what others set for purposes of their own.
pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Layer {
    let mut layer = Layer::default();
    let variables: BTreeMap<String, OsString> =
        variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let (mut ours, mut calicos) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in &variables {
        let of_felix =
            name.get(..6).filter(|start| start.eq_ignore_ascii_case("felix_")).map(|_| name[6..].to_lowercase());
        let is_ours = SETTINGS.iter().any(|it| it.variable() == *name || it.aliases.contains(&name.as_str()));
        if of_felix.is_none() && !is_ours {
            if name.starts_with("CARACAL_") && name != super::FILE_VARIABLE && !is_service_link(name, value.to_str()) {
                layer.note(Origin::Environment(name.clone()), "there is no such setting");
            }
            continue;
        }
        match (of_felix, value.to_str()) {
            // Set and empty is how templates leave something out.
            (_, Some("")) => {}
            (_, None) => layer.complain(Origin::Environment(name.clone()), "it is not text"),
            (_, Some(text)) if is_service_link(name, Some(text)) => {
                layer.note(
                    Origin::Environment(name.clone()),
                    "Kubernetes has set it for a Service; enableServiceLinks: false",
                );
            }
            (Some(key), Some(text)) => drop(calicos.insert(key, (name.clone(), text.to_owned()))),
            (None, Some(text)) => drop(ours.insert(name.clone(), text)),
        }
    }
    let put = |layer: &mut Layer, names: &dyn Fn(&super::Setting) -> Vec<String>| {
        for setting in SETTINGS {
            for name in names(setting) {
                if let Some(text) = ours.get(&name) {
                    layer.put(setting, setting.split(text), Origin::Environment(name));
                }
            }
        }
    };
    put(&mut layer, &|setting| setting.aliases.iter().map(|&name| name.to_owned()).collect());
    felix::variables(&mut layer, &calicos);
    put(&mut layer, &|setting| vec![setting.variable()]);
    layer
}

/// Kubernetes tells pods of a Service `caracal-metrics` by `CARACAL_METRICS_PORT=tcp://…` and more.
fn is_service_link(name: &str, value: Option<&str>) -> bool {
    let is_url = value.is_some_and(|value| ["tcp://", "udp://", "sctp://"].iter().any(|it| value.starts_with(it)));
    let is_part = ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP", "_SCTP"].iter().any(|it| name.contains(it));
    is_url || is_part
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn layer(variables: &[(&str, &str)]) -> Layer {
        read(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn every_setting_has_a_variable() {
        for setting in SETTINGS {
            let text = setting.default.first().copied().unwrap_or(match setting.name {
                "flow-entries" => "4096",
                "timeout" => "udp=60,icmp=5",
                "no-masquerade-to" => "192.0.2.0/24, 2001:db8::/32",
                _ => "some",
            });
            let layer = layer(&[(&setting.variable(), text)]);
            assert_eq!((layer.problems, layer.notes), (vec![], vec![]));
            assert_eq!(layer.given[setting.name].texts, setting.split(text));
            assert_eq!(layer.given[setting.name].from.to_string(), setting.variable());
        }
    }

    #[test]
    fn ours_come_before_calicos_and_those_before_others() {
        let all = [("RUST_LOG", "trace"), ("FELIX_LogSeverityScreen", "Debug"), ("CARACAL_LOG_LEVEL", "warn")];
        for (count, expected, from) in
            [(1, "trace", "RUST_LOG"), (2, "debug", "FELIX_LogSeverityScreen"), (3, "warn", "CARACAL_LOG_LEVEL")]
        {
            let layer = layer(&all[..count]);
            assert_eq!(layer.given["log-level"].texts, [expected]);
            assert_eq!(layer.given["log-level"].from.to_string(), from);
        }
        assert_eq!(layer(&[("NODE_NAME", "n1")]).given["node-name"].texts, ["n1"]);
        assert_eq!(layer(&[("FELIX_FELIXHOSTNAME", "n1")]).given["node-name"].texts, ["n1"]);
    }

    #[test]
    fn what_is_wrong_is_told_by_variable_value_and_what_is_allowed() {
        let layer = layer(&[("CARACAL_HEALTH_PORT", "x"), ("FELIX_HEALTHHOST", "where"), ("CARACAL_NIC", "")]);
        let problems: Vec<String> = layer.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "FELIX_HEALTHHOST: health-host: \"where\" is none; allowed is an IP address, localhost or all",
                "CARACAL_HEALTH_PORT: health-port: \"x\" is not such a number; allowed is a whole number from 1 to 65535",
            ]
        );
        assert!(layer.given.is_empty());
        let bytes = OsString::from_vec(vec![0xff]);
        let layer = read([("CARACAL_CGROUP".into(), bytes)]);
        assert_eq!(layer.problems[0].to_string(), "CARACAL_CGROUP: it is not text");
    }

    #[test]
    fn variables_that_set_nothing_are_told_but_for_those_that_kubernetes_sets_for_services() {
        let layer = layer(&[
            ("CARACAL_HEALTHY", "true"),
            ("FELIX_IPINIPMTU", "1480"),
            ("FELIX_HEALTHYENABLED", "true"),
            ("CARACAL_METRICS_PORT", "tcp://192.0.2.1:9091"),
            ("CARACAL_METRICS_SERVICE_HOST", "192.0.2.1"),
            ("CARACAL_METRICS_PORT_9091_TCP_ADDR", "192.0.2.1"),
            ("PATH", "/bin"),
        ]);
        assert!(layer.given.is_empty() && layer.problems.is_empty());
        let names: Vec<String> = layer.notes.iter().map(|note| note.at.to_string()).collect();
        assert_eq!(names, ["CARACAL_HEALTHY", "CARACAL_METRICS_PORT", "FELIX_HEALTHYENABLED", "FELIX_IPINIPMTU"]);
    }
}
