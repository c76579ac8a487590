//! What a source tells: states, not transitions, so that telling something twice changes nothing.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::{Serialize, Serializer};

use super::{
    EndpointSlice, Kind, Name, Namespace, Node, Pod, Service, ServiceCidr,
    calico::{CalicoPolicy, FelixConfiguration, HostEndpoint, Installation, IpPool, NetworkSet, Tier},
    policy::{ClusterNetworkPolicy, NetworkPolicy},
};

/// An object as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is called.
    pub name: Name,
    /// What it says.
    pub body: Body,
}

impl Object {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }
}

macro_rules! bodies {
    ($($kind:ident($body:ty)),* $(,)?) => {
        /// What an object says.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each is what it is called")]
        pub enum Body {
            $($kind(Arc<$body>)),*
        }

        impl Body {
            pub(super) fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind),*
                }
            }
        }
    };
}

bodies! {
    Node(Node),
    Namespace(Namespace),
    Pod(Pod),
    Service(Service),
    EndpointSlice(EndpointSlice),
    ServiceCidr(ServiceCidr),
    NetworkPolicy(NetworkPolicy),
    ClusterNetworkPolicy(ClusterNetworkPolicy),
    Tier(Tier),
    CalicoNetworkPolicy(CalicoPolicy),
    GlobalNetworkPolicy(CalicoPolicy),
    NetworkSet(NetworkSet),
    GlobalNetworkSet(NetworkSet),
    HostEndpoint(HostEndpoint),
    IpPool(IpPool),
    FelixConfiguration(FelixConfiguration),
    Installation(Installation),
}

/// Who told something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// An object.
    Object(Kind, Name),
    /// An object of the kind that does not say what it is called.
    Kind(Kind),
    /// The API server, asked for the kind: what was known stays true until it answers again.
    Watch(Kind),
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(kind, name) => write!(f, "{} {name}", kind.name()),
            Self::Kind(kind) => write!(f, "{} without a name", kind.name()),
            Self::Watch(kind) => write!(f, "{}", kind.plural()),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A step from what was known to what is.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// All objects of a kind are about to be told.
    Begin(Kind),
    /// An object is there.
    Put(Object),
    /// An object is not there.
    Gone(Kind, Name),
    /// All objects of the kind were told since the beginning: there are no others.
    Whole(Kind),
    /// Something could not be read; what it said before stays in force.
    Unread(Origin, String),
    /// What could not be read before is read, or gone.
    Read(Origin),
}
