//! A list of prefixes as an annotation has it: JSON, for annotations are text.

use std::{collections::BTreeSet, fmt};

use ipnetwork::IpNetwork;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// `["192.0.2.0/24", "2001:db8::7"]`: an address alone is a prefix too.
#[derive(Clone, Debug, Default)]
pub struct Prefixes(pub BTreeSet<IpNetwork>);

impl<'de> Deserialize<'de> for Prefixes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ListVisitor)
    }
}

/// Errors of a visitor know the field and the line, those of what is made of its result do not.
struct ListVisitor;

impl Visitor<'_> for ListVisitor {
    type Value = Prefixes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON list of prefixes as text, such as '[\"192.0.2.0/24\"]'")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Prefixes, E> {
        let is_no_list = |_| E::custom(format!("{text:?} is not a JSON list of prefixes such as [\"192.0.2.0/24\"]"));
        let items: Vec<String> = serde_json::from_str(text).map_err(is_no_list)?;
        let prefixes = items.iter().map(|item| {
            let prefix = item.parse::<IpNetwork>().ok().ok_or_else(|| {
                E::custom(format!("{item:?} in {text:?} is not a prefix such as 192.0.2.0/24 or 2001:db8::/64"))
            })?;
            IpNetwork::new(prefix.network(), prefix.prefix()).map_err(E::custom)
        });
        prefixes.collect::<Result<_, E>>().map(Prefixes)
    }
}
