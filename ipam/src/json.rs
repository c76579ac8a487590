//! JSON read field by field, so that every complaint says which field it is about.
//!
//! serde alone reports a line and a column; the person who wrote the network configuration knows its keys.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A value and where it stands in the document.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    path: String,
    value: &'a Value,
}

/// A field that does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", if path.is_empty() { "configuration" } else { path })]
pub struct FieldError {
    /// Dotted path, for example `ipam.ranges[0][1].subnet`.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl<'a> Node<'a> {
    /// The whole document.
    #[must_use]
    pub fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// The value itself.
    #[must_use]
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The value under `key`; a null counts as absent.
    ///
    /// Where there is no such key, one that is spelt in other cases is it: runtimes are written in Go, which does not mind
    /// when it reads, and containerd writes `HostPort` where the convention says `hostPort`.
    pub fn get(&self, key: &str) -> Result<Option<Self>, FieldError> {
        let object = self.value.as_object().ok_or_else(|| self.error("must be an object"))?;
        let spelt_otherwise =
            || object.iter().find(|(other, _)| other.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        let value = object.get(key).or_else(spelt_otherwise).filter(|value| !value.is_null());
        Ok(value.map(|value| Self { path: self.child(key), value }))
    }

    /// The value under `key`, as a `T`.
    pub fn field<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, FieldError> {
        self.get(key)?.map(|node| node.parse()).transpose()
    }

    /// The value under `key`, as a `T`; an empty text counts as absent, as where Go writes out every field it has.
    pub fn given<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, FieldError> {
        self.get(key)?.filter(|node| node.value != "").map(|node| node.parse()).transpose()
    }

    /// The value under `key`, which must be there.
    pub fn require<T: DeserializeOwned>(&self, key: &str) -> Result<T, FieldError> {
        self.field(key)?.ok_or_else(|| FieldError { path: self.child(key), reason: "is missing".to_owned() })
    }

    /// The elements of an array.
    pub fn elements(&self) -> Result<Vec<Self>, FieldError> {
        let array = self.value.as_array().ok_or_else(|| self.error("must be an array"))?;
        let nodes = array.iter().enumerate();
        Ok(nodes.map(|(i, value)| Self { path: format!("{}[{i}]", self.path), value }).collect())
    }

    /// The value as a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, FieldError> {
        T::deserialize(self.value).map_err(|e| self.error(e.to_string()))
    }

    /// A complaint about this value.
    pub fn error(&self, reason: impl Into<String>) -> FieldError {
        FieldError { path: self.path.clone(), reason: reason.into() }
    }

    /// A complaint about the value under `key`.
    pub fn field_error(&self, key: &str, reason: impl Into<String>) -> FieldError {
        FieldError { path: self.child(key), reason: reason.into() }
    }

    fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_spelt_in_other_cases_are_found_if_there_is_none_as_it_should_be() {
        let document = json!({"HostPort": 1, "hostport": 2, "Protocol": "tcp", "protocol": "udp", "HostIP": null});
        let node = Node::root(&document);
        assert_eq!(node.require::<u16>("hostPort"), Ok(1));
        assert_eq!(node.require::<String>("protocol").unwrap(), "udp");
        assert_eq!(node.field::<String>("hostIP"), Ok(None));
    }

    #[test]
    fn complaints_name_the_field() {
        let document = json!({"ipam": {"ranges": [[{"subnet": 3}]], "type": null}});
        let ipam = Node::root(&document).get("ipam").unwrap().unwrap();
        let set = &ipam.get("ranges").unwrap().unwrap().elements().unwrap()[0];
        let range = &set.elements().unwrap()[0];
        assert_eq!(
            range.field::<String>("subnet").unwrap_err().to_string(),
            "ipam.ranges[0][0].subnet: invalid type: integer `3`, expected a string"
        );
        assert_eq!(range.require::<u32>("mtu").unwrap_err().to_string(), "ipam.ranges[0][0].mtu: is missing");
        assert_eq!(ipam.field::<String>("type"), Ok(None));
        assert_eq!(set.get("x").unwrap_err().to_string(), "ipam.ranges[0]: must be an object");
        assert_eq!(Node::root(&json!(1)).get("x").unwrap_err().to_string(), "configuration: must be an object");
    }
}
