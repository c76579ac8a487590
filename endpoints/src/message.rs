//! What plugin and agent say to each other.
//!
//! The plugin begins with a [`Hello`] and need not wait for the [`Welcome`] before its requests; each [`Request`] gets one
//! [`Answer`], in their order. A field that one side does not know is passed over, and one that is missing is empty, so a
//! new field needs no new version: that is for what an older side would misunderstand.

use std::{fmt, net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The versions of the protocol that are spoken here.
pub const SPOKEN: Versions = Versions { oldest: 1, newest: 1 };

/// A range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The first.
    pub oldest: u32,
    /// The last.
    pub newest: u32,
}

impl Versions {
    /// Whether a version is one of these.
    #[must_use]
    pub fn contains(self, version: u32) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }

    /// The newest that both have.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u32> {
        let newest = self.newest.min(other.newest);
        (self.contains(newest) && other.contains(newest)).then_some(newest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oldest, newest } = self;
        if oldest == newest { write!(f, "version {newest}") } else { write!(f, "versions {oldest} to {newest}") }
    }
}

/// The plugin's first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version that follows.
    pub protocol: u32,
}

/// The agent's first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Whether it goes on in that version. If not, it hangs up.
    pub accepted: bool,
    /// What it speaks.
    pub spoken: Versions,
    /// Which release it is.
    #[serde(default)]
    pub agent: String,
}

/// What is asked of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
pub enum Request {
    /// Whether somebody is there, and who.
    Ping,
    /// A pod is wired.
    Register(Box<Registration>),
    /// Wait until everything is in force that is said about the pods registered on this connection.
    Wait,
    /// A pod is taken apart.
    Remove(Box<Removal>),
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
pub enum Answer {
    /// To [`Request::Ping`].
    Pong {
        /// The agent's release.
        agent: String,
    },
    /// To [`Request::Register`].
    Registered,
    /// To [`Request::Wait`].
    InForce,
    /// To [`Request::Remove`].
    Removed,
    /// Not now.
    TryLater {
        /// What is waited for.
        reason: String,
    },
    /// Not so; the agent hangs up.
    Refused {
        /// What is wrong, and where.
        reason: String,
    },
}

/// A pod that is wired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Registration {
    /// The network's name.
    pub network: String,
    /// What the runtime calls the pod's sandbox.
    pub container_id: String,
    /// The interface in the pod.
    pub ifname: String,
    /// The pod's network namespace.
    pub netns: PathBuf,
    /// Number of the host's end of the link.
    pub host_ifindex: u32,
    /// Its hardware address.
    pub host_mac: String,
    /// The hardware address of the pod's end.
    pub pod_mac: String,
    /// The pod's addresses.
    pub addresses: Vec<IpAddr>,
    /// Where the plugin believes the data plane to be.
    pub bpffs: PathBuf,
    /// The namespace of the Pod object, if there is one.
    pub pod_namespace: String,
    /// Its name.
    pub pod_name: String,
    /// Its uid.
    pub pod_uid: String,
}

/// A pod that is taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Removal {
    /// The network's name.
    pub network: String,
    /// What the runtime called the pod's sandbox.
    pub container_id: String,
    /// The interface in the pod.
    pub ifname: String,
    /// Number of the host's end of the link, if it was ever made. No other link of this start of the machine has it.
    pub host_ifindex: Option<u32>,
    /// The addresses that were the pod's.
    pub addresses: Vec<IpAddr>,
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, container_id, ifname, .. } = self;
        write!(f, "{container_id}:{ifname} of network {network}")
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, container_id, ifname, .. } = self;
        write!(f, "{container_id}:{ifname} of network {network}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_newest_version_that_both_speak_is_spoken() {
        let versions = |oldest, newest| Versions { oldest, newest };
        assert_eq!(versions(1, 1).common(versions(1, 3)), Some(1));
        assert_eq!(versions(2, 4).common(versions(1, 3)), Some(3));
        assert_eq!(versions(2, 4).common(versions(1, 1)), None);
        assert_eq!(versions(1, 1).common(versions(2, 4)), None);
        assert_eq!(versions(1, 1).to_string(), "version 1");
        assert_eq!(versions(1, 2).to_string(), "versions 1 to 2");
    }

    #[test]
    fn unknown_fields_are_passed_over_and_missing_ones_are_empty() {
        let read = |json: Value| serde_json::from_value::<Request>(json).map_err(|e| e.to_string());
        let removal = Removal { container_id: "c1".to_owned(), ..Removal::default() };
        assert_eq!(
            read(json!({"request": "remove", "containerId": "c1", "colour": "red"})),
            Ok(Request::Remove(Box::new(removal)))
        );
        assert_eq!(read(json!({"request": "ping", "more": 1})), Ok(Request::Ping));
        let error = read(json!({"request": "dance"})).unwrap_err();
        assert!(error.contains("unknown variant `dance`, expected one of `ping`, `register`"), "{error}");
    }

    #[test]
    fn version_1_is_written_as_it_was_decided() {
        let written = |message: &Request| serde_json::to_value(message).unwrap();
        let registration = Registration {
            network: "net".to_owned(),
            container_id: "c1".to_owned(),
            ifname: "eth0".to_owned(),
            netns: "/run/netns/a".into(),
            host_ifindex: 7,
            host_mac: "02:00:00:00:00:01".to_owned(),
            pod_mac: "06:00:00:00:00:01".to_owned(),
            addresses: vec!["10.1.0.2".parse().unwrap()],
            bpffs: "/sys/fs/bpf/caracal".into(),
            pod_namespace: "default".to_owned(),
            pod_name: "web".to_owned(),
            pod_uid: "u".to_owned(),
        };
        let expected = json!({"request": "register", "network": "net", "containerId": "c1", "ifname": "eth0",
            "netns": "/run/netns/a", "hostIfindex": 7, "hostMac": "02:00:00:00:00:01",
            "podMac": "06:00:00:00:00:01", "addresses": ["10.1.0.2"], "bpffs": "/sys/fs/bpf/caracal",
            "podNamespace": "default", "podName": "web", "podUid": "u"});
        assert_eq!(written(&Request::Register(Box::new(registration))), expected);
        assert_eq!(written(&Request::Wait), json!({"request": "wait"}));
        assert_eq!(serde_json::to_value(Hello { protocol: 1 }).unwrap(), json!({"protocol": 1}));
    }
}
