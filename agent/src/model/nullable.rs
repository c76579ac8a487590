//! Lists and maps as Go writes them.

use serde::{Deserialize, Deserializer};

/// What is empty may be written as `null`.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
