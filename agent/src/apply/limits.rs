//! Limits of pods' bandwidth that the cluster asks for, put on the links of those that are on this node.
//!
//! Which link is whose, the plugin's records say. A limit that the runtime gave the plugin is the plugin's, and a queue
//! that others have on a link is theirs: both are left alone. What is on a link of ours besides was put there by an
//! agent, this one or an earlier one, and goes when nobody asks for it any more.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
};

use caracal_cni_plugin::{
    Error,
    bandwidth::{Bandwidth, PodLink},
    peer::{self, Pair},
    record::{Known, Record},
};
use caracal_netlink::{Socket, is_queued, limit_of, netns::Netns};

use super::wanted::{IFNAME, Wanted, host_end};

/// The network, the attachment, and the number of the host's end: an attachment may come again.
type Key = (String, String, u32);

/// The links of this node and what they were limited to.
#[derive(Debug, Default)]
pub struct PodLimits {
    applied: BTreeMap<Key, Bandwidth>,
}

/// A link that refused the limits of its pod.
#[derive(Debug, thiserror::Error)]
#[error("pod {pod}: bandwidth: {source}")]
pub struct Failure {
    pod: String,
    source: Error,
}

impl PodLimits {
    /// Makes the limits `wanted`, touching only links for which that is something new. One failure stops no other.
    pub fn sync(&mut self, wanted: &Wanted, known: Vec<Known>) -> Vec<Failure> {
        let links: BTreeMap<Key, Record> = known.into_iter().filter_map(ours).collect();
        self.applied.retain(|key, _| links.contains_key(key));
        let mut failures = Vec::new();
        for (key, record) in links {
            let entry = self.applied.entry(key);
            let bandwidth = match wanted.limits.get(&record.pod) {
                Some(bandwidth) => *bandwidth,
                // What an agent before this one found may stand in what this one could not read.
                None if !wanted.is_whole && matches!(entry, Entry::Vacant(_)) => continue,
                None => Bandwidth::default(),
            };
            if matches!(&entry, Entry::Occupied(applied) if *applied.get() == bandwidth) {
                continue;
            }
            match limit(&record, bandwidth) {
                Ok(()) => drop(entry.insert_entry(bandwidth)),
                Err(source) => failures.push(Failure { pod: record.pod, source }),
            }
        }
        failures
    }
}

/// An attachment whose limits are the agent's business.
fn ours(known: Known) -> Option<(Key, Record)> {
    let index = host_end(&known)?;
    let Known { network, attachment, record } = known;
    if !record.bandwidth.is_unlimited() {
        return None;
    }
    Some(((network, attachment.to_string(), index), record))
}

fn limit(record: &Record, bandwidth: Bandwidth) -> Result<(), Error> {
    let pod = &record.pod;
    // Where the pod is on its way out, or its namespace's name is another's by now, there is nothing to limit.
    let Ok(netns) = Netns::open(Path::new(&record.netns), true) else { return Ok(()) };
    let Ok(pair) = peer::find(&netns, IFNAME)? else { return Ok(()) };
    if record.host_ifindex != Some(pair.host.index) {
        return Ok(());
    }
    let bandwidth = within_what_is_free(pod, &pair, bandwidth)?;
    if PodLink::open(pair.host.index, Some(&netns), IFNAME, &bandwidth, pair.host.mtu)?.apply()? {
        log::info!("pod {pod} {}", in_words(bandwidth));
    }
    Ok(())
}

/// Without what others would have to make room for.
fn within_what_is_free(pod: &str, pair: &Pair, bandwidth: Bandwidth) -> Result<Bandwidth, Error> {
    let mut socket = Socket::open()?;
    let index = pair.host.index;
    if bandwidth.ingress.is_none() || limit_of(&mut socket, index)?.is_some() || !is_queued(&mut socket, index)? {
        return Ok(bandwidth);
    }
    log::warn!("pod {pod}: {} has a queue that is not ours; what the pod receives is left to that", pair.host.name);
    Ok(Bandwidth { ingress: None, ..bandwidth })
}

fn in_words(bandwidth: Bandwidth) -> String {
    let Bandwidth { ingress, egress } = bandwidth;
    let limits = [("receives", ingress), ("sends", egress)];
    let limits =
        limits.iter().filter_map(|(what, rate)| Some(format!("{what} at most {} bit/s", (*rate)?.bits_per_second)));
    let limits: Vec<String> = limits.collect();
    if limits.is_empty() { "is not limited any more".to_owned() } else { limits.join(" and ") }
}

#[cfg(test)]
mod tests {
    use caracal_cni_plugin::bandwidth::Rate;

    use super::*;

    const RATE: Option<Rate> = Some(Rate { bits_per_second: 1_000_000, burst_bits: None });

    fn known(ifname: &str, record: Record) -> Known {
        Known { network: "net".to_owned(), attachment: format!("c1:{ifname}").parse().unwrap(), record }
    }

    #[test]
    fn limits_of_the_runtimes_and_other_interfaces_are_not_the_agents() {
        let record = Record { complete: true, host_ifindex: Some(7), ..Record::default() };
        let key = ("net".to_owned(), "c1:eth0".to_owned(), 7);
        assert_eq!(ours(known("eth0", record.clone())), Some((key, record.clone())));
        assert_eq!(ours(known("net1", record.clone())), None);
        assert_eq!(ours(known("eth0", Record { complete: false, ..record.clone() })), None);
        assert_eq!(ours(known("eth0", Record { host_ifindex: None, ..record.clone() })), None);
        let bandwidth = Bandwidth { ingress: RATE, egress: None };
        assert_eq!(ours(known("eth0", Record { bandwidth, ..record })), None);
    }

    #[test]
    fn a_limit_is_told_as_the_pod_sees_it() {
        assert_eq!(in_words(Bandwidth { ingress: RATE, egress: None }), "receives at most 1000000 bit/s");
        assert_eq!(
            in_words(Bandwidth { ingress: RATE, egress: RATE }),
            "receives at most 1000000 bit/s and sends at most 1000000 bit/s"
        );
        assert_eq!(in_words(Bandwidth::default()), "is not limited any more");
    }
}
