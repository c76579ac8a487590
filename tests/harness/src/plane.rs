//! The real programs, loaded and pinned, with a network namespace to run them in.

mod tables;
mod wire;

use aya::programs::{Program, SchedClassifier, TestRun, TestRunOptions};
use caracal_abi::program;
use caracal_datapath::{Features, Loaded, Loader, Pinned, Root};

use crate::{Context, Net};

/// What a program answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To the host's stack (`TC_ACT_UNSPEC`: the next program, then the stack).
    Host,
    /// Sent on by `bpf_redirect` or `bpf_redirect_peer`.
    Redirect,
    /// Dropped.
    Drop,
}

/// One run of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its answer.
    pub action: Action,
    /// The packet as it left it.
    pub packet: Vec<u8>,
    /// What is beside it.
    pub context: Context,
}

/// A loaded data plane: a node, as far as packets can tell.
pub struct Plane {
    root: Root,
    loaded: Loaded,
    pinned: Pinned,
    net: Net,
}

impl Plane {
    /// Loads for this kernel, on a host that translates nothing.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        Self::with(root, &Loader { host_nat: false, ..Loader::new(Features::probe()) })
    }

    /// Loads in a special way.
    #[must_use]
    pub fn with(root: &Root, how: &Loader) -> Self {
        Self::in_net(root, how, Net::current())
    }

    /// One more node, with pins and a network namespace of its own.
    #[must_use]
    pub fn node(root: &Root, name: &str) -> Self {
        let root = Root::new(root.path().with_file_name(name));
        Self::in_net(&root, &Loader { host_nat: false, ..Loader::new(Features::probe()) }, Net::fresh())
    }

    /// Loads in a special way, to run packets in this network namespace.
    #[must_use]
    pub fn in_net(root: &Root, how: &Loader, net: Net) -> Self {
        let loaded = how.load(root).expect("the programs load");
        let pinned = Pinned::open(root).expect("the pins fit").expect("the pins are there");
        Self { root: root.clone(), loaded, pinned, net }
    }

    /// The interface that `BPF_PROG_TEST_RUN` says packets come from unless it is told another: loopback.
    pub const IFINDEX: u32 = 1;

    /// Where it is pinned.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The pinned side of it.
    #[must_use]
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// Its network namespace.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// A program, for options that [`Plane::run`] does not take.
    #[must_use]
    pub fn classifier(&self, name: &str) -> &SchedClassifier {
        match self.loaded.program(name) {
            Some(Program::SchedClassifier(classifier)) => classifier,
            other => panic!("{name} is not a loaded classifier but {other:?}"),
        }
    }

    /// Runs a packet through `from_pod` as if it came from the interface [`Plane::IFINDEX`].
    #[must_use]
    pub fn from_pod(&self, packet: &[u8]) -> Outcome {
        self.run(program::FROM_POD, packet, &Context::default())
    }

    /// Runs a packet through `from_net` as if it came from the interface [`Plane::IFINDEX`].
    #[must_use]
    pub fn from_net(&self, packet: &[u8]) -> Outcome {
        self.run(program::FROM_NET, packet, &Context::default())
    }

    /// Runs a packet through a program, with this beside it.
    #[must_use]
    pub fn run(&self, name: &str, packet: &[u8], context: &Context) -> Outcome {
        let mut out = vec![0; packet.len() + 256];
        let (context_in, mut context_out) = (context.encode(), Context::default().encode());
        let classifier = self.classifier(name);
        let result = self.net.inside(|| {
            classifier.test_run(TestRunOptions {
                data_in: Some(packet),
                data_out: Some(&mut out),
                ctx_in: Some(&context_in),
                ctx_out: Some(&mut context_out),
                ..TestRunOptions::default()
            })
        });
        let result = result.map_err(anyhow::Error::from).unwrap_or_else(|error| {
            panic!(
                "BPF_PROG_TEST_RUN of {name} with {} bytes and {context:?}: {error:#} (the interface must be there \
                 and up, and the packet must fit a page with its headroom: 3700 bytes)",
                packet.len()
            )
        });
        out.truncate(result.data_size_out as usize);
        let action = match i32::from_ne_bytes(result.return_value.to_ne_bytes()) {
            -1 => Action::Host,
            2 => Action::Drop,
            7 => Action::Redirect,
            other => panic!("{name} answered {other}, which is none of its answers"),
        };
        Outcome { action, packet: out, context: Context::decode(&context_out) }
    }
}
