//! XDP links.

use aya::programs::{Xdp, XdpMode, xdp::XdpLink};
use aya_obj::programs::XdpAttachType;

use super::link;
use crate::{Error, Root};

/// Attaches a pinned program to an interface of this network namespace, in the driver if it can, else in the stack.
/// Replaces the program already there and then keeps its mode.
pub fn xdp(root: &Root, name: &str, ifindex: u32) -> Result<XdpMode, Error> {
    let pin = root.link(name, ifindex);
    let mut program =
        Xdp::from_pin(root.program(name), XdpAttachType::Interface).map_err(Error::program(name, "open its pin"))?;
    if let Some(existing) = link::open::<XdpLink>(&pin).map_err(Error::program(name, "open its link"))? {
        match program.attach_to_link(existing) {
            Ok(_) => return Ok(XdpMode::Default),
            Err(error) if link::is_dead(&error) => link::unpin(&pin)?,
            Err(error) => return Err(Error::program(name, "replace it")(error)),
        };
    }
    let (mode, id) = match program.attach(ifindex, XdpMode::Driver) {
        Ok(id) => (XdpMode::Driver, id),
        Err(error) => {
            log::info!("no native XDP on interface {ifindex} ({error}); attaching {name} in generic mode");
            let id = program.attach(ifindex, XdpMode::Skb).map_err(Error::program(name, "attach it by XDP"))?;
            (XdpMode::Skb, id)
        }
    };
    link::pin(program.take_link(id).map_err(Error::program(name, "take its link"))?, &pin)?;
    Ok(mode)
}
