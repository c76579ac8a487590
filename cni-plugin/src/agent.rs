//! What the agent is told of a pod. A node without an agent is a state like any other: its pods are wired all the same.

use std::time::Duration;

use caracal_endpoints::{
    Answer, Error as Failure, Registration, Removal, Request, client::Client, lock, queue::Queue, socket,
};
use caracal_ipam::{Attachment, protocol::Args};

use crate::{
    Error,
    config::{Places, Policy},
    record::Record,
};

/// How long ADD waits for the agent's word. The agent gives it earlier, one way or the other.
const ADD_LIMIT: Duration = Duration::from_secs(10);
/// How long DEL does, which has nothing to learn from it.
const DEL_LIMIT: Duration = Duration::from_secs(1);

/// Tells the agent of a pod that is wired, and waits until what the cluster says of it is in force. What an agent says
/// that cannot be understood counts like none, unless there must be one.
pub fn register(
    places: &Places,
    policy: Policy,
    network: &str,
    attachment: &Attachment,
    record: &Record,
    args: &Args,
) -> Result<(), Error> {
    let Some(host_ifindex) = record.host_ifindex else { return Ok(()) };
    let arg = |name: &str| args.get(name).unwrap_or_default().to_owned();
    let registration = Registration {
        network: network.to_owned(),
        container_id: attachment.container_id().to_owned(),
        ifname: attachment.ifname().to_owned(),
        netns: record.netns.clone().into(),
        host_ifindex,
        host_mac: record.host_mac.clone(),
        pod_mac: record.pod_mac.clone(),
        addresses: record.addresses.clone(),
        bpffs: record.bpffs.clone(),
        pod_namespace: arg("K8S_POD_NAMESPACE"),
        pod_name: arg("K8S_POD_NAME"),
        pod_uid: arg("K8S_POD_UID"),
    };
    let requests = [Request::Register(Box::new(registration)), Request::Wait];
    match Client::new(socket(&places.run_dir), ADD_LIMIT).ask(&requests) {
        Ok(answers) => understood(answers),
        Err(Failure::Away(_)) => Ok(()),
        Err(failure) if policy == Policy::Required => Err(Error::MustWait(failure.to_string())),
        Err(failure) => {
            log::warn!("{failure}; going on as without an agent");
            Ok(())
        }
    }
}

fn understood(answers: Vec<Answer>) -> Result<(), Error> {
    for answer in answers {
        match answer {
            Answer::TryLater { reason } => return Err(Error::MustWait(reason)),
            Answer::Refused { reason } => return Err(Error::AgentRefused(reason)),
            Answer::Registered | Answer::InForce | Answer::Removed | Answer::Pong { .. } => {}
        }
    }
    Ok(())
}

/// Tells the agent that a pod is taken apart or, while none runs, the next one. Where none has ever run there is nobody
/// to tell. Nothing depends on it: what is not told is found by comparing.
pub fn remove(places: &Places, network: &str, attachment: &Attachment, record: &Record) {
    let removal = Removal {
        network: network.to_owned(),
        container_id: attachment.container_id().to_owned(),
        ifname: attachment.ifname().to_owned(),
        host_ifindex: record.host_ifindex,
        addresses: record.addresses.clone(),
    };
    let request = Request::Remove(Box::new(removal.clone()));
    let failure = match Client::new(socket(&places.run_dir), DEL_LIMIT).ask(&[request]).as_deref() {
        Ok([Answer::Removed]) => return,
        Ok(answers) => format!("the agent answers {answers:?}"),
        Err(Failure::Away(_)) if !lock(&places.run_dir).exists() => return,
        Err(failure) => failure.to_string(),
    };
    log::debug!("{attachment}: {failure}; the removal waits for an agent");
    if let Err(e) = Queue::new(&places.run_dir).push(&removal) {
        log::warn!("{attachment}: {e}; the agent finds it by comparing");
    }
}
