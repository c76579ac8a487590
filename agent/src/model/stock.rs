//! The objects of one kind.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use serde::{Serialize, Serializer};

use super::{Name, Text};

/// Objects by name.
#[derive(Debug, PartialEq)]
pub struct Stock<T>(BTreeMap<Name, Arc<T>>);

impl<T> Default for Stock<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Clone for Stock<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What became of an object that was put.
#[derive(Debug)]
pub enum Put<T> {
    /// It was there already, and said the same.
    Same,
    /// It is new, or instead of this one.
    Changed(Option<Arc<T>>),
}

impl<T> Put<T> {
    pub(super) fn has_changed(&self) -> bool {
        matches!(self, Self::Changed(_))
    }
}

impl<T: PartialEq> Stock<T> {
    pub(super) fn put(&mut self, name: &Name, object: &Arc<T>) -> Put<T> {
        match self.0.get_mut(name) {
            Some(known) if Arc::ptr_eq(known, object) => Put::Same,
            Some(known) if known == object => {
                // The source may compare by address next time.
                *known = object.clone();
                Put::Same
            }
            Some(known) => Put::Changed(Some(std::mem::replace(known, object.clone()))),
            None => Put::Changed(self.0.insert(name.clone(), object.clone())),
        }
    }

    pub(super) fn remove(&mut self, name: &Name) -> Option<Arc<T>> {
        self.0.remove(name)
    }
}

impl<T> Stock<T> {
    /// The object of a name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Arc<T>> {
        self.0.get(name)
    }

    /// All, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Arc<T>)> {
        self.0.iter()
    }

    /// All that they say.
    pub fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values()
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.keys()
    }

    /// Those of a namespace.
    pub fn of_namespace(&self, namespace: &Text) -> impl Iterator<Item = (&Name, &Arc<T>)> {
        let first = Name::new(namespace.clone(), "");
        let namespace = namespace.clone();
        self.0
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(move |(name, _)| name.namespace == namespace)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize> Serialize for Stock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}
