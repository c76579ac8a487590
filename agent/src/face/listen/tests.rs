//! Over real sockets on loopback addresses.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream},
    sync::mpsc,
    thread,
};

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::face::tests::face;

/// A face that is served on a port of its own, by a thread of its own.
struct Served {
    face: Face,
    address: SocketAddr,
    serving: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
    _directory: TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some((end, serving)) = self.serving.take() {
            let _ = (end.send(()), serving.join());
        }
    }
}

fn served_at(ip: IpAddr, pages: Pages) -> Served {
    let (face, directory) = face(&["--watchdog-seconds=5"]);
    let (end, ended) = oneshot::channel::<()>();
    let (tell, told) = mpsc::channel();
    let served = face.clone();
    let serving = thread::spawn(move || {
        let state = served.state.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = listen((ip, 0).into()).unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            tokio::select! {
                () = serve(served, listener, pages) => {}
                () = async { loop { state.asked().await.answer(&serde_json::json!({"nodes": {"n1": {}}})) } } => {}
                _ = ended => {}
            }
        });
    });
    Served { face, address: told.recv().unwrap(), serving: Some((end, serving)), _directory: directory }
}

const ALL: Pages = Pages { health: true, debug: true, metrics: true };

fn served() -> Served {
    served_at(Ipv4Addr::LOCALHOST.into(), ALL)
}

/// All that is answered to some bytes. A bound of its own keeps a test that fails from hanging.
fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may be refused before all of it was written.
    let _ = stream.write_all(request.as_ref());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = ask(address, format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn every_page_is_served_on_both_families() {
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let served = served_at(ip, ALL);
        for path in ["/healthz", "/livez", "/liveness"] {
            assert_eq!(get(served.address, path), (200, "alive\n".to_owned()));
        }
        for path in ["/readyz", "/readiness", "/readyz?verbose"] {
            assert_eq!(get(served.address, path), (200, "ready\n".to_owned()));
        }
        let (status, metrics) = get(served.address, "/metrics");
        assert!(status == 200 && metrics.ends_with("# EOF\n") && metrics.contains("caracal_build_info"), "{metrics}");
        let json = |path| serde_json::from_str::<serde_json::Value>(&get(served.address, path).1).unwrap();
        assert_eq!(json("/debug/state"), serde_json::json!({"nodes": {"n1": {}}}));
        let config = json("/debug/config");
        let watchdog = config["settings"].as_array().unwrap().iter().find(|it| it["name"] == "watchdog-seconds");
        assert_eq!(watchdog.unwrap()["from"], "--watchdog-seconds");
        let (status, others) = get(served.address, "/");
        assert_eq!((status, others.contains("/healthz")), (404, true));
    }
}

#[test]
fn pages_that_a_socket_is_not_for_are_not_there() {
    let served = served_at(Ipv4Addr::LOCALHOST.into(), Pages { metrics: true, ..Pages::default() });
    assert_eq!(get(served.address, "/metrics").0, 200);
    for path in ["/healthz", "/readyz", "/debug/state", "/debug/config"] {
        assert_eq!(get(served.address, path), (404, "there are /metrics\n".to_owned()));
    }
}

#[tokio::test]
async fn debugging_is_for_who_asks_from_the_node() {
    let (face, _directory) = face(&[]);
    let status = async |path, is_local| ALL.answer(&face, &hyper::Method::GET, path, is_local).await.status().as_u16();
    assert_eq!([status("/debug/config", true).await, status("/debug/config", false).await], [200, 403]);
    assert_eq!(status("/debug/state", false).await, 403);
    assert_eq!(status("/readyz", false).await, 200);
}

#[test]
fn what_is_missing_is_said_in_words_until_nothing_is() {
    let served = served();
    served.face.health.missing("programs", "not loaded yet");
    served.face.health.problem("configuration", "two\nlines");
    let expected = "not ready\nmissing: programs: not loaded yet\nproblem: configuration: two lines\n";
    assert_eq!(get(served.address, "/readyz"), (503, expected.to_owned()));
    assert_eq!(get(served.address, "/livez").0, 200);
    served.face.health.clear("programs");
    assert_eq!(get(served.address, "/readyz"), (200, "ready\nproblem: configuration: two lines\n".to_owned()));
}

#[test]
fn a_part_that_hangs_is_named() {
    let served = served();
    served.face.health.beat_before("upkeep", Duration::from_secs(1), Duration::from_secs(100));
    let expected = "not alive\nlate: upkeep: not heard of for 100 s, expected every 1 s\n";
    assert_eq!(get(served.address, "/livez"), (503, expected.to_owned()));
    assert_eq!(get(served.address, "/healthz").0, 503);
}

#[test]
fn other_methods_and_versions_are_answered_as_they_should() {
    let served = served();
    let ask = |request: &str| ask(served.address, request);
    let old = ask("GET /healthz HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200 OK\r\n") && old.ends_with("\r\n\r\nalive\n"), "{old}");
    let head = ask("HEAD /healthz HTTP/1.1\r\nHost: node\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 6\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let refused = ask(&format!("{method} /healthz HTTP/1.1\r\nHost: node\r\ncontent-length: 0\r\n\r\n"));
        assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD\r\n"), "{refused}");
    }
    let two = ask("GET /healthz HTTP/1.1\r\nHost: node\r\n\r\nGET /readyz HTTP/1.1\r\nHost: node\r\n\r\n");
    assert_eq!(two.matches("HTTP/1.1 ").count(), 1, "one request to a connection: {two}");
}

#[test]
fn what_is_no_request_is_refused_and_what_is_too_long_too() {
    let served = served();
    for request in ["nonsense\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n", "GET /healthz\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let refused = ask(served.address, request);
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 400 "), "{request:?}: {refused}");
    }
    let long = format!("GET /healthz HTTP/1.1\r\nHost: node\r\nx: {}\r\n\r\n", "y".repeat(64 << 10));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: node\r\n{}\r\n", "x: y\r\n".repeat(100));
    for request in [long, many, format!("GET /{} HTTP/1.1\r\n\r\n", "z".repeat(64 << 10))] {
        let refused = ask(served.address, &request);
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 4"), "{refused}");
    }
    assert_eq!(get(served.address, "/healthz").0, 200);
}

#[test]
fn a_client_that_does_not_finish_its_request_is_let_go() {
    let served = served();
    let beginnings = ["", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: no"];
    // The test's own bound is much longer than the server's.
    let asking = beginnings.map(|beginning| {
        let address = served.address;
        thread::spawn(move || ask(address, beginning))
    });
    for answer in asking.map(|it| it.join().unwrap()) {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[test]
fn however_many_say_nothing_everybody_else_is_answered() {
    let served = served();
    let idle: Vec<TcpStream> = (0..5 * CONNECTIONS).map(|_| TcpStream::connect(served.address).unwrap()).collect();
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let address = served.address;
            thread::spawn(move || (0..8).all(|_| get(address, "/healthz").0 == 200))
        })
        .collect();
    assert!(asking.into_iter().all(|it| it.join().unwrap()));
    // The oldest were let go.
    let mut first = &idle[0];
    first.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert!(matches!(first.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn sockets_are_those_of_the_settings() {
    let pages = |args: &[&str]| {
        let (face, _directory) = face(args);
        let wanted = wanted(&face.shared.options());
        let text = |it: &Wanted| {
            let addresses: Vec<String> = it.addresses.iter().map(ToString::to_string).collect();
            let Pages { health, debug, metrics } = it.pages;
            format!("{} {}{}{}", addresses.join(" "), u8::from(health), u8::from(debug), u8::from(metrics))
        };
        wanted.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(pages(&[]), ["127.0.0.1:9099 [::1]:9099 110"]);
    assert_eq!(pages(&["--metrics"]), ["127.0.0.1:9099 [::1]:9099 110", "0.0.0.0:9091 [::]:9091 001"]);
    let together = ["--metrics", "--metrics-host=localhost", "--metrics-port=9099", "--debug=false"];
    assert_eq!(pages(&together), ["127.0.0.1:9099 [::1]:9099 101"]);
    assert_eq!(pages(&["--health=false", "--health-host=192.0.2.1"]), ["192.0.2.1:9099 010"]);
    assert_eq!(pages(&["--health=false", "--debug=false"]), Vec::<String>::new());
}

#[tokio::test]
async fn sockets_follow_the_settings_and_one_that_is_taken_is_told() {
    let (face, _directory) = face(&[]);
    let taken = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    let mut open = BTreeMap::new();
    let want = |pages| vec![Wanted { addresses: vec![address], pages }];
    let errors = settle(&face, &mut open, &want(ALL)).await;
    assert!(
        open.is_empty() && errors[0].starts_with(&address.to_string()) && errors[0].contains("in use"),
        "{errors:?}"
    );
    drop(taken);
    assert_eq!(settle(&face, &mut open, &want(ALL)).await, Vec::<String>::new());
    assert_eq!(open[&address].pages, ALL);
    let fewer = Pages { debug: false, ..ALL };
    assert_eq!(settle(&face, &mut open, &want(fewer)).await, Vec::<String>::new());
    assert_eq!(open[&address].pages, fewer);
    assert_eq!(settle(&face, &mut open, &[]).await, Vec::<String>::new());
    assert!(open.is_empty());
    // A family that the node does not have is no error as long as the other is there.
    let documentation = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), address.port()));
    let pair = vec![Wanted { addresses: vec![(Ipv6Addr::LOCALHOST, 0).into(), documentation], pages: ALL }];
    assert_eq!(settle(&face, &mut open, &pair).await, Vec::<String>::new());
}
