//! Writes the frames the fuzzer starts from: `seed_corpus <directory>`.

use std::{env, error::Error, fs, path::PathBuf};

#[expect(dead_code, reason = "the tests of the parser also ask what it should read")]
#[path = "../../../ebpf/logic/tests/parser/frames.rs"]
mod frames;
#[expect(dead_code, reason = "as above")]
#[path = "../../../ebpf/logic/tests/parser/read.rs"]
mod read;

use frames::{Extension, Frame, Ip, Transport, tcp, udp, v4, v4_options, v6};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(env::args_os().nth(1).ok_or("usage: seed_corpus <directory>")?);
    fs::create_dir_all(&directory)?;
    for (name, bytes) in seeds() {
        fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let sctp = || Transport::Sctp { sport: 1, dport: 2 };
    let tcp_options = Transport::Tcp { sport: 4321, dport: 443, flags: 2, options: vec![[1; 4]; 5] };
    let chain = [Extension::Plain(0, 1), Extension::Plain(43, 0), Extension::Plain(60, 0), Extension::Auth(3)];
    let odd_chain = [Extension::Plain(135, 0), Extension::Plain(139, 0), Extension::Plain(140, 0)];
    let frames = [
        ("tcp4", Frame::new(v4(), tcp())),
        ("tcp6", Frame::new(v6(&[]), tcp())),
        ("tcp4-options", Frame::new(v4_options(3), tcp_options)),
        ("udp4-padded", Frame { payload: vec![0; 4], padding: 14, ..Frame::new(v4(), udp()) }),
        ("udp6-chain", Frame::new(v6(&chain), udp())),
        ("tcp6-odd-chain", Frame::new(v6(&odd_chain), tcp())),
        ("udp6-eight", Frame::new(v6(&[Extension::Plain(60, 0); 8]), udp())),
        ("sctp4", Frame::new(v4(), sctp())),
        ("sctp6", Frame::new(v6(&[]), sctp())),
        ("esp4", Frame::new(v4(), Transport::Other(50))),
        ("none6", Frame::new(v6(&[Extension::Plain(60, 0)]), Transport::Other(59))),
        ("udp4-first", Frame::new(v4().fragment(0, true), udp())),
        ("udp4-later", Frame::new(v4().fragment(1480, false), udp())),
        ("udp6-first", Frame::new(v6(&[]).fragment(0, true), udp())),
        ("udp6-later", Frame::new(v6(&[]).fragment(1448, false), udp())),
        ("echo4", Frame::new(v4(), Transport::Icmp(8, 77))),
        ("echo6", Frame::new(v6(&[]), Transport::Icmp(129, 77))),
        ("neighbour6", Frame::new(v6(&[]), Transport::Icmp(135, 0))),
        ("error4-tcp", about(v4(), 3, &Frame::new(v4(), tcp()))),
        ("error4-echo", about(v4(), 11, &Frame::new(v4(), Transport::Icmp(8, 9)))),
        ("error6-chain", about(v6(&[]), 2, &Frame::new(v6(&chain), udp()))),
        ("vlan4", Frame { tags: vec![(0x8100, 5)], ..Frame::new(v4(), tcp()) }),
        ("qinq6", Frame { tags: vec![(0x88a8, 5), (0x8100, 6)], ..Frame::new(v6(&[]), tcp()) }),
    ];
    frames.into_iter().map(|(name, frame)| (name, frame.bytes())).collect()
}

/// An ICMP error about another frame's datagram.
fn about(ip: Ip, icmp_type: u8, frame: &Frame) -> Frame {
    Frame { payload: frame.datagram(), ..Frame::new(ip, Transport::Icmp(icmp_type, 0)) }
}
