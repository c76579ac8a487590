//! A directory of Kubernetes YAML as the source.
//!
//! A file counts as a whole: when one of its documents is wrong, the error names file, line and field, and the file's
//! last good state stays in force. Files that disappear take their objects with them.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::objects::{Header, Named, Node, Pod};
use crate::model::{self, Model};

/// What one file holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Objects {
    nodes: Vec<(String, model::Node)>,
    pods: Vec<(String, model::Pod)>,
    /// Kinds that are not read, for the log.
    passed_over: Vec<String>,
}

/// The directory, and the last good state of each file.
#[derive(Debug)]
pub struct Manifests {
    directory: PathBuf,
    files: BTreeMap<PathBuf, Objects>,
}

/// Why a file, or the directory, was not read.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    line: Option<usize>,
    what: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.what),
            None => write!(f, "{}: {}", self.path.display(), self.what),
        }
    }
}

impl Manifests {
    /// A source that has read nothing yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), files: BTreeMap::new() }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads the directory again. Errors concern single files, or the directory itself; the model is what holds in
    /// spite of them.
    pub fn read(&mut self) -> (Model, Vec<ReadError>) {
        let mut errors = Vec::new();
        match list(&self.directory) {
            Ok(paths) => {
                self.files.retain(|path, _| paths.contains(path));
                for path in paths {
                    match read_file(&path) {
                        Ok(objects) => self.keep(path, objects),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => errors.push(ReadError::io(&self.directory, &error)),
        }
        (self.model(), errors)
    }

    fn keep(&mut self, path: PathBuf, objects: Objects) {
        if self.files.get(&path) != Some(&objects) {
            for kind in &objects.passed_over {
                log::warn!("{}: {kind} is not supported, passed over", path.display());
            }
            let count = objects.nodes.len() + objects.pods.len();
            log::info!("{}: {count} objects in force", path.display());
            self.files.insert(path, objects);
        }
    }

    fn model(&self) -> Model {
        let nodes = self.files.values().flat_map(|objects| objects.nodes.iter().cloned());
        let pods = self.files.values().flat_map(|objects| objects.pods.iter().cloned());
        let mut model = Model { nodes: nodes.collect(), ..Model::default() };
        // Of several by one name the last one holds, in all that it says.
        for (name, model::Pod { bandwidth, sources }) in pods.collect::<BTreeMap<_, _>>() {
            if !bandwidth.is_unlimited() {
                model.limits.insert(name.clone(), bandwidth);
            }
            if !sources.is_empty() {
                model.sources.insert(name, sources);
            }
        }
        model
    }
}

impl ReadError {
    fn io(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), line: None, what: error.to_string() }
    }
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        // A name with a leading dot is an editor's, or Kubernetes' own for the versions of a mounted ConfigMap.
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_yaml && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path) -> Result<Objects, ReadError> {
    let text = fs::read_to_string(path).map_err(|error| ReadError::io(path, &error))?;
    let mut objects = Objects::default();
    for (first_line, document) in documents(&text) {
        read_document(document, &mut objects).map_err(|error| ReadError {
            path: path.to_owned(),
            line: error.location().map(|at| first_line + at.line()),
            what: format!("{}{}", whose(document), without_place(&error.to_string())),
        })?;
    }
    Ok(objects)
}

/// The pod that a document is about, for messages.
fn whose(document: &str) -> String {
    let kind = serde_norway::from_str(document).map(|header: Header| header.kind);
    match serde_norway::from_str(document) {
        Ok(Named { metadata }) if kind.is_ok_and(|kind| kind == "Pod") => format!("pod {}: ", metadata.full()),
        _ => String::new(),
    }
}

/// The parser counts lines from the document's beginning; the file's are in front of the message already.
fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(what, _)| what)
}

/// The documents of a file, each with the number of lines before it.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        // Nothing but a separator may stand there: a block scalar is indented.
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push((start_line, &text[start..offset]));
            (start, start_line) = (offset + line.len(), number + 1);
        }
        offset += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| document.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    documents
}

fn read_document(document: &str, objects: &mut Objects) -> Result<(), serde_norway::Error> {
    let Header { api_version, kind } = serde_norway::from_str(document)?;
    match (api_version.as_str(), kind.as_str()) {
        ("v1", "Node") => {
            let node: Node = serde_norway::from_str(document)?;
            objects.nodes.push((node.metadata.name.clone(), node.into()));
        }
        ("v1", "Pod") => {
            let Named { metadata } = serde_norway::from_str(document)?;
            let pod: Pod = serde_norway::from_str(document)?;
            objects.pods.push((metadata.full(), pod.into()));
        }
        _ => objects.passed_over.push(format!("{api_version} {kind}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use caracal_cni_plugin::bandwidth::{Bandwidth, Rate};

    use super::*;

    const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.1.0.0/24]}\n\
                        status: {addresses: [{type: Hostname, address: n1}, {type: InternalIP, address: 192.0.2.1}]}\n";

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn a_node_is_read() {
        let directory = directory(&[("nodes.yaml", NODE), (".hidden.yaml", "broken: ["), ("notes.txt", "broken: [")]);
        let (model, errors) = Manifests::new(directory.path()).read();
        assert!(errors.is_empty(), "{}", errors[0]);
        assert_eq!(model.nodes["n1"].internal_ips, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(model.nodes["n1"].pod_cidrs.len(), 1);
    }

    #[test]
    fn an_error_names_file_line_and_field() {
        let text = format!("# two nodes\n---\n{NODE}---\n{}", NODE.replace("10.1.0.0/24", "10.1.0.0/33"));
        let directory = directory(&[("nodes.yaml", &text)]);
        let (_, errors) = Manifests::new(directory.path()).read();
        let error = errors[0].to_string();
        assert!(error.contains("nodes.yaml:12: ") && !error.contains(" at line "), "{error}");
        assert!(error.contains("podCIDRs"), "{error}");
    }

    #[test]
    fn a_file_that_breaks_leaves_its_last_good_state_in_force() {
        let directory = directory(&[("a.yaml", NODE), ("b.yaml", &NODE.replace("n1", "n2"))]);
        let mut manifests = Manifests::new(directory.path());
        assert_eq!(manifests.read().0.nodes.len(), 2);
        fs::write(directory.path().join("a.yaml"), "kind: Node\n").unwrap();
        let (model, errors) = manifests.read();
        assert_eq!((model.nodes.len(), errors.len()), (2, 1));
        fs::remove_file(directory.path().join("a.yaml")).unwrap();
        let (model, errors) = manifests.read();
        assert_eq!((model.nodes.len(), errors.len()), (1, 0));
    }

    #[test]
    fn a_directory_that_goes_away_changes_nothing() {
        let directory = directory(&[("a.yaml", NODE)]);
        let mut manifests = Manifests::new(directory.path());
        let before = manifests.read().0;
        let path = directory.path().to_owned();
        drop(directory);
        let (after, errors) = manifests.read();
        assert_eq!(before, after);
        assert!(errors[0].to_string().contains(&path.display().to_string()), "{}", errors[0]);
    }

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  namespace: shop\n  name: web\n  annotations:\n    \
                       example.org/other: [1]\n    kubernetes.io/ingress-bandwidth: 10M\nspec: {containers: []}\n";

    #[test]
    fn a_pods_limits_are_read_and_it_need_not_have_any() {
        let egress = POD.replace("ingress-bandwidth: 10M", "egress-bandwidth: \"1.5G\"").replace("namespace: shop", "");
        let none = "apiVersion: v1\nkind: Pod\nmetadata: {name: idle, annotations: }\n";
        let directory = directory(&[("a.yaml", POD), ("b.yaml", &egress), ("c.yaml", none)]);
        let (model, errors) = Manifests::new(directory.path()).read();
        assert!(errors.is_empty(), "{}", errors[0]);
        let rate = |bits_per_second| Some(Rate { bits_per_second, burst_bits: None });
        let expected = [
            ("default/web", Bandwidth { ingress: None, egress: rate(1_500_000_000) }),
            ("shop/web", Bandwidth { ingress: rate(10_000_000), egress: None }),
        ];
        assert_eq!(model.limits, expected.map(|(pod, limits)| (pod.to_owned(), limits)).into());
    }

    #[test]
    fn a_limit_that_cannot_be_is_told_by_file_line_pod_and_field_and_changes_nothing() {
        let directory = directory(&[("a.yaml", POD)]);
        let mut manifests = Manifests::new(directory.path());
        let before = manifests.read().0;
        for (text, reason) in [
            ("10X", "\"10X\" is not a quantity such as 500k, 10M or 1.5Gi"),
            ("999", "\"999\" is not between 1k and 1P bits per second"),
            ("1001T", "\"1001T\" is not between 1k and 1P bits per second"),
            ("-1M", "\"-1M\" is negative"),
        ] {
            fs::write(directory.path().join("a.yaml"), POD.replace("10M", &format!("\"{text}\""))).unwrap();
            let (model, errors) = manifests.read();
            assert_eq!(model, before);
            let error = errors[0].to_string();
            let expected =
                format!("a.yaml:8: pod shop/web: metadata.annotations.kubernetes.io/ingress-bandwidth: {reason}");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

    const SOURCES: &str = "cni.projectcalico.org/allowedSourcePrefixes: ";

    #[test]
    fn allowed_sources_are_read_and_need_not_be_any() {
        let pod = POD.replace(
            "kubernetes.io/ingress-bandwidth: 10M",
            &format!("{SOURCES}'[\"192.0.2.9/24\", \"2001:db8::7\"]'"),
        );
        let none = pod.replace("192.0.2.9/24\", \"2001:db8::7", "").replace("[\"\"]", "[]").replace("web", "idle");
        let directory = directory(&[("a.yaml", &pod), ("b.yaml", &none), ("c.yaml", &POD.replace("web", "other"))]);
        let (model, errors) = Manifests::new(directory.path()).read();
        assert!(errors.is_empty(), "{}", errors[0]);
        let prefixes = ["192.0.2.0/24", "2001:db8::7/128"].map(|prefix| prefix.parse().unwrap());
        assert_eq!(model.sources, [("shop/web".to_owned(), prefixes.into())].into());
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
            let directory = directory(&[("a.yaml", &pod)]);
            let (model, errors) = Manifests::new(directory.path()).read();
            assert_eq!(model, Model::default());
            let error = errors[0].to_string();
            let expected = format!("a.yaml:8: pod shop/web: metadata.annotations.{SOURCES}{reason}");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

    #[test]
    fn other_kinds_are_passed_over() {
        let directory =
            directory(&[("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: p}\n---\n\n---\n# nothing\n")]);
        let (model, errors) = Manifests::new(directory.path()).read();
        assert!(errors.is_empty(), "{}", errors[0]);
        assert_eq!(model, Model::default());
    }
}
