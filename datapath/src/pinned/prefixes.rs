//! Prefixes: of who is behind an address, and of what pods may send from.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use aya::{
    Pod,
    maps::{
        Map, MapData, MapError,
        lpm_trie::{Key, LpmTrie},
    },
};
use caracal_abi::{Ip4, Ip6, Peer, map};
use ipnetwork::IpNetwork;

use super::Pinned;
use crate::Error;

impl Pinned {
    /// Makes these prefixes be those that know the way to pods. Returns how many were added or removed.
    pub fn set_inside(&self, wanted: &BTreeSet<IpNetwork>) -> Result<usize, Error> {
        let peer = Peer { flags: Peer::INSIDE };
        let (mut v4, mut v6) = (BTreeMap::new(), BTreeMap::new());
        for prefix in wanted {
            match words(*prefix) {
                Words::V4(words) => drop(v4.insert((u32::from(prefix.prefix()), [words]), peer)),
                Words::V6(words) => drop(v6.insert((u32::from(prefix.prefix()), words), peer)),
            }
        }
        Ok(self.set_prefixes(map::PEERS4, &v4)? + self.set_prefixes(map::PEERS6, &v6)?)
    }

    /// Makes these be the prefixes that pods may send from besides their addresses, by their host-side veths. Returns how
    /// many were added or removed.
    pub fn set_sources(&self, wanted: &BTreeSet<(u32, IpNetwork)>) -> Result<usize, Error> {
        let (mut v4, mut v6) = (BTreeMap::new(), BTreeMap::new());
        for (ifindex, prefix) in wanted {
            // The interface comes first, and all of it counts.
            let bits = u32::BITS + u32::from(prefix.prefix());
            match words(*prefix) {
                Words::V4(word) => drop(v4.insert((bits, [*ifindex, word]), 1_u32)),
                Words::V6([a, b, c, d]) => drop(v6.insert((bits, [*ifindex, a, b, c, d]), 1_u32)),
            }
        }
        Ok(self.set_prefixes(map::SOURCES4, &v4)? + self.set_prefixes(map::SOURCES6, &v6)?)
    }

    /// New ones first: no prefix that stays is ever without its record.
    fn set_prefixes<const W: usize, V: Pod + PartialEq>(
        &self,
        name: &'static str,
        wanted: &BTreeMap<(u32, [u32; W]), V>,
    ) -> Result<usize, Error>
    where
        [u32; W]: Pod,
    {
        let open =
            || LpmTrie::<MapData, [u32; W], V>::try_from(Map::from_map_data(MapData::from_pin(self.root.map(name))?)?);
        let mut trie = open().map_err(Error::map(name, "open its pin"))?;
        let list = |trie: &LpmTrie<MapData, [u32; W], V>| -> Result<BTreeMap<(u32, [u32; W]), V>, MapError> {
            trie.iter().map(|entry| entry.map(|(key, value)| ((key.prefix_len(), key.data()), value))).collect()
        };
        let there = list(&trie).map_err(Error::map(name, "list it"))?;
        let mut changed = 0;
        for ((bits, words), value) in wanted.iter().filter(|(prefix, value)| there.get(prefix) != Some(value)) {
            trie.insert(&Key::new(*bits, *words), value, 0).map_err(Error::map(name, "write a prefix"))?;
            changed += 1;
        }
        for (bits, words) in there.keys().filter(|prefix| !wanted.contains_key(prefix)) {
            trie.remove(&Key::new(*bits, *words)).map_err(Error::map(name, "remove a prefix"))?;
            changed += 1;
        }
        Ok(changed)
    }
}

/// An address as it lies in the maps.
enum Words {
    V4(u32),
    V6([u32; 4]),
}

/// Without host bits.
fn words(prefix: IpNetwork) -> Words {
    match prefix.network() {
        IpAddr::V4(ip) => Words::V4(Ip4::from(ip).memory()),
        IpAddr::V6(ip) => Words::V6(Ip6::from(ip).memory()),
    }
}
