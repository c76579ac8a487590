//! Who can talk to whom.

use std::net::{IpAddr, SocketAddr};

use caracal_lab::{Pod, Site as _};
use comfy_table::{Cell, Color, Table, presets};

/// What is tried between each two pods, for both families.
const KINDS: [&str; 3] = ["ping", "tcp", "udp"];

/// The outcome of every try.
pub struct Matrix {
    names: Vec<String>,
    cells: Vec<Tries>,
}

/// From one pod to another.
struct Tries {
    from: usize,
    to: usize,
    /// Why it failed, by what was tried.
    failures: Vec<String>,
}

impl Matrix {
    /// Tries every kind of traffic between each two pods, in both directions.
    pub fn try_all(pods: &[Pod]) -> Self {
        let names = pods.iter().map(|pod| pod.label().to_owned()).collect();
        let pairs = (0..pods.len()).flat_map(|from| (0..pods.len()).map(move |to| (from, to)));
        let cells = pairs.filter(|(from, to)| from != to);
        let cells = cells.map(|(from, to)| Tries { from, to, failures: try_pair(&pods[from], &pods[to]) }).collect();
        Self { names, cells }
    }

    /// For people: rows are senders, columns receivers.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        let titles = self.names.iter().map(|name| format!("→ {name}"));
        table.set_header([String::new()].into_iter().chain(titles));
        for (from, name) in self.names.iter().enumerate() {
            let row = (0..self.names.len()).map(|to| self.cell(from, to));
            table.add_row([Cell::new(name)].into_iter().chain(row));
        }
        table
    }

    fn cell(&self, from: usize, to: usize) -> Cell {
        match self.cells.iter().find(|tries| (tries.from, tries.to) == (from, to)) {
            None => Cell::new("·"),
            Some(tries) if tries.failures.is_empty() => {
                Cell::new(format!("{} v4 v6", KINDS.join(" "))).fg(Color::Green)
            }
            Some(tries) => Cell::new(format!("{} of {} failed", tries.failures.len(), 2 * KINDS.len())).fg(Color::Red),
        }
    }

    /// Everything that did not work, in words.
    pub fn failures(&self) -> Vec<String> {
        let all = self.cells.iter().flat_map(|tries| {
            tries.failures.iter().map(|why| format!("{} → {}: {why}", self.names[tries.from], self.names[tries.to]))
        });
        all.collect()
    }
}

fn try_pair(from: &Pod, to: &Pod) -> Vec<String> {
    let addresses: [(IpAddr, IpAddr); 2] = [(from.ip4().into(), to.ip4().into()), (from.ip6().into(), to.ip6().into())];
    let tries =
        addresses.into_iter().flat_map(|(own, other)| KINDS.map(|kind| (kind, try_one(kind, from, own, other))));
    tries.filter_map(|(kind, tried)| Some(format!("{kind}: {}", tried.err()?))).collect()
}

fn try_one(kind: &str, from: &Pod, own: IpAddr, to: IpAddr) -> Result<(), String> {
    let payload = b"hello";
    let reply = match kind {
        "ping" => return from.ping(to).map(drop).map_err(|error| error.to_string()),
        "tcp" => from.tcp_roundtrip(SocketAddr::new(to, 8080), payload),
        _ => from.udp_roundtrip(SocketAddr::new(to, 5353), payload),
    };
    let reply = reply.map_err(|error| error.to_string())?;
    // The server must see the pod itself, not something on the way.
    if reply.peer.ip() != own {
        return Err(format!("the server saw {}, not {own}", reply.peer.ip()));
    }
    if reply.bytes != payload {
        return Err("the answer is not what was sent".to_owned());
    }
    Ok(())
}
