//! How fast a pod may send and receive.
//!
//! Both limits are token buckets where the packets queue: what the pod receives, at the host's end of its link; what it
//! sends, at its own end, so that its sockets feel the queue and slow down, where on the host's end packets that were
//! sent could only be dropped. A container cannot lift the limit, unless it may configure the network of its pod.

use caracal_ipam::json::{FieldError, Node};
use serde::{Deserialize, Serialize};

use crate::netlink::Limit;

mod link;

pub use link::PodLink;

/// A burst from here on means that nobody has asked for one: container runtimes fill in the largest number they have,
/// which taken at its word lets a pod send half a gigabyte before any limit.
const NO_WISH_BITS: u64 = i32::MAX as u64;

/// Without a wish, what the limit lets pass in this time may go at once…
const BURST_MS: u64 = 50;
/// …and never less than two large packets before they are cut to what the link takes.
const LEAST_BURST_BYTES: u64 = 128 * 1024;

/// Limits as the pod sees them: ingress is what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Of what the pod receives.
    pub ingress: Option<Rate>,
    /// Of what the pod sends.
    pub egress: Option<Rate>,
}

/// A limit as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Sustained.
    pub bits_per_second: u64,
    /// At once after a pause, if anybody cares.
    pub burst_bits: Option<u64>,
}

impl Bandwidth {
    /// The configuration's own `bandwidth`, else the runtime's.
    pub fn parse(conf: &Node<'_>) -> Result<Self, FieldError> {
        let runtime = conf.get("runtimeConfig")?.map_or(Ok(None), |runtime| runtime.get("bandwidth"))?;
        let Some(limits) = conf.get("bandwidth")?.or(runtime) else { return Ok(Self::default()) };
        Ok(Self {
            ingress: rate(&limits, "ingressRate", "ingressBurst")?,
            egress: rate(&limits, "egressRate", "egressBurst")?,
        })
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

fn rate(limits: &Node<'_>, rate: &str, burst: &str) -> Result<Option<Rate>, FieldError> {
    let burst_bits = limits.field::<u64>(burst)?.filter(|bits| (1..NO_WISH_BITS).contains(bits));
    match limits.field::<u64>(rate)?.unwrap_or_default() {
        0 if burst_bits.is_some() => {
            Err(limits.field_error(rate, format!("is missing; {burst} means nothing without")))
        }
        0 => Ok(None),
        bits @ 1..8 => Err(limits.field_error(rate, format!("{bits} bit/s is less than a byte per second"))),
        bits_per_second => Ok(Some(Rate { bits_per_second, burst_bits })),
    }
}

impl Rate {
    /// The limit of a link whose packets are at most `mtu` bytes long. A bucket smaller than a packet would let none pass.
    #[must_use]
    pub fn limit(self, mtu: u32) -> Limit {
        const ETHERNET_HEADER: u64 = 18;

        let bytes_per_second = self.bits_per_second / 8;
        let burst = match self.burst_bits {
            Some(bits) => (bits / 8).max(u64::from(mtu) + ETHERNET_HEADER),
            None => (bytes_per_second.saturating_mul(BURST_MS) / 1000).max(LEAST_BURST_BYTES),
        };
        Limit { bytes_per_second, burst_bytes: u32::try_from(burst).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(conf: &Value) -> Result<Bandwidth, String> {
        Bandwidth::parse(&Node::root(conf)).map_err(|e| e.to_string())
    }

    fn rate(bits_per_second: u64, burst_bits: Option<u64>) -> Rate {
        Rate { bits_per_second, burst_bits }
    }

    #[test]
    fn the_configuration_wins_over_the_runtime() {
        let mut conf = json!({"runtimeConfig": {"bandwidth": {"ingressRate": 8000, "ingressBurst": 16000}}});
        assert_eq!(parse(&conf), Ok(Bandwidth { ingress: Some(rate(8000, Some(16000))), egress: None }));
        conf["bandwidth"] = json!({"egressRate": 9000});
        assert_eq!(parse(&conf), Ok(Bandwidth { ingress: None, egress: Some(rate(9000, None)) }));
        assert!(parse(&json!({"bandwidth": {"ingressRate": 0}})).unwrap().is_unlimited());
        assert!(parse(&json!({})).unwrap().is_unlimited());
    }

    #[test]
    fn as_containerd_writes_them() {
        let limits = json!({"IngressRate": 8000, "IngressBurst": 16000, "EgressRate": 0, "EgressBurst": 0});
        let conf = json!({"runtimeConfig": {"bandwidth": limits}});
        assert_eq!(parse(&conf), Ok(Bandwidth { ingress: Some(rate(8000, Some(16000))), egress: None }));
    }

    #[test]
    fn what_runtimes_fill_in_is_no_burst() {
        for burst in [u64::from(u32::MAX), i32::MAX as u64, u64::from(u32::MAX) * 8 - 1] {
            let conf = json!({"runtimeConfig": {"bandwidth": {"ingressRate": 80_000_000, "ingressBurst": burst}}});
            let ingress = parse(&conf).unwrap().ingress.unwrap();
            assert_eq!(ingress.limit(1500), Limit { bytes_per_second: 10_000_000, burst_bytes: 500_000 });
        }
    }

    #[test]
    fn buckets_hold_at_least_a_packet() {
        let limit = |bits_per_second, burst_bits| Rate { bits_per_second, burst_bits }.limit(1500).burst_bytes;
        assert_eq!(limit(8000, Some(80)), 1518);
        assert_eq!(limit(8000, Some(80_000)), 10_000);
        assert_eq!(limit(8000, None), 131_072);
        assert_eq!(limit(u64::MAX, None), u32::MAX);
    }

    #[test]
    fn complaints_name_the_field() {
        let bad = |bandwidth: Value| parse(&json!({"bandwidth": bandwidth})).unwrap_err();
        assert_eq!(bad(json!({"egressRate": 7})), "bandwidth.egressRate: 7 bit/s is less than a byte per second");
        assert_eq!(
            bad(json!({"ingressBurst": 7})),
            "bandwidth.ingressRate: is missing; ingressBurst means nothing without"
        );
        assert!(bad(json!({"ingressRate": "1M"})).starts_with("bandwidth.ingressRate: invalid type: string"));
        assert!(bad(json!({"egressRate": -1})).starts_with("bandwidth.egressRate: "));
        assert_eq!(bad(json!([])), "bandwidth: must be an object");
    }
}
