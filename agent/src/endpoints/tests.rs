use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use caracal_endpoints::{
    Answer, Error, Hello, Registration, Removal, Request, Versions, Welcome,
    client::{Client, ping},
    frame::{Decoder, encode},
};

use super::*;

/// More than any time limit of the agent's.
const LIMIT: Duration = Duration::from_secs(20);

/// Pods that are in force when they were asked about often enough, and never if it is `usize::MAX`.
#[derive(Default)]
struct Fake {
    told: Mutex<Vec<String>>,
    asked: AtomicUsize,
    ready_after: usize,
}

impl Pods for Fake {
    fn register(&self, pod: &Registration) -> Result<(), String> {
        self.told.lock().unwrap().push(format!("register {pod}"));
        if pod.ifname == "bad" { Err("ifname: is bad".to_owned()) } else { Ok(()) }
    }

    fn readiness(&self, pod: &Registration) -> Readiness {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            _ if pod.ifname == "never" => Readiness::Never("it never is".to_owned()),
            asked if asked >= self.ready_after => Readiness::InForce,
            _ => Readiness::Pending("its policy is not written".to_owned()),
        }
    }

    fn remove(&self, pod: &Removal) -> Result<(), String> {
        self.told.lock().unwrap().push(format!("remove {pod}"));
        Ok(())
    }
}

/// Serves `pods` while somebody speaks to the socket, on another thread.
async fn with_agent<T: Send + 'static>(
    pods: Fake,
    speak: impl FnOnce(&Path) -> T + Send + 'static,
) -> (T, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let (socket, pods) = (Socket::bind(dir.path()).unwrap(), Arc::new(pods));
    let path = socket.path().to_owned();
    let speaking = tokio::task::spawn_blocking(move || speak(&path));
    let said = tokio::select! {
        () = serve(&socket, &pods) => unreachable!("it serves for ever"),
        said = speaking => said.unwrap(),
    };
    let told = std::mem::take(&mut *pods.told.lock().unwrap());
    (said, told)
}

fn registration(ifname: &str) -> Request {
    let (network, container_id) = ("net".to_owned(), "c1".to_owned());
    Request::Register(Box::new(Registration { network, container_id, ifname: ifname.to_owned(), ..Default::default() }))
}

fn ask(path: &Path, requests: &[Request]) -> Result<Vec<Answer>, Error> {
    Client::new(path.to_owned(), LIMIT).ask(requests)
}

/// What the agent says to these bytes until it hangs up, or we do if `and_end`.
fn say(path: &Path, bytes: &[u8], and_end: bool) -> Vec<serde_json::Value> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes).unwrap();
    if and_end {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        read => drop(read.unwrap()),
    }
    let mut decoder = Decoder::default();
    decoder.extend(&heard);
    std::iter::from_fn(|| decoder.next("a message").unwrap()).collect()
}

fn framed(messages: &[serde_json::Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        encode(message, &mut bytes).unwrap();
    }
    bytes
}

fn hello() -> serde_json::Value {
    serde_json::to_value(Hello { protocol: 1 }).unwrap()
}

#[tokio::test]
async fn a_pod_is_registered_waited_for_and_removed() {
    let pods = Fake { ready_after: 3, ..Fake::default() };
    let (answers, told) = with_agent(pods, |path| {
        let removal =
            Removal { network: "net".into(), container_id: "c1".into(), ifname: "eth0".into(), ..Default::default() };
        let requests = [registration("eth0"), Request::Wait, Request::Remove(Box::new(removal)), Request::Ping];
        ask(path, &requests).unwrap()
    })
    .await;
    let agent = env!("CARGO_PKG_VERSION").to_owned();
    assert_eq!(answers, [Answer::Registered, Answer::InForce, Answer::Removed, Answer::Pong { agent }]);
    assert_eq!(told, ["register c1:eth0 of network net", "remove c1:eth0 of network net"]);
}

#[tokio::test]
async fn what_is_not_in_force_in_time_is_to_be_tried_later_and_why() {
    let pods = Fake { ready_after: usize::MAX, ..Fake::default() };
    let (answers, _) = with_agent(pods, |path| ask(path, &[registration("eth0"), Request::Wait]).unwrap()).await;
    let reason = "c1:eth0 of network net: not in force after 5 s: its policy is not written".to_owned();
    assert_eq!(answers, [Answer::Registered, Answer::TryLater { reason }]);
    let never = |path: &Path| ask(path, &[registration("never"), Request::Wait]).unwrap();
    let reason = "c1:never of network net: it never is".to_owned();
    assert_eq!(with_agent(Fake::default(), never).await.0, [Answer::Registered, Answer::TryLater { reason }]);
}

#[tokio::test]
async fn a_registration_that_is_wrong_is_refused_by_field() {
    let ask = |path: &Path| ask(path, &[registration("bad"), Request::Wait]).unwrap();
    let reason = "c1:bad of network net: ifname: is bad".to_owned();
    assert_eq!(with_agent(Fake::default(), ask).await.0, [Answer::Refused { reason }]);
}

#[tokio::test]
async fn plugins_of_other_releases_are_served_or_refused_by_name() {
    let (found, _) = with_agent(Fake::default(), |path| {
        let ask = |oldest, newest| {
            Client::new(path.to_owned(), LIMIT).speaking(Versions { oldest, newest }).ask(&[Request::Ping])
        };
        [ask(0, 1), ask(1, 9), ask(8, 9)].map(|answers| answers.map(|it| it.len()).map_err(|e| e.to_string()))
    })
    .await;
    let [older, newer, newest] = found;
    assert_eq!((older, newer), (Ok(1), Ok(1)));
    let error = newest.unwrap_err();
    assert!(
        error.starts_with("the agent speaks version 1 of the socket's protocol, this plugin versions 8"),
        "{error}"
    );
}

#[tokio::test]
async fn nonsense_is_answered_by_its_name_and_costs_nobody_else_anything() {
    let dance = serde_json::json!({"request": "dance"});
    let table: Vec<(&str, Vec<u8>, bool, &str)> = vec![
        ("nothing", vec![], true, ""),
        ("garbage", vec![0xff; 64], false, "a frame of 4294967295 bytes; at most 65536 are allowed"),
        ("a huge frame", [&[0, 1, 0, 1][..], &[b' '; 9000]].concat(), false, "a frame of 65537 bytes"),
        ("no JSON", vec![0, 0, 0, 1, b'{'], false, "not a greeting: EOF"),
        ("no greeting", framed(std::slice::from_ref(&dance)), false, "not a greeting: missing field `protocol`"),
        ("half a frame, then the end", vec![0, 0, 0, 9, b'{'], true, ""),
        ("half a frame, then silence", vec![0, 0, 0, 9, b'{'], false, "no whole request within 2 s"),
        ("an unknown request", framed(&[hello(), dance]), false, "not a request: unknown variant `dance`"),
        (
            "requests without end",
            framed(&[vec![hello()], vec![serde_json::json!({"request": "wait"}); 100]].concat()),
            false,
            "more than 64 requests on one connection",
        ),
    ];
    for (what, bytes, and_end, part) in table {
        let speak = move |path: &Path| {
            let heard = say(path, &bytes, and_end);
            // Somebody else is served as ever.
            (heard, ping(path, LIMIT).unwrap())
        };
        let ((heard, pong), told) = with_agent(Fake::default(), speak).await;
        assert_eq!(pong.as_deref(), Some(env!("CARGO_PKG_VERSION")), "{what}");
        assert_eq!(told, [""; 0], "{what}");
        let last = heard.last().map(|last| last["reason"].as_str().unwrap_or_default().to_owned()).unwrap_or_default();
        assert!(last.contains(part) && last.is_empty() == part.is_empty(), "{what}: {heard:?}");
    }
}

#[tokio::test]
async fn a_version_of_the_future_is_told_what_is_spoken() {
    let say = |path: &Path| say(path, &framed(&[serde_json::json!({"protocol": 7})]), false);
    let (heard, _) = with_agent(Fake::default(), say).await;
    let welcome: Welcome = serde_json::from_value(heard[0].clone()).unwrap();
    assert_eq!((welcome.accepted, welcome.spoken), (false, Versions { oldest: 1, newest: 1 }));
    assert_eq!(heard.len(), 1);
}

#[tokio::test]
async fn more_silent_clients_than_there_is_room_for_do_not_keep_the_agent_from_others() {
    let (answers, _) = with_agent(Fake::default(), |path| {
        let silent: Vec<UnixStream> = (0..MAX_SESSIONS + 20).map(|_| UnixStream::connect(path).unwrap()).collect();
        let answers = ask(path, &[registration("eth0"), Request::Wait]);
        drop(silent);
        answers
    })
    .await;
    assert_eq!(answers.unwrap(), [Answer::Registered, Answer::InForce]);
}

#[tokio::test]
async fn one_who_asks_and_never_listens_is_hung_up_on() {
    let (ended, _) = with_agent(Fake::default(), |path: &Path| {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let mut asked = framed(&[hello()]);
        asked.extend(framed(&vec![serde_json::json!({"request": "ping"}); 1000]));
        // Until the agent does not take any more; then it has hung up.
        let written = (0..1000).try_for_each(|_| stream.write_all(&asked));
        (written.unwrap_err().kind(), ping(path, LIMIT).unwrap().is_some())
    })
    .await;
    let hung_up = [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::ConnectionReset];
    assert!(hung_up.contains(&ended.0) && ended.1, "{ended:?}");
}
