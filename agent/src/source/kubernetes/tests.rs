use std::{fs, time::Duration};

use kube::Config;
use serde_json::{Value, json};

use self::api::{Api, Lists};
use super::{follower::path as path_of, *};
use crate::{
    model::{Model, Name, Origin},
    source::Manifests,
};

mod api;

const NODES: &str = "/api/v1/nodes";
const POLICIES: &str = "/apis/projectcalico.org/v3/globalnetworkpolicies";
const KEPT_POLICIES: &str = "/apis/crd.projectcalico.org/v1/globalnetworkpolicies";

/// Fast enough for a test; silence is still long enough for a machine that is busy.
const PACE: Pace = Pace {
    answer: Duration::from_secs(10),
    quiet: Duration::from_secs(10),
    stream_quiet: Duration::from_millis(300),
    watch: Duration::from_secs(280),
    pause: Duration::from_millis(1),
    look_again: Duration::from_millis(20),
    least_backoff: Duration::from_millis(5),
    most_backoff: Duration::from_millis(40),
};

fn node(name: &str, cidr: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"podCIDRs": [cidr]}})
}

/// What is followed, and what it has told.
struct Setup {
    source: Kubernetes,
    model: Model,
}

impl Setup {
    fn new(apis: &[&Api], kinds: &[Kind]) -> Self {
        let client = |api: &&Api| {
            let address: http::Uri = api.address.parse().unwrap();
            connect::client(&Config::new(address.clone()), address).unwrap()
        };
        let servers = Servers::new(apis.iter().map(client).collect()).unwrap();
        Self { source: Kubernetes::follow_at(PACE, servers, kinds), model: Model::default() }
    }

    /// Reads until something holds.
    async fn until(&mut self, what: &str, holds: impl Fn(&Model) -> bool) {
        let reading = async {
            while !holds(&self.model) {
                for change in self.source.next().await {
                    self.model.apply(change);
                }
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), reading).await.is_ok();
        assert!(in_time, "{what}: {:?}", self.model);
    }

    async fn synced(&mut self, kind: Kind) {
        self.until("in sync", |model| model.standing.has_synced(kind)).await;
    }

    fn nodes(&self) -> Vec<&str> {
        self.model.nodes.names().map(|name| &*name.name).collect()
    }
}

fn has_cidr(model: &Model, name: &str, cidr: &str) -> bool {
    model.nodes.get(&Name::global(name)).is_some_and(|node| node.pod_cidrs[0].to_string() == cidr)
}

#[tokio::test]
async fn what_there_is_is_told_and_what_becomes_of_it() {
    for lists in [Lists::Streamed, Lists::Refused, Lists::Unheard] {
        let api = Api::start().await;
        api.change(|state| {
            state.lists = lists;
            state.put(NODES, node("a", "10.1.0.0/24"));
            state.put(NODES, node("b", "10.2.0.0/24"));
        });
        let mut setup = Setup::new(&[&api], &[Kind::Node]);
        setup.synced(Kind::Node).await;
        assert_eq!(setup.nodes(), ["a", "b"]);
        api.change(|state| {
            state.put(NODES, node("c", "10.3.0.0/24"));
            state.put(NODES, node("a", "10.9.0.0/24"));
            state.delete(NODES, &Value::Null, "b");
        });
        setup.until("c", |model| model.nodes.len() == 2 && has_cidr(model, "a", "10.9.0.0/24")).await;
        assert_eq!(setup.nodes(), ["a", "c"]);
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let api = Api::start().await;
    api.change(|state| {
        state.lists = Lists::Refused;
        for number in 0..600 {
            state.put(NODES, node(&format!("n{number}"), "10.1.0.0/24"));
        }
    });
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    assert_eq!(setup.model.nodes.len(), 600);
    assert_eq!(api.asked("limit=250"), 3);
}

#[tokio::test]
async fn only_pods_that_have_not_ended_are_asked_for() {
    let api = Api::start().await;
    let mut setup = Setup::new(&[&api], &[Kind::Pod]);
    setup.synced(Kind::Pod).await;
    assert!(api.asked("fieldSelector=status.phase") > 0 && api.asked("phase%21%3DSucceeded") > 0);
}

#[tokio::test]
async fn after_a_version_has_expired_everything_is_listed_again() {
    let api = Api::start().await;
    api.change(|state| {
        state.put(NODES, node("a", "10.1.0.0/24"));
        state.put(NODES, node("b", "10.2.0.0/24"));
    });
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    api.change(|state| {
        state.delete(NODES, &Value::Null, "a");
        state.put(NODES, node("c", "10.3.0.0/24"));
        state.expire();
    });
    setup.until("c", |model| model.nodes.get(&Name::global("c")).is_some()).await;
    setup.until("a is gone", |model| model.nodes.get(&Name::global("a")).is_none()).await;
    assert_eq!((setup.nodes(), api.asked("sendInitialEvents")), (vec!["b", "c"], 2));
    assert!(setup.model.standing.unread().is_empty());
}

#[tokio::test]
async fn a_watch_that_is_cut_in_the_middle_of_a_line_goes_on_where_it_was() {
    let api = Api::start().await;
    api.change(|state| state.put(NODES, node("a", "10.1.0.0/24")));
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    for round in 0..5 {
        let cidr = format!("10.{round}.1.0/24");
        api.change(|state| {
            state.cut();
            state.put(NODES, node("a", &cidr));
        });
        setup.until(&cidr, |model| has_cidr(model, "a", &cidr)).await;
    }
    assert_eq!(api.asked("sendInitialEvents"), 1, "nothing was listed again");
    setup.until("well again", |model| model.standing.unread().is_empty()).await;
}

#[tokio::test]
async fn a_server_that_is_away_changes_nothing_and_is_found_again() {
    let api = Api::start().await;
    api.change(|state| state.put(NODES, node("a", "10.1.0.0/24")));
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    api.change(|state| state.is_down = true);
    let origin = Origin::Watch(Kind::Node);
    setup.until("told", |model| model.standing.unread().contains_key(&origin)).await;
    assert_eq!(setup.nodes(), ["a"]);
    assert!(setup.model.standing.is_whole(Kind::Node), "what was known was whole");
    let error = &setup.model.standing.unread()[&origin];
    assert!(error.starts_with("no answer from the API server: "), "{error}");
    api.change(|state| {
        state.is_down = false;
        state.put(NODES, node("b", "10.2.0.0/24"));
    });
    setup.until("b", |model| model.nodes.len() == 2).await;
    assert!(setup.model.standing.unread().is_empty());
}

#[tokio::test]
async fn when_one_server_does_not_answer_the_next_is_asked() {
    let (first, second) = (Api::start().await, Api::start().await);
    for api in [&first, &second] {
        api.change(|state| state.put(NODES, node("a", "10.1.0.0/24")));
    }
    let mut setup = Setup::new(&[&first, &second], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    assert_eq!(second.asked(NODES), 0);
    first.change(|state| state.is_down = true);
    second.change(|state| state.put(NODES, node("b", "10.2.0.0/24")));
    setup.until("b", |model| model.nodes.len() == 2).await;
    assert_eq!(second.asked("sendInitialEvents"), 0, "it went on where the first had been");
    second.change(|state| state.status = Some(503));
    second.change(api::State::cut);
    first.change(|state| {
        state.is_down = false;
        state.put(NODES, node("b", "10.2.0.0/24"));
        state.put(NODES, node("c", "10.3.0.0/24"));
    });
    setup.until("c", |model| model.nodes.len() == 3).await;
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_empty_until_it_is() {
    let api = Api::start().await;
    api.change(|state| state.failing.extend([POLICIES, KEPT_POLICIES].map(|path| (path.to_owned(), 404))));
    let mut setup = Setup::new(&[&api], &[Kind::GlobalNetworkPolicy]);
    setup.synced(Kind::GlobalNetworkPolicy).await;
    assert!(setup.model.standing.unread().is_empty());
    api.change(|state| {
        state.failing.remove(KEPT_POLICIES);
        state.put(
            KEPT_POLICIES,
            json!({"apiVersion": "crd.projectcalico.org/v1", "metadata": {"name": "default.a"}, "spec": {}}),
        );
    });
    setup.until("a policy", |model| model.global_policies.len() == 1).await;
    assert_eq!(setup.model.global_policies.names().next().unwrap().to_string(), "a");
    api.change(|state| state.delete(KEPT_POLICIES, &Value::Null, "default.a"));
    setup.until("no policy", |model| model.global_policies.is_empty()).await;
}

#[tokio::test]
async fn a_kind_that_is_removed_is_not_believed_at_once() {
    let api = Api::start().await;
    api.change(|state| state.put(POLICIES, json!({"metadata": {"name": "a"}, "spec": {}})));
    let mut setup = Setup::new(&[&api], &[Kind::GlobalNetworkPolicy]);
    setup.synced(Kind::GlobalNetworkPolicy).await;
    let asked = api.asked(POLICIES);
    api.change(|state| {
        state.failing.extend([POLICIES, KEPT_POLICIES].map(|path| (path.to_owned(), 404)));
        state.cut();
    });
    setup.until("no policy", |model| model.global_policies.is_empty()).await;
    assert!(api.asked(POLICIES) >= asked + 3, "{}", api.asked(POLICIES));
}

#[tokio::test]
async fn where_one_version_is_not_to_be_had_the_other_is_read() {
    for code in [403, 404, 503] {
        let api = Api::start().await;
        api.change(|state| {
            state.failing.insert(POLICIES.to_owned(), code);
            state.put(KEPT_POLICIES, json!({"metadata": {"name": "a"}, "spec": {}}));
        });
        let mut setup = Setup::new(&[&api], &[Kind::GlobalNetworkPolicy]);
        setup.synced(Kind::GlobalNetworkPolicy).await;
        assert_eq!(setup.model.global_policies.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_kind_of_which_one_version_is_not_available_and_the_other_not_installed_is_not_empty() {
    let api = Api::start().await;
    api.change(|state| {
        state.failing.insert(POLICIES.to_owned(), 503);
        state.failing.insert(KEPT_POLICIES.to_owned(), 404);
    });
    let mut setup = Setup::new(&[&api], &[Kind::GlobalNetworkPolicy]);
    setup.until("told", |model| !model.standing.unread().is_empty()).await;
    assert!(!setup.model.standing.has_synced(Kind::GlobalNetworkPolicy));
    api.change(|state| {
        state.failing.clear();
        state.put(POLICIES, json!({"metadata": {"name": "a"}, "spec": {}}));
    });
    setup.synced(Kind::GlobalNetworkPolicy).await;
    assert_eq!(setup.model.global_policies.len(), 1);
}

#[tokio::test]
async fn kinds_that_every_cluster_has_are_never_taken_for_absent() {
    let api = Api::start().await;
    api.change(|state| state.put(NODES, node("a", "10.1.0.0/24")));
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    api.change(|state| {
        state.failing.insert(NODES.to_owned(), 404);
        state.cut();
    });
    let origin = Origin::Watch(Kind::Node);
    let is_absent = |error: &String| error.contains("does not know the kind");
    setup.until("told", |model| model.standing.unread().get(&origin).is_some_and(is_absent)).await;
    assert_eq!(setup.nodes(), ["a"]);
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_told_and_stays_as_it_was() {
    let api = Api::start().await;
    api.change(|state| {
        state.put(NODES, node("a", "10.1.0.0/24"));
        state.put(NODES, node("b", "10.2.0.0/33"));
    });
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.synced(Kind::Node).await;
    let origin = |name: &str| Origin::Object(Kind::Node, Name::global(name));
    assert_eq!(setup.nodes(), ["a"]);
    let error = &setup.model.standing.unread()[&origin("b")];
    assert!(error.starts_with("spec.podCIDRs[0]: "), "{error}");
    api.change(|state| {
        state.put(NODES, node("a", "nonsense"));
        state.put(NODES, node("c", "10.3.0.0/24"));
    });
    setup.until("c", |model| model.nodes.len() == 2).await;
    assert!(has_cidr(&setup.model, "a", "10.1.0.0/24"));
    assert_eq!(setup.model.standing.unread().len(), 2);
    api.change(|state| {
        state.delete(NODES, &Value::Null, "a");
        state.put(NODES, node("b", "10.2.0.0/24"));
    });
    setup.until("b", |model| has_cidr(model, "b", "10.2.0.0/24")).await;
    assert_eq!(setup.nodes(), ["b", "c"]);
    assert!(setup.model.standing.is_whole(Kind::Node), "{:?}", setup.model.standing);
}

#[tokio::test]
async fn whoever_is_not_allowed_is_told_what_to_do() {
    let api = Api::start().await;
    api.change(|state| state.status = Some(403));
    let mut setup = Setup::new(&[&api], &[Kind::Node]);
    setup.until("told", |model| !model.standing.unread().is_empty()).await;
    let error = &setup.model.standing.unread()[&Origin::Watch(Kind::Node)];
    assert!(error.contains("403 as the test wants it") && error.contains("install/rbac.yaml"), "{error}");
    assert!(!setup.model.standing.has_synced(Kind::Node));
    api.change(|state| state.status = None);
    setup.synced(Kind::Node).await;
}

/// One object of each kind, as people write them.
const SCENARIO: &str = include_str!("tests/scenario.yaml");

#[tokio::test]
async fn both_sources_make_the_same_model_of_the_same_objects() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("scenario.yaml"), SCENARIO).unwrap();
    let mut from_files = Model::default();
    for change in Manifests::new(directory.path()).read() {
        from_files.apply(change);
    }
    assert!(from_files.standing.unread().is_empty(), "{:?}", from_files.standing);

    let api = Api::start().await;
    let paths: Vec<String> = SCENARIO.split("\n---\n").map(|document| put(&api, document)).collect();
    api.change(|state| {
        for kind in Kind::ALL {
            let paths_of_kind = kind.api_versions().iter().map(|version| path_of(version, kind));
            state.failing.extend(paths_of_kind.filter(|path| !paths.contains(path)).map(|path| (path, 404)));
        }
    });
    let mut setup = Setup::new(&[&api], &Kind::ALL);
    setup.until("in sync", |model| model.standing.missing().next().is_none()).await;
    let json = |model: &Model| serde_json::to_string_pretty(model).unwrap();
    assert_eq!(json(&setup.model), json(&from_files));
    assert_eq!(setup.model, from_files);
    let followed: std::collections::BTreeSet<Kind> = Kind::ALL.into_iter().collect();
    let told: std::collections::BTreeSet<Kind> =
        SCENARIO.split("\n---\n").map(|document| kind_of(document).0).collect();
    assert_eq!(told, followed, "the scenario has all kinds");
}

fn kind_of(document: &str) -> (Kind, Value) {
    let object: Value = serde_norway::from_str(document).unwrap();
    let text = |field: &str| object[field].as_str().unwrap().to_owned();
    (Kind::find(&text("apiVersion"), &text("kind")).unwrap(), object)
}

fn put(api: &Api, document: &str) -> String {
    let (kind, object) = kind_of(document);
    let path = path_of(object["apiVersion"].as_str().unwrap(), kind);
    api.change(|state| state.put(&path, object));
    path
}

/// The rules that we ship.
const RBAC: &str = include_str!("../../../../install/rbac.yaml");

#[test]
fn the_rules_we_ship_are_what_followers_need_and_no_more() {
    use std::collections::BTreeSet;

    let documents: Vec<Value> =
        RBAC.split("\n---\n").map(|document| serde_norway::from_str(document).unwrap()).collect();
    let role = documents.iter().find(|document| document["kind"] == "ClusterRole").unwrap();
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule["verbs"], json!(["list", "watch"]));
        let texts = |field: &str| {
            rule[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        for group in texts("apiGroups") {
            granted.extend(texts("resources").into_iter().map(|resource| (group.clone(), resource)));
        }
    }
    let needed = Kind::ALL.into_iter().flat_map(|kind| {
        let group = |version: &&str| version.split_once('/').map_or("", |(group, _)| group).to_owned();
        kind.api_versions().iter().map(move |version| (group(version), kind.plural().to_owned()))
    });
    assert_eq!(granted, needed.collect());
}
