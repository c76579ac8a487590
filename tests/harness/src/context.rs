//! What is beside a packet: `struct __sk_buff`, as `BPF_PROG_TEST_RUN` takes and gives it.
//!
//! The kernel refuses values in any field that is not named here.

const SIZE: usize = 192;
const MARK: usize = 8;
const PRIORITY: usize = 32;
const INGRESS_IFINDEX: usize = 36;
const IFINDEX: usize = 40;
const CB: usize = 48;
const WIRE_LEN: usize = 160;
const GSO_SEGS: usize = 164;
const GSO_SIZE: usize = 176;

/// What is beside a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The interface it is on; 0 and 1 are loopback. Another must be up.
    pub ifindex: u32,
    /// The interface it was received on.
    pub ingress_ifindex: u32,
    /// Its mark.
    pub mark: u32,
    /// Its priority.
    pub priority: u32,
    /// What programs of one hook tell each other.
    pub cb: [u32; 5],
    /// Its length on the wire, if not that of the packet.
    pub wire_len: u32,
    /// Into how many segments it will be cut.
    pub gso_segs: u32,
    /// Of which size. The kernel takes it, and does not give it back.
    pub gso_size: u32,
}

impl Context {
    /// On this interface.
    #[must_use]
    pub fn on(ifindex: u32) -> Self {
        Self { ifindex, ..Self::default() }
    }

    /// With this mark.
    #[must_use]
    pub fn mark(self, mark: u32) -> Self {
        Self { mark, ..self }
    }

    /// As several segments of this size, all of them in the one packet.
    #[must_use]
    pub fn segments(self, gso_segs: u32, gso_size: u32) -> Self {
        Self { gso_segs, gso_size, ..self }
    }

    pub(crate) fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for (at, value) in self.fields() {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; SIZE]) -> Self {
        let at = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        Self {
            ifindex: at(IFINDEX),
            ingress_ifindex: at(INGRESS_IFINDEX),
            mark: at(MARK),
            priority: at(PRIORITY),
            cb: [0, 1, 2, 3, 4].map(|n| at(CB + 4 * n)),
            wire_len: at(WIRE_LEN),
            gso_segs: at(GSO_SEGS),
            gso_size: at(GSO_SIZE),
        }
    }

    fn fields(&self) -> impl Iterator<Item = (usize, u32)> {
        let Self { ifindex, ingress_ifindex, mark, priority, cb, wire_len, gso_segs, gso_size } = *self;
        let cb = cb.into_iter().zip((CB..).step_by(4)).map(|(value, at)| (at, value));
        let single = [
            (IFINDEX, ifindex),
            (INGRESS_IFINDEX, ingress_ifindex),
            (MARK, mark),
            (PRIORITY, priority),
            (WIRE_LEN, wire_len),
            (GSO_SEGS, gso_segs),
            (GSO_SIZE, gso_size),
        ];
        single.into_iter().chain(cb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let context = Context {
            ifindex: 1,
            ingress_ifindex: 2,
            mark: 3,
            priority: 4,
            cb: [5, 6, 7, 8, 9],
            wire_len: 10,
            gso_segs: 11,
            gso_size: 12,
        };
        assert_eq!(Context::decode(&context.encode()), context);
    }
}
