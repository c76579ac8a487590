use caracal_cni_plugin::bandwidth::{Bandwidth, Rate};

use super::*;
use crate::model::{Model, Name};

const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.1.0.0/24]}\n\
                    status: {addresses: [{type: Hostname, address: n1}, {type: InternalIP, address: 192.0.2.1}]}\n";
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  namespace: shop\n  name: web\n  annotations:\n    \
                   example.org/other: [1]\n    kubernetes.io/ingress-bandwidth: 10M\nspec: {containers: []}\n";
const SOURCES: &str = "cni.projectcalico.org/allowedSourcePrefixes: ";

/// A directory, and what is made of it.
struct Setup {
    directory: tempfile::TempDir,
    manifests: Manifests,
    model: Model,
}

impl Setup {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let manifests = Manifests::new(directory.path());
        let mut setup = Self { directory, manifests, model: Model::default() };
        for (name, text) in files {
            setup.write(name, text.as_bytes());
        }
        setup.read();
        setup
    }

    fn write(&mut self, name: &str, text: &[u8]) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn remove(&mut self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    /// How many objects were touched.
    fn read(&mut self) -> usize {
        let changes = self.manifests.read();
        changes.into_iter().map(|change| self.model.apply(change).len()).sum()
    }

    /// As people read them.
    fn errors(&self) -> Vec<String> {
        let unread = self.model.standing.unread();
        unread.iter().map(|(origin, error)| format!("{origin}: {error}")).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.model.nodes.get(&Name::global(name)).is_some()
    }
}

#[test]
fn a_node_is_read() {
    let setup = Setup::new(&[("nodes.yaml", NODE), (".hidden.yaml", "broken: ["), ("notes.txt", "broken: [")]);
    assert_eq!(setup.errors(), [""; 0]);
    let node = setup.model.nodes.get(&Name::global("n1")).unwrap();
    assert_eq!(node.internal_ips, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(node.pod_cidrs.len(), 1);
    assert!(setup.model.standing.missing().next().is_none());
}

#[test]
fn an_error_names_file_line_object_and_field() {
    let text = format!("# two nodes\n---\n{NODE}---\n{}", NODE.replace("10.1.0.0/24", "10.1.0.0/33"));
    let setup = Setup::new(&[("nodes.yaml", &text)]);
    let error = &setup.errors()[0];
    assert!(error.contains("nodes.yaml: line 12: Node n1: spec.podCIDRs") && !error.contains(" at line "), "{error}");
    assert!(!setup.model.standing.is_whole(Kind::Pod), "the file might have said anything");
}

#[test]
fn a_file_that_breaks_leaves_its_last_good_state_in_force() {
    let mut setup = Setup::new(&[("a.yaml", NODE), ("b.yaml", &NODE.replace("n1", "n2"))]);
    assert_eq!(setup.model.nodes.len(), 2);
    setup.write("a.yaml", b"kind: Node\n");
    assert_eq!(setup.read(), 0);
    assert_eq!((setup.model.nodes.len(), setup.errors().len()), (2, 1));
    setup.remove("a.yaml");
    assert_eq!(setup.read(), 1);
    assert_eq!((setup.model.nodes.len(), setup.errors().len()), (1, 0));
}

#[test]
fn a_file_counts_as_a_whole() {
    let mut setup = Setup::new(&[("a.yaml", NODE)]);
    let (second, broken) = (NODE.replace("n1", "n2"), NODE.replace("name: n1", "name: [n1]"));
    setup.write("a.yaml", format!("{second}---\n{broken}").as_bytes());
    setup.read();
    assert!(setup.has("n1") && !setup.has("n2"), "half a file is none");
}

#[test]
fn a_directory_that_goes_away_changes_nothing() {
    let mut setup = Setup::new(&[("a.yaml", NODE)]);
    let path = setup.directory.path().to_owned();
    fs::rename(&path, path.with_extension("away")).unwrap();
    assert_eq!(setup.read(), 0);
    assert!(setup.has("n1") && setup.errors()[0].contains(&path.display().to_string()), "{:?}", setup.errors());
    fs::rename(path.with_extension("away"), &path).unwrap();
    setup.read();
    assert_eq!(setup.errors(), [""; 0]);
}

#[test]
fn only_what_changed_is_touched() {
    let mut setup = Setup::new(&[("a.yaml", NODE), ("b.yaml", &NODE.replace("n1", "n2"))]);
    assert_eq!(setup.read(), 0);
    setup.write("b.yaml", NODE.replace("n1", "n2").replace("10.1.0.0", "10.2.0.0").as_bytes());
    assert_eq!(setup.read(), 1);
    setup.write("b.yaml", format!("# a comment\n{NODE}").replace("n1", "n3").as_bytes());
    assert_eq!(setup.read(), 2, "one came, one went");
}

#[test]
fn of_two_files_about_one_object_the_last_holds_and_the_other_comes_back() {
    let mut setup = Setup::new(&[("a.yaml", NODE), ("b.yaml", &NODE.replace("10.1.0.0", "10.2.0.0"))]);
    let cidr = |setup: &Setup| setup.model.nodes.values().next().unwrap().pod_cidrs[0].to_string();
    assert_eq!(cidr(&setup), "10.2.0.0/24");
    setup.remove("b.yaml");
    setup.read();
    assert_eq!(cidr(&setup), "10.1.0.0/24");
}

#[test]
fn lists_hold_objects_of_all_kinds() {
    let items = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Node\n  metadata: {name: n1}\n\
                 - {apiVersion: v1, kind: Secret, metadata: {name: s}}\n\
                 - apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n";
    let typed = "{\"items\": [{\"metadata\": {\"name\": \"n2\"}}], \"kind\": \"NodeList\", \"apiVersion\": \"v1\"}";
    let empty = "apiVersion: v1\nkind: List\nitems:\n---\napiVersion: v1\nkind: PodList\n";
    let mut setup = Setup::new(&[("a.yaml", items), ("b.json", typed), ("c.yaml", empty)]);
    assert_eq!(setup.errors(), [""; 0]);
    assert!(setup.has("n1") && setup.has("n2"));
    assert_eq!(setup.model.pods.by_name().len(), 1);
    setup.write("a.yaml", items.replace("metadata: {name: p}", "metadata: {name: [p]}").as_bytes());
    setup.read();
    let error = &setup.errors()[0];
    assert!(error.contains("a.yaml: line 10: items[2].metadata.name: invalid type"), "{error}");
}

#[test]
fn a_pods_limits_are_read_and_it_need_not_have_any() {
    let egress = POD.replace("ingress-bandwidth: 10M", "egress-bandwidth: \"1.5G\"").replace("namespace: shop", "");
    let none = "apiVersion: v1\nkind: Pod\nmetadata: {name: idle, annotations: }\n";
    let setup = Setup::new(&[("a.yaml", POD), ("b.yaml", &egress), ("c.yaml", none)]);
    assert_eq!(setup.errors(), [""; 0]);
    let rate = |bits_per_second| Some(Rate { bits_per_second, burst_bits: None });
    let expected = [
        ("default/web", Bandwidth { ingress: None, egress: rate(1_500_000_000) }),
        ("shop/web", Bandwidth { ingress: rate(10_000_000), egress: None }),
    ];
    assert_eq!(*setup.model.pods.limits(), expected.map(|(pod, limits)| (pod.to_owned(), limits)).into());
}

#[test]
fn a_limit_that_cannot_be_is_told_by_file_line_pod_and_field_and_changes_nothing() {
    let mut setup = Setup::new(&[("a.yaml", POD)]);
    let before = setup.model.pods.clone();
    for (text, reason) in [
        ("10X", "\"10X\" is not a quantity such as 500k, 10M or 1.5Gi"),
        ("999", "\"999\" is not between 1k and 1P bits per second"),
        ("1001T", "\"1001T\" is not between 1k and 1P bits per second"),
        ("-1M", "\"-1M\" is negative"),
    ] {
        setup.write("a.yaml", POD.replace("10M", &format!("\"{text}\"")).as_bytes());
        assert_eq!(setup.read(), 0);
        assert_eq!(setup.model.pods, before);
        let expected =
            format!("a.yaml: line 8: Pod shop/web: metadata.annotations.kubernetes.io/ingress-bandwidth: {reason}");
        assert!(setup.errors()[0].ends_with(&expected), "{:?}", setup.errors());
    }
}

#[test]
fn allowed_sources_are_read_and_need_not_be_any() {
    let prefixes = format!("{SOURCES}'[\"192.0.2.9/24\", \"2001:db8::7\"]'");
    let pod = POD.replace("kubernetes.io/ingress-bandwidth: 10M", &prefixes);
    let none = pod.replace("192.0.2.9/24\", \"2001:db8::7", "").replace("[\"\"]", "[]").replace("web", "idle");
    let setup = Setup::new(&[("a.yaml", &pod), ("b.yaml", &none), ("c.yaml", &POD.replace("web", "other"))]);
    assert_eq!(setup.errors(), [""; 0]);
    let prefixes = ["192.0.2.0/24", "2001:db8::7/128"].map(|prefix| prefix.parse().unwrap());
    assert_eq!(*setup.model.pods.sources(), [("shop/web".to_owned(), prefixes.into())].into());
}

#[test]
fn a_source_that_cannot_be_is_told_by_file_line_pod_and_value() {
    for (value, reason) in [
        ("192.0.2.0/24", "\"192.0.2.0/24\" is not a JSON list of prefixes such as [\"192.0.2.0/24\"]"),
        ("'[7]'", "\"[7]\" is not a JSON list of prefixes such as [\"192.0.2.0/24\"]"),
        (
            "'[\"192.0.2.0/24\",\"::/129\"]'",
            "\"::/129\" in \"[\\\"192.0.2.0/24\\\",\\\"::/129\\\"]\" is not a prefix such as 192.0.2.0/24 or 2001:db8::/64",
        ),
    ] {
        let pod = POD.replace("kubernetes.io/ingress-bandwidth: 10M", &format!("{SOURCES}{value}"));
        let setup = Setup::new(&[("a.yaml", &pod)]);
        assert!(setup.model.pods.by_name().is_empty());
        let expected = format!("a.yaml: line 8: Pod shop/web: metadata.annotations.{SOURCES}{reason}");
        assert!(setup.errors()[0].ends_with(&expected), "{:?}", setup.errors());
    }
}

#[test]
fn other_kinds_are_passed_over() {
    let setup = Setup::new(&[("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: p}\n---\n\n---\n# nothing\n")]);
    assert_eq!(setup.errors(), [""; 0]);
    assert!(setup.model.nodes.is_empty());
}

#[test]
fn hostile_files_are_told_and_harm_nobody_else() {
    let deep = |open: &str, close: &str| format!("a: {}{}", open.repeat(10_000), close.repeat(10_000)).into_bytes();
    let laughs: Vec<String> = (1..30).map(|n| format!("l{n}: &l{n} [*l{}, *l{}]\n", n - 1, n - 1)).collect();
    let cases = [
        ("not text", b"apiVersion: v1\nkind: Node\nmetadata: {name: \xff\xfe}\n".to_vec()),
        ("deep flow", deep("[", "]")),
        ("deep maps", deep("{a: ", "}")),
        ("deep lists", format!("a:\n  {}b\n", "- ".repeat(10_000)).into_bytes()),
        ("deep keys", format!("a:\n  {}b\n", "? ".repeat(10_000)).into_bytes()),
        (
            "many aliases",
            format!("l0: &l0 [ha]\n{}{}", laughs.concat(), NODE.replace("n1}", "n1, labels: *l29}")).into_bytes(),
        ),
        ("unknown alias", b"apiVersion: *what\nkind: Node\n".to_vec()),
        ("tabs", b"apiVersion: v1\nkind:\tNode\n\tmetadata: {name: a}\n".to_vec()),
        ("two roots", b"apiVersion: v1\n- kind\n".to_vec()),
        ("no kind", b"apiVersion: v1\nmetadata: {name: a}\n".to_vec()),
        ("a number", b"7\n".to_vec()),
        ("a name that is a path", NODE.replace("name: n1", "name: ../n1").into_bytes()),
        ("an endless name", NODE.replace("name: n1", &format!("name: {}", "n".repeat(254))).into_bytes()),
        ("a NUL", b"apiVersion: v1\nkind: Node\nmetadata: {name: \"a\\0b\"}\n".to_vec()),
    ];
    for (case, text) in cases {
        let mut setup = Setup::new(&[("b.yaml", &NODE.replace("n1", "n2"))]);
        setup.write("a.yaml", &text);
        setup.read();
        assert!(setup.has("n2") && setup.model.nodes.len() == 1, "{case}: {:?}", setup.model.nodes);
        let [error] = &setup.errors()[..] else { panic!("{case}: {:?}", setup.errors()) };
        assert!(error.contains("a.yaml: "), "{case}: {error}");
        assert_eq!(case.starts_with("deep"), error.contains("nested more than"), "{case}: {error}");
    }
}

/// A record as the plugin writes it.
fn wire(run_dir: &Path, pod: &str, address: &str) {
    use caracal_cni_plugin::record::{Begun, Record, RecordFile};

    let record =
        Record { pod: pod.to_owned(), addresses: vec![address.parse().unwrap()], complete: true, ..Record::default() };
    let attachment = caracal_ipam::Attachment::new(&pod.replace('/', "-"), "eth0").unwrap();
    let begun = RecordFile::begin(&run_dir.join("endpoints/net"), &attachment, record).unwrap();
    assert!(matches!(begun, Begun::New(_)));
}

const WEB: &str = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
                    spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}}\n";
const WEB_POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, labels: {app: web}},
                        spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}}\n";

#[tokio::test]
async fn services_get_endpoints_from_the_pods_that_the_plugin_has_wired() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().join("run");
    fs::write(directory.path().join("a.yaml"), format!("{WEB}---\n{WEB_POD}")).unwrap();
    let mut manifests = Manifests::open(directory.path(), &run_dir).unwrap();
    let mut model = Model::default();
    for change in manifests.next().await {
        model.apply(change);
    }
    assert_eq!(model.slices.by_name().len(), 0, "nobody knows where it is");
    wire(&run_dir, "shop/a", "10.1.0.5");
    wire(&run_dir, "shop/other", "10.1.0.6");
    let address: std::net::IpAddr = "10.1.0.5".parse().unwrap();
    for _ in 0..10 {
        for change in manifests.next().await {
            model.apply(change);
        }
        if model.pods.by_address(address).next().is_some() {
            break;
        }
    }
    let web = Name::new("shop", "web");
    let slices: Vec<_> = model.slices.of_service(&web).collect();
    let [slice] = &slices[..] else { panic!("{slices:?}") };
    assert_eq!((slice.endpoints[0].address, slice.endpoints[0].ready, slice.ports[0].port), (address, true, 8080));
}

#[test]
fn endpoints_that_are_written_down_are_not_computed() {
    let addressed = WEB_POD.replace("spec:", "status: {podIP: 10.1.0.5}, spec:");
    let mut setup = Setup::new(&[("a.yaml", WEB), ("b.yaml", &addressed)]);
    assert_eq!(setup.errors(), [""; 0]);
    let web = Name::new("shop", "web");
    let told = |setup: &Setup| -> Vec<String> {
        let slices = setup.model.slices.of_service(&web);
        slices.map(|slice| slice.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()).collect()
    };
    assert_eq!(told(&setup), ["10.1.0.5"]);
    let written = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{addresses: [192.0.2.7]}],
                    metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}}";
    setup.write("c.yaml", written.as_bytes());
    setup.read();
    assert_eq!(told(&setup), ["192.0.2.7"]);
    setup.remove("c.yaml");
    setup.read();
    assert_eq!(told(&setup), ["10.1.0.5"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut manifests = Manifests::open(directory.path(), directory.path().join("run")).unwrap();
    let mut model = Model::default();
    for change in manifests.next().await {
        model.apply(change);
    }
    fs::write(directory.path().join("a.yaml"), NODE).unwrap();
    for _ in 0..200 {
        if let Ok(changes) = tokio::time::timeout(Duration::from_secs(1), manifests.next()).await {
            for change in changes {
                model.apply(change);
            }
        }
    }
    assert_eq!(model.nodes.len(), 1);
}
