//! Flows between two sides, and how they come about.

use std::fmt;

use caracal_harness::tcp;

use super::fixture::{Fixture, Side};
use crate::test_run::FIRST_PORT;

/// The port that does not change from flow to flow.
const PORT: u16 = 80;

/// Packets are at least as long as what the wrapper restores.
const PAYLOAD: [u8; 64] = [0; 64];

/// What flows are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Tcp { "TCP" } else { "UDP" })
    }
}

/// Flows that one side opens, of which packets of one side are timed.
#[derive(Clone, Copy, Debug)]
pub struct Flows {
    pub protocol: Protocol,
    /// Who sends the first packet.
    pub opener: Side,
    /// Who answers.
    pub answerer: Side,
    /// Whose packets are timed: its port tells the flows apart.
    pub timed: By,
}

/// Whose packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Opener,
    Answerer,
}

/// What a packet is in its flow.
#[derive(Clone, Copy, Debug)]
enum Part {
    First,
    Answer,
    Later,
}

impl Flows {
    /// The side whose packets are timed.
    pub fn sender(&self) -> Side {
        match self.timed {
            By::Opener => self.opener,
            By::Answerer => self.answerer,
        }
    }

    /// The packet to time when flows are established.
    pub fn later(&self) -> Vec<u8> {
        self.packet(self.timed, Part::Later, FIRST_PORT)
    }

    /// The packet to time when each opens a flow.
    pub fn first(&self) -> Vec<u8> {
        self.packet(By::Opener, Part::First, FIRST_PORT)
    }

    /// Lets both sides say what they have to until so many flows are established: each the `stride`th from the one before.
    pub fn establish(&self, fixture: &Fixture, flows: u32, stride: u32) -> anyhow::Result<()> {
        for n in 0..flows {
            let port = FIRST_PORT + u16::try_from(u64::from(n) * u64::from(stride) % u64::from(flows))?;
            fixture.send(&self.opener, &self.packet(By::Opener, Part::First, port))?;
            fixture.send(&self.answerer, &self.packet(By::Answerer, Part::Answer, port))?;
            fixture.send(&self.opener, &self.packet(By::Opener, Part::Later, port))?;
        }
        Ok(())
    }

    /// `port` is that of the side whose packets are timed.
    fn packet(&self, by: By, stage: Part, port: u16) -> Vec<u8> {
        let frame = match by {
            By::Opener => self.opener.frame(&self.answerer),
            By::Answerer => self.answerer.frame(&self.opener),
        };
        let (sport, dport) = if by == self.timed { (port, PORT) } else { (PORT, port) };
        let flags = match stage {
            Part::First => tcp::SYN,
            Part::Answer => tcp::SYN | tcp::ACK,
            Part::Later => tcp::ACK,
        };
        match self.protocol {
            Protocol::Tcp => frame.tcp(sport, dport, flags, &PAYLOAD),
            Protocol::Udp => frame.udp(sport, dport, &PAYLOAD),
        }
    }
}
