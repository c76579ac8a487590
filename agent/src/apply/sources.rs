//! Where pods may send from besides their own addresses, as the cluster allows it.
//!
//! Which link is whose, the plugin's records say. A prefix that nobody allows any more, or whose pod is gone, goes.

use std::collections::BTreeSet;

use caracal_cni_plugin::record::Known;
use caracal_datapath::{Error, Pinned};

use super::wanted::{Wanted, host_end};

/// What earlier rounds have learnt.
#[derive(Debug, Default)]
pub struct PodSources {
    /// Everything was read once; since then, what could not be read stays as it was.
    was_whole: bool,
}

impl PodSources {
    /// Makes these prefixes those that are `wanted`, for the pods that are on this node.
    pub fn sync(&mut self, pinned: &Pinned, wanted: &Wanted, known: &[Known]) -> Result<(), Error> {
        self.was_whole |= wanted.is_whole;
        // What an agent before this one found may stand in what this one could not read.
        if !self.was_whole {
            return Ok(());
        }
        let links = known.iter().filter_map(|known| Some((host_end(known)?, wanted.sources.get(&known.record.pod)?)));
        let prefixes = links.flat_map(|(ifindex, prefixes)| prefixes.iter().map(move |prefix| (ifindex, *prefix)));
        let prefixes: BTreeSet<_> = prefixes.collect();
        let changed = pinned.set_sources(&prefixes)?;
        if changed > 0 {
            log::info!("{changed} allowed sources of pods changed, {} are in force", prefixes.len());
        }
        Ok(())
    }
}
