//! A UDP request: one datagram, one answer.

use std::{io, net::UdpSocket, time::Instant};

use super::{Error, Request, tcp::left};

/// The largest datagram there is.
pub(super) const LARGEST: usize = 65_535;

pub(super) fn exchange(request: &Request, payload: &[u8], deadline: Instant) -> Result<Vec<u8>, Error> {
    let at = |step: &'static str| move |error: io::Error| request.error(step, &error);
    let socket = UdpSocket::bind(request.source()).map_err(at("bind"))?;
    socket.set_read_timeout(Some(left(deadline).map_err(at("wait"))?)).map_err(at("wait"))?;
    let mut answer = vec![0; LARGEST];
    let len = if request.connected {
        socket.connect(request.to).map_err(at("connect"))?;
        socket.send(payload).map_err(at("send"))?;
        socket.recv(&mut answer).map_err(at("read"))?
    } else {
        socket.send_to(payload, request.to).map_err(at("send"))?;
        let (len, from) = socket.recv_from(&mut answer).map_err(at("read"))?;
        if from != request.to {
            return Err(request.mismatch(format!("the answer comes from {from}")));
        }
        len
    };
    answer.truncate(len);
    Ok(answer)
}
