//! The names of an attachment's link, which follow from what it is attached to: a plugin that knows nothing else can
//! still find it, and tell it from a stranger's.

use caracal_datapath::abi::Mac;
use caracal_ipam::Attachment;

/// First two letters of every host-side veth.
pub const HOST_IFNAME_PREFIX: &str = "cc";

/// FNV-1a's parameters for 128 bits.
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// What the veth of an attachment is called. Never changes: a plugin must find what an older one made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the host's end: a prefix and 52 bits of hash, as many as there is room for.
    pub host_ifname: String,
    /// Hardware address of the host's end: 40 other bits, which tell two attachments of one name apart.
    pub host_mac: Mac,
    /// Hardware address of the pod's end: the host's with another first byte, unless another one was asked for.
    pub pod_mac: Mac,
}

impl Identity {
    /// The identity of `attachment` to `network`.
    #[must_use]
    pub fn of(network: &str, attachment: &Attachment) -> Self {
        // Neither may contain a NUL, so no two pairs look alike.
        let bytes = network.bytes().chain([0]).chain(attachment.to_string().into_bytes());
        let hash = bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME));
        #[expect(clippy::cast_possible_truncation, reason = "one half of the bits each")]
        let (low, high) = (hash as u64, (hash >> 64) as u64);
        let bytes = mix(low ^ mix(high)).to_le_bytes();
        // The second-lowest bit of the first byte says "made up locally", the lowest, "to many".
        let mac = |first| Mac([first, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]]);
        let host_ifname = format!("{HOST_IFNAME_PREFIX}{:013x}", mix(high ^ mix(low)) >> 12);
        Self { host_ifname, host_mac: mac(0x02), pod_mac: mac(0x06) }
    }

    /// The same with the hardware address that was asked for in the pod. What an attachment is found by, stays.
    #[must_use]
    pub fn with_pod_mac(self, wish: Option<Mac>) -> Self {
        Self { pod_mac: wish.unwrap_or(self.pod_mac), ..self }
    }
}

/// Spreads every bit over all bits, which FNV leaves undone for the last bytes it saw. The steps are `SplitMix64`'s.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn identity(network: &str, id: &str, ifname: &str) -> Identity {
        Identity::of(network, &Attachment::new(id, ifname).unwrap())
    }

    #[test]
    fn names_stay_what_they_are() {
        let identity = identity("k8s", "0123456789abcdef", "eth0");
        assert_eq!(identity.host_ifname, "cc282bf8a5f054b");
        assert_eq!(identity.host_mac.to_string(), "02:62:f0:1e:70:bc");
        assert_eq!(identity.pod_mac.to_string(), "06:62:f0:1e:70:bc");
    }

    #[test]
    fn a_hardware_address_that_was_asked_for_is_the_pods_alone() {
        let own = identity("k8s", "c", "eth0");
        assert_eq!(own.clone().with_pod_mac(None), own);
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        assert_eq!(own.clone().with_pod_mac(Some(mac)), Identity { pod_mac: mac, ..own });
    }

    #[test]
    fn names_fit_and_differ_when_any_part_does() {
        let mut seen = HashSet::new();
        let mut macs = HashSet::new();
        for network in ["a", "b", "net"] {
            for ifname in ["eth0", "eth1", "net1"] {
                for id in 0..2000 {
                    let identity = identity(network, &format!("pod{id}"), ifname);
                    assert_eq!(identity.host_ifname.len(), 15);
                    assert!(macs.insert(identity.host_mac.0));
                    assert!(seen.insert(identity.host_ifname));
                }
            }
        }
    }

    #[test]
    fn every_bit_of_a_name_depends_on_the_last_letter() {
        let bits = |id: &str| u64::from_str_radix(&identity("net", id, "eth0").host_ifname[2..], 16).unwrap();
        let ids: Vec<_> = (0..512).map(|i| format!("pod{i:03x}")).collect();
        for bit in 0..52 {
            let ones = ids.iter().filter(|id| bits(id) >> bit & 1 == 1).count();
            assert!((160..352).contains(&ones), "bit {bit} is set {ones} times of 512");
        }
    }
}
