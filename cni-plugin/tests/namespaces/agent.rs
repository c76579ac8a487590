//! What the plugin tells an agent, and what it does where there is none, another one, or one that is not well.

use std::{
    fs,
    io::{Read, Write},
    net::IpAddr,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
};

use caracal_datapath::Mapping;
use caracal_endpoints::{
    Answer, Hello, Removal, Request, Versions, Welcome,
    frame::{Decoder, encode},
    message::SPOKEN,
    queue::Queue,
};
use serde_json::json;

use crate::{
    dataplane::load,
    list::{List, ours, vendor},
    node::{Node, addresses, call, conf},
};

const RUN_DIR: &str = "/run/caracal";

/// What the stand-in for an agent does with who connects.
#[derive(Clone, Copy)]
enum Manner {
    /// Answers what it is asked.
    Well,
    /// The same, but everything is to be tried later.
    Later,
    /// Hangs up at once.
    HangsUp,
    /// Never says a word.
    Silent,
    /// Of another release.
    Speaks(Versions),
}

/// Stands in for an agent on this machine; what it is asked.
fn agent(manner: Manner) -> Receiver<Request> {
    fs::create_dir_all(RUN_DIR).unwrap();
    let path = caracal_endpoints::socket(Path::new(RUN_DIR));
    let listener = UnixListener::bind(path).unwrap();
    fs::write(caracal_endpoints::lock(Path::new(RUN_DIR)), "").unwrap();
    let (asked, heard) = channel();
    // It ends with the test's process.
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            match manner {
                Manner::Well => serve(&mut stream, SPOKEN, |request| {
                    asked.send(request.clone()).unwrap();
                    match request {
                        Request::Ping => Answer::Pong { agent: String::new() },
                        Request::Register(_) => Answer::Registered,
                        Request::Wait => Answer::InForce,
                        Request::Remove(_) => Answer::Removed,
                    }
                }),
                Manner::Later => {
                    serve(&mut stream, SPOKEN, |_| Answer::TryLater { reason: "policy is not there".to_owned() });
                }
                Manner::Speaks(spoken) => serve(&mut stream, spoken, |_| Answer::Registered),
                Manner::HangsUp => {}
                Manner::Silent => silent.push(stream),
            }
        }
    });
    heard
}

fn serve(stream: &mut UnixStream, spoken: Versions, answer: impl Fn(&Request) -> Answer) {
    let mut decoder = Decoder::default();
    let mut said = Vec::new();
    let Some(Hello { protocol }) = read(stream, &mut decoder) else { return };
    let accepted = spoken.contains(protocol);
    encode(&Welcome { accepted, spoken, agent: "x".to_owned() }, &mut said).unwrap();
    stream.write_all(&said).unwrap();
    while accepted && let Some(request) = read(stream, &mut decoder) {
        said.clear();
        encode(&answer(&request), &mut said).unwrap();
        // The plugin hangs up when it has heard enough.
        if stream.write_all(&said).is_err() {
            return;
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(stream: &mut UnixStream, decoder: &mut Decoder) -> Option<T> {
    loop {
        if let Some(message) = decoder.next("a message").unwrap() {
            return Some(message);
        }
        let mut chunk = [0; 512];
        match stream.read(&mut chunk) {
            Ok(length) if length > 0 => decoder.extend(&chunk[..length]),
            _ => return None,
        }
    }
}

fn waiting() -> Vec<Removal> {
    Queue::new(Path::new(RUN_DIR)).list().unwrap().into_iter().filter_map(|it| it.removal).collect()
}

#[test]
fn the_agent_hears_of_every_pod_that_comes_and_goes() {
    let node = Node::enter();
    let heard = agent(Manner::Well);
    let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    let pod = node.pod("a");
    let mut env = pod.env("eth0");
    env.push(("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u-1"));
    let result = call("ADD", &env, &conf.to_string()).ok();
    let host = node.link(result["interfaces"][0]["name"].as_str().unwrap()).unwrap();
    let Request::Register(registered) = heard.recv().unwrap() else { panic!("not registered") };
    assert_eq!(registered.to_string(), "a:eth0 of network net");
    assert_eq!((registered.host_ifindex, &registered.addresses), (host.index, &addresses(&result)));
    assert_eq!(registered.host_mac, host.mac.unwrap().to_string());
    assert_eq!(registered.pod_mac, pod.link("eth0").unwrap().mac.unwrap().to_string());
    assert_eq!([&registered.pod_namespace, &registered.pod_name, &registered.pod_uid], ["shop", "web", "u-1"]);
    assert_eq!((&registered.netns, &*registered.bpffs), (&pod.netns, Path::new("/sys/fs/bpf/caracal")));
    assert_eq!(heard.recv().unwrap(), Request::Wait);
    pod.call("DEL", &conf).ok();
    let Request::Remove(removed) = heard.recv().unwrap() else { panic!("not removed") };
    assert_eq!(removed.to_string(), "a:eth0 of network net");
    assert_eq!((removed.host_ifindex, &removed.addresses), (Some(host.index), &addresses(&result)));
    // Nothing is known of a second one.
    pod.call("DEL", &conf).ok();
    assert!(heard.try_recv().is_err());
    assert_eq!((waiting(), node.remains()), (Vec::new(), Vec::new()));
}

#[test]
fn chained_pods_are_told_of_too() {
    let node = Node::enter();
    let _pinned = load();
    let heard = agent(Manner::Well);
    let list = List { version: "1.0.0", plugins: vec![vendor("ptp", &["10.1.0.0/24"]), ours()] };
    let pod = node.pod("a");
    let results = list.add(&pod);
    let Request::Register(registered) = heard.recv().unwrap() else { panic!("not registered") };
    assert_eq!(
        (registered.addresses, registered.host_ifindex),
        (addresses(&results[1]), pod.link("eth0").unwrap().peer.unwrap())
    );
    assert_eq!(heard.recv().unwrap(), Request::Wait);
    list.del(&pod, &results[1]);
    assert!(matches!(heard.recv().unwrap(), Request::Remove(_)));
}

#[test]
fn a_pod_whose_policy_is_not_in_force_is_tried_again_later_and_leaves_nothing() {
    let node = Node::enter();
    let _heard = agent(Manner::Later);
    let pod = node.pod("a");
    let error = pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24"])).error();
    assert_eq!(error, (11, "caracal-agent: policy is not there".to_owned()));
    assert_eq!((pod.link("eth0"), node.remains()), (None, Vec::new()));
    assert_eq!(waiting().len(), 1, "the agent that did not take the removal either finds it");
}

#[test]
fn an_agent_that_is_not_well_keeps_nobody_from_starting_unless_there_must_be_one() {
    for manner in [Manner::HangsUp, Manner::Speaks(Versions { oldest: 8, newest: 9 })] {
        let node = Node::enter();
        let _pinned = load();
        let _heard = agent(manner);
        let mut conf = conf("1.1.0", &["10.1.0.0/24"]);
        let pod = node.pod("a");
        let answer = pod.call("ADD", &conf);
        assert_eq!(answer.exit, 0, "{answer:?}");
        assert!(answer.stderr.contains("going on as without an agent"), "{answer:?}");
        pod.call("DEL", &conf).ok();
        assert_eq!(waiting().len(), 1);
        conf["policy"] = json!("required");
        let (code, msg) = pod.call("ADD", &conf).error();
        assert_eq!(code, 11, "{msg}");
        match manner {
            Manner::Speaks(_) => assert!(msg.contains("versions 8 to 9 of the socket's protocol"), "{msg}"),
            _ => assert!(msg.contains("hung up before it answered"), "{msg}"),
        }
        assert_eq!(node.remains(), [""; 0]);
    }
}

#[test]
fn a_removal_waits_where_no_agent_listens_and_none_where_there_never_was_one() {
    let node = Node::enter();
    let conf = conf("1.1.0", &["10.1.0.0/24"]);
    let pod = node.pod("a");
    pod.call("ADD", &conf).ok();
    pod.call("DEL", &conf).ok();
    assert_eq!(waiting(), []);
    fs::write(caracal_endpoints::lock(Path::new(RUN_DIR)), "").unwrap();
    let result = pod.call("ADD", &conf).ok();
    let host = node.link(result["interfaces"][0]["name"].as_str().unwrap()).unwrap();
    pod.call("DEL", &conf).ok();
    let found = waiting();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].host_ifindex, &found[0].addresses), (Some(host.index), &addresses(&result)));
    assert_eq!(node.remains(), [""; 0]);
}

#[test]
fn a_silent_agent_holds_up_no_del() {
    let node = Node::enter();
    let conf = conf("1.1.0", &["10.1.0.0/24"]);
    let pod = node.pod("a");
    pod.call("ADD", &conf).ok();
    let _heard = agent(Manner::Silent);
    pod.call("DEL", &conf).ok();
    assert_eq!((waiting().len(), node.remains()), (1, Vec::new()));
}

/// A pod's ports lead nowhere when it is gone, also if all that leads to them is themselves.
#[test]
fn a_chained_del_whose_record_is_lost_unmaps_ports() {
    for loses_endpoints in [false, true] {
        let node = Node::enter();
        let pinned = load();
        let list = List { version: "1.0.0", plugins: vec![vendor("ptp", &["10.1.0.0/24"]), ours()] };
        let pod = node.pod("a");
        let results = list.add(&pod);
        let (ip, link): (IpAddr, u32) = (addresses(&results[1])[0], pod.link("eth0").unwrap().peer.unwrap());
        let mapping =
            Mapping { host_ip: "0.0.0.0".parse().unwrap(), host_port: 8080, protocol: 6, pod_ip: ip, pod_port: 80 };
        pinned.map_port(&mapping, link).unwrap().unwrap();
        fs::remove_file("/run/caracal/endpoints/net/a:eth0").unwrap();
        if loses_endpoints {
            pinned.remove_endpoint(ip, link).unwrap();
        }
        list.del(&pod, &results[1]);
        assert_eq!((pinned.mappings().unwrap(), pinned.endpoints().unwrap()), (Vec::new(), Vec::new()));
    }
}
