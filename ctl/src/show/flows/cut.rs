//! `caracalctl flows cut`.

use std::net::IpAddr;

use caracal_abi::{Flow, FlowKey};
use caracal_datapath::Pinned;

use crate::{
    options::{FlowsCut, Options},
    output::{Row, print},
};

#[derive(serde::Serialize)]
struct Line {
    removed: usize,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["REMOVED"];

    fn cells(&self) -> Vec<String> {
        vec![self.removed.to_string()]
    }
}

pub fn cut(options: &Options, which: &FlowsCut, pinned: &Pinned) -> anyhow::Result<()> {
    let ip = which.address;
    let removed = if ip.is_ipv4() {
        pinned.flows4()?.cut(|key, flow| touches(ip, key, flow))?
    } else {
        pinned.flows6()?.cut(|key, flow| touches(ip, key, flow))?
    };
    print(&[Line { removed }], options.output, "")
}

fn touches<A: Copy + Into<IpAddr>>(ip: IpAddr, key: &FlowKey<A>, flow: &Flow<A>) -> bool {
    let answer = flow.answer(key);
    [key.src, key.dst, answer.src, answer.dst].into_iter().any(|addr| addr.into() == ip)
}

#[cfg(test)]
mod tests {
    use caracal_abi::{Be16, Ip4, Translation};

    use super::*;

    #[test]
    fn a_flow_touches_an_address_before_and_after_its_translation() {
        let [pod, server, node, other] = [1, 2, 3, 4].map(|n| IpAddr::from([10, 0, 0, n]));
        let ip = |ip: IpAddr| if let IpAddr::V4(ip) = ip { Ip4::from(ip) } else { Ip4::default() };
        let key = |src, dst| FlowKey::new(ip(src), ip(dst), Be16::new(1), Be16::new(2), 6);
        let sent = key(pod, server);
        let plain = Flow::default();
        let translation = Translation::new(&sent, &key(node, server));
        let masqueraded = Flow { flags: Flow::<Ip4>::TRANSLATED, translation, ..plain };
        let touched = |flow| [pod, server, node, other].map(|addr| touches(addr, &sent, &flow));
        assert_eq!(touched(plain), [true, true, false, false]);
        assert_eq!(touched(masqueraded), [true, true, true, false]);
    }
}
