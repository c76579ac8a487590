//! Captures and frames.

use std::{fs, thread, time::Duration};

use caracal_lab::{Site, require_root, target_dir};

use crate::support::two_nodes;

const ETHERNET_HEADER_LEN: usize = 14;

/// A broadcast frame of an experimental type with this payload.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([0x02, 0, 0, 0, 0, 0x66]);
    frame.extend([0x88, 0xb5]);
    frame.extend(payload);
    frame
}

#[test]
fn a_frame_arrives_as_it_was_sent() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("frames").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let (sent, received) = (n1.capture("eth0").unwrap(), n2.capture("eth0").unwrap());
    let frame = frame(b"a frame that no socket would send, from an address that nobody has");
    n1.send_frame("eth0", &frame).unwrap();
    let at_n2 = received.wait_for("the frame", Duration::from_secs(5), |packet| packet.bytes == frame).unwrap();
    assert!(!at_n2.outgoing);
    let at_n1 = sent.stop().unwrap();
    assert!(at_n1.iter().any(|packet| packet.outgoing && packet.bytes == frame));

    let error = format!("{:#}", n1.send_frame("eth9", &frame).unwrap_err());
    assert!(error.contains("eth9") && error.contains("n1"), "{error}");
}

#[test]
fn stopping_misses_nothing_that_went_before() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("misses").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let capture = n2.capture("eth0").unwrap();
    let frames: Vec<_> = (0..500_u16).map(|number| frame(&number.to_be_bytes())).collect();
    n1.send_frames("eth0", &frames).unwrap();
    let captured = capture.stop().unwrap();
    let ours = captured.into_iter().map(|packet| packet.bytes).filter(|bytes| bytes[6..14] == frames[0][6..14]);
    let numbers: Vec<_> = ours.map(|bytes| bytes[ETHERNET_HEADER_LEN..].to_vec()).collect();
    assert_eq!(numbers, frames.iter().map(|frame| frame[ETHERNET_HEADER_LEN..].to_vec()).collect::<Vec<_>>());
}

#[test]
fn a_panic_saves_what_was_captured_and_a_good_end_does_not() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("panics").start().unwrap();
    let name = format!("panics-{}", std::process::id());
    let saved = target_dir().unwrap().join(format!("lab-captures/{name}-n1-eth0.pcap"));
    let run = |panics: bool| {
        let n1 = lab.node("n1").clone();
        let test = thread::Builder::new().name(name.clone()).spawn(move || {
            let _capture = n1.capture("eth0").unwrap();
            n1.send_frame("eth0", &frame(b"evidence")).unwrap();
            assert!(!panics, "as a failing test does");
        });
        test.unwrap().join().is_err()
    };
    assert!(!run(false));
    assert!(!saved.exists());
    assert!(run(true));
    let file = fs::read(&saved).unwrap();
    fs::remove_file(&saved).unwrap();
    assert_eq!(file[..4], 0xa1b2_3c4d_u32.to_ne_bytes());
    assert!(file.windows(8).any(|bytes| bytes == b"evidence"));
}
