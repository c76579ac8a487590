//! The API servers of a cluster: any of them will do.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use kube::Client;

/// One client for each server, and which of them answered last.
pub struct Servers {
    clients: Vec<(String, Client)>,
    current: AtomicUsize,
}

/// The server that a request went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen(usize);

impl Servers {
    /// Servers by address; the first is asked first. None if there are none.
    #[must_use]
    pub fn new(clients: Vec<(String, Client)>) -> Option<Self> {
        (!clients.is_empty()).then_some(Self { clients, current: AtomicUsize::new(0) })
    }

    /// The one to ask.
    pub(super) fn choose(&self) -> Chosen {
        Chosen(self.current.load(Ordering::Relaxed))
    }

    /// Who asks it.
    pub(super) fn client(&self, Chosen(chosen): Chosen) -> &Client {
        &self.clients[chosen].1
    }

    /// It did not answer: the next is asked, unless another follower has seen to that.
    pub(super) fn failed(&self, Chosen(failed): Chosen) {
        let next = (failed + 1) % self.clients.len();
        let changed = self.current.compare_exchange(failed, next, Ordering::Relaxed, Ordering::Relaxed);
        if changed.is_ok() && next != failed {
            log::warn!("API server {} does not answer; asking {}", self.clients[failed].0, self.clients[next].0);
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Servers").field(&self.to_string()).finish()
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<&str> = self.clients.iter().map(|(address, _)| address.as_str()).collect();
        f.write_str(&addresses.join(", "))
    }
}
