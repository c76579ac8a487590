//! What the agent's loops say of their rounds, in one call each.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use super::Face;
use crate::{
    config::Felix,
    model::{Kind, Model, Name},
};

impl Face {
    /// Goes through what a part of the agent keeps right, and tells how that went. `next` is when the next round begins at
    /// the latest. False if something is left to be done.
    pub async fn round<E: Display>(
        &self,
        part: &'static str,
        next: Duration,
        work: impl Future<Output = Vec<E>>,
    ) -> bool {
        let begun = Instant::now();
        self.health.beat(part, next);
        let errors: Vec<String> = work.await.iter().map(ToString::to_string).collect();
        self.health.beat(part, next);
        self.metrics.applied(part, begun.elapsed(), errors.len());
        let is_done = errors.is_empty();
        self.health.problems(part, errors);
        is_done
    }

    /// Takes over what FelixConfigurations say to the node `own`, once they are known.
    pub fn configure(&self, model: &Model, own: &str) {
        if !model.standing.has_synced(Kind::FelixConfiguration) {
            return;
        }
        let spec = |name: &str| {
            let felix = model.felix.get(&Name::global(name))?;
            Some(felix.settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
        };
        let node = spec(&format!("node.{own}")).map(|spec| (own.to_owned(), spec));
        self.shared.set_felix(Felix { default: spec("default"), node });
    }

    /// Tells how much of the cluster is known.
    pub fn known(&self, model: &Model) {
        for kind in Kind::ALL {
            let is_synced = model.standing.has_synced(kind);
            let resource = resource(kind);
            self.metrics.objects(&resource, model.count(kind));
            self.metrics.synced(&resource, is_synced);
            if is_synced {
                self.health.clear(&resource);
            } else {
                self.health.missing(&resource, "not all of them are known yet");
            }
        }
        // Sources log them.
        let unread = model.standing.unread().iter().map(|(origin, error)| format!("{origin}: {error}"));
        self.health.remarks("objects", unread.collect());
    }
}

/// What `kubectl api-resources` calls a kind, for two groups may have one of the same name.
fn resource(kind: Kind) -> String {
    let group = kind.api_versions().first().and_then(|version| version.rsplit_once('/'));
    group.map_or_else(|| kind.plural().to_owned(), |(group, _)| format!("{}.{group}", kind.plural()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        face::tests::face,
        model::{Body, Change, Object, Origin, calico::FelixConfiguration},
    };

    #[tokio::test]
    async fn a_round_beats_is_timed_and_tells_what_is_wrong() {
        let (face, _directory) = face(&[]);
        let second = Duration::from_secs(1);
        assert!(!face.round("routes", second, async { vec!["no room"] }).await);
        assert_eq!(face.health.ready().lines, ["problem: routes: no room"]);
        assert!(face.round("routes", second, async { Vec::<String>::new() }).await);
        assert!(face.health.ready().lines.is_empty());
        let text = face.metrics.text().unwrap();
        assert!(text.contains("caracal_apply_seconds_count{part=\"routes\"} 2\n"), "{text}");
        assert!(text.contains("caracal_apply_errors_total{part=\"routes\"} 1\n"), "{text}");
    }

    #[test]
    fn what_the_cluster_says_to_the_node_holds_at_once_and_at_the_next_start() {
        let (face, directory) = face(&[]);
        let mut model = Model::default();
        let put = |model: &mut Model, name: &str, spec: serde_json::Value| {
            let felix: FelixConfiguration = serde_json::from_value(spec).unwrap();
            model.apply(Change::Put(Object { name: Name::global(name), body: Body::FelixConfiguration(felix.into()) }));
        };
        let ports = |face: &Face| (face.shared.options().health_port, face.shared.options().metrics_port);
        model.apply(Change::Begin(Kind::FelixConfiguration));
        put(&mut model, "default", json!({"healthPort": 9098, "prometheusMetricsPort": 9092}));
        put(&mut model, "node.n1", json!({"healthPort": 9097}));
        put(&mut model, "node.n2", json!({"healthPort": 9096}));
        face.configure(&model, "n1");
        assert_eq!(ports(&face), (9099, 9091), "there may be more of them");
        model.apply(Change::Whole(Kind::FelixConfiguration));
        face.configure(&model, "n1");
        assert_eq!(ports(&face), (9097, 9092));
        put(&mut model, "node.n1", json!({"healthPort": "many"}));
        face.configure(&model, "n1");
        assert_eq!(ports(&face), (9097, 9092));
        let line = "problem: configuration: FelixConfiguration node.n1: spec.healthPort: health-port: \"many\" is not";
        assert!(face.health.ready().lines[0].starts_with(line), "{:?}", face.health.ready());
        put(&mut model, "node.n1", json!({"healthPort": 9095}));
        face.configure(&model, "n1");
        assert_eq!((ports(&face), face.health.ready().lines.len()), ((9095, 9092), 0));
        let next = Felix::read(directory.path());
        assert_eq!(next.node.unwrap().1["healthPort"], 9095);
        model.apply(Change::Gone(Kind::FelixConfiguration, Name::global("node.n1")));
        face.configure(&model, "n1");
        assert_eq!(ports(&face), (9098, 9092));
    }

    #[test]
    fn a_node_is_ready_when_every_kind_of_object_is_known_whatever_could_not_be_read() {
        let (face, _directory) = face(&[]);
        let mut model = Model::default();
        face.known(&model);
        let lines = face.health.ready().lines;
        assert!(lines.contains(&"missing: nodes: not all of them are known yet".to_owned()), "{lines:?}");
        assert_eq!(lines.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(!face.health.ready().is_well);
            model.apply(Change::Begin(kind));
            model.apply(Change::Whole(kind));
            face.known(&model);
        }
        assert!(face.health.ready().is_well);
        model.apply(Change::Unread(Origin::File("/m/a.yaml".into()), "line 3: no name".to_owned()));
        face.known(&model);
        let report = face.health.ready();
        assert_eq!(
            (report.is_well, report.lines),
            (true, vec!["remark: objects: /m/a.yaml: line 3: no name".to_owned()])
        );
        let text = face.metrics.text().unwrap();
        assert!(text.contains("caracal_synced{resource=\"nodes\"} 1\n"), "{text}");
        model.apply(Change::Put(Object {
            name: Name::global("default"),
            body: Body::FelixConfiguration(Arc::default()),
        }));
        face.known(&model);
        let text = face.metrics.text().unwrap();
        assert!(text.contains("caracal_objects{resource=\"felixconfigurations.projectcalico.org\"} 1\n"), "{text}");
        assert!(text.contains("caracal_objects{resource=\"nodes\"} 0\n"), "{text}");
    }
}
