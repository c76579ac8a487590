//! What the agent's loops say of their rounds, in one call each.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use super::Face;
use crate::model::{Kind, Model};

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

    /// Tells how much of the cluster is known.
    pub fn known(&self, model: &Model) {
        for kind in Kind::ALL {
            let is_synced = model.standing.has_synced(kind);
            self.metrics.objects(kind.name(), model.count(kind));
            self.metrics.synced(kind.name(), is_synced);
            if is_synced {
                self.health.clear(kind.plural());
            } else {
                self.health.missing(kind.plural(), "not all of them are known yet");
            }
        }
        // Sources log them.
        let unread = model.standing.unread().iter().map(|(origin, error)| format!("{origin}: {error}"));
        self.health.remarks("objects", unread.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        face::tests::face,
        model::{Change, Origin},
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
        assert!(
            text.contains("caracal_synced{kind=\"Node\"} 1\n") && text.contains("caracal_objects{kind=\"Node\"} 0\n")
        );
    }
}
