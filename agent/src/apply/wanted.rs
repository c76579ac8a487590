//! What the cluster asks for of running pods, and which of their links it means.

use caracal_cni_plugin::record::Known;

use crate::model::{Kind, Limits, Model, Sources};

/// The interface that annotations are about: runtimes call a pod's first one so.
pub const IFNAME: &str = "eth0";

/// What the cluster asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The limits that are known.
    pub limits: Limits,
    /// The same of allowed sources.
    pub sources: Sources,
    /// And there are no others: nothing that could name one was left unread.
    pub is_whole: bool,
}

impl Wanted {
    /// What the model says about pods.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let is_whole = model.standing.is_whole(Kind::Pod);
        Self { limits: model.pods.limits().clone(), sources: model.pods.sources().clone(), is_whole }
    }
}

/// The number of the host's end of the link that annotations are about, of a pod that is wired.
pub(super) fn host_end(known: &Known) -> Option<u32> {
    let Known { attachment, record, .. } = known;
    record.host_ifindex.filter(|_| attachment.ifname() == IFNAME && record.complete)
}
