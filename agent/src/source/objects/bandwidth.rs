//! Limits in bits per second, as Kubernetes' annotations have them.

use std::fmt;

use caracal_cni_plugin::bandwidth::Rate;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::source::quantity;

/// A limit that Kubernetes' API server takes.
#[derive(Clone, Copy, Debug)]
pub struct BitsPerSecond(u64);

impl BitsPerSecond {
    /// 1k.
    const LEAST: u64 = 1_000;
    /// 1P.
    const MOST: u64 = 1_000_000_000_000_000;
}

impl From<BitsPerSecond> for Rate {
    fn from(limit: BitsPerSecond) -> Self {
        Self { bits_per_second: limit.0, burst_bits: None }
    }
}

impl<'de> Deserialize<'de> for BitsPerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(QuantityVisitor)
    }
}

/// Errors of a visitor know the field and the line, those of what is made of its result do not.
struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = BitsPerSecond;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as 500k, 10M or 1.5Gi")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BitsPerSecond, E> {
        match quantity::parse(text).map_err(E::custom)? {
            bits @ BitsPerSecond::LEAST..=BitsPerSecond::MOST => Ok(BitsPerSecond(bits)),
            _ => Err(E::custom(format!("{text:?} is not between 1k and 1P bits per second"))),
        }
    }
}
