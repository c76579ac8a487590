//! What objects are called, and text that many of them repeat.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    hash::Hash,
    sync::Arc,
};

use serde::{Serialize, Serializer};

use super::NamedPort;

/// Text that is shared by all who say the same.
pub type Text = Arc<str>;

/// Which object of its kind: the namespace is empty where the kind has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The namespace.
    pub namespace: Text,
    /// The name within it.
    pub name: Text,
}

impl Name {
    /// Of an object in a namespace.
    pub fn new(namespace: impl Into<Text>, name: impl Into<Text>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Of an object of the cluster.
    pub fn global(name: impl Into<Text>) -> Self {
        Self::new("", name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Labels by key. Pods of one owner usually share all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Text, Text)]>);

impl Labels {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Text> {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// All, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of `selector` are among them.
    #[must_use]
    pub fn contain(&self, selector: &Self) -> bool {
        selector.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

impl<K: Into<Text>, V: Into<Text>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs: BTreeMap<Text, Text> = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self(pairs.into_iter().collect())
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Remembers text and labels, so that what repeats is kept once. What nobody uses any more is forgotten now and then.
#[derive(Debug, Default)]
pub struct Names {
    texts: Known<Text>,
    labels: Known<Labels>,
    ports: Known<Arc<[NamedPort]>>,
}

impl Names {
    /// The one copy of a text.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.known.get(text) {
            return known.clone();
        }
        self.texts.keep(text.into(), |text| Arc::strong_count(text) > 1)
    }

    /// The one copy of labels.
    pub fn labels(&mut self, labels: &BTreeMap<String, String>) -> Labels {
        let labels = labels.iter().map(|(key, value)| (self.text(key), self.text(value))).collect();
        match self.labels.known.get(&labels) {
            Some(known) => known.clone(),
            None => self.labels.keep(labels, |labels| Arc::strong_count(&labels.0) > 1),
        }
    }

    /// The one copy of a pod's ports.
    pub fn ports(&mut self, ports: Vec<NamedPort>) -> Arc<[NamedPort]> {
        match self.ports.known.get(&*ports) {
            Some(known) => known.clone(),
            None => self.ports.keep(ports.into(), |ports| Arc::strong_count(ports) > 1),
        }
    }
}

/// A set that is looked through for what is not used when it has doubled.
#[derive(Debug)]
struct Known<T> {
    known: HashSet<T>,
    sweep_at: usize,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), sweep_at: Self::LEAST }
    }
}

impl<T> Known<T> {
    const LEAST: usize = 256;
}

impl<T: Clone + Eq + Hash> Known<T> {
    fn keep(&mut self, new: T, is_used: impl Fn(&T) -> bool) -> T {
        if self.known.len() >= self.sweep_at {
            self.known.retain(is_used);
            self.sweep_at = Self::LEAST.max(2 * self.known.len());
        }
        self.known.insert(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_kept_once() {
        let mut names = Names::default();
        assert!(Arc::ptr_eq(&names.text("web"), &names.text("web")));
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        assert!(Arc::ptr_eq(&names.labels(&labels).0, &names.labels(&labels).0));
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut names = Names::default();
        let held = names.text("held");
        for number in 0..100_000 {
            names.text(&number.to_string());
        }
        assert!(names.texts.known.len() <= Known::<Text>::LEAST, "{}", names.texts.known.len());
        assert!(Arc::ptr_eq(&held, &names.text("held")));
    }

    #[test]
    fn labels_are_found_whatever_their_order() {
        let labels: Labels = [("b", "2"), ("a", "1"), ("c", "3")].into_iter().collect();
        assert_eq!(labels.get("a").map(|value| &**value), Some("1"));
        assert_eq!(labels.get("d"), None);
        assert!(labels.contain(&[("c", "3"), ("a", "1")].into_iter().collect()));
        assert!(!labels.contain(&[("c", "2")].into_iter().collect()));
        assert!(labels.contain(&Labels::default()));
    }

    #[test]
    fn names_are_written_as_people_write_them() {
        assert_eq!(Name::new("shop", "web").to_string(), "shop/web");
        assert_eq!(Name::global("node-1").to_string(), "node-1");
    }
}
