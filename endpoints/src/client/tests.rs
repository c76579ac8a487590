use std::{os::unix::net::UnixListener, thread};

use super::*;
use crate::{Registration, Removal};

/// What an agent does with one who connects.
type Serve = fn(UnixStream);

const LIMIT: Duration = Duration::from_millis(300);

/// Serves one connection after the other with one of these, and asks.
fn with_agent(spoken: Versions, requests: &[Request], serve: &[Serve]) -> Result<Vec<Answer>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| serve.iter().for_each(|serve| serve(listener.accept().unwrap().0)));
        Client::new(path, LIMIT).speaking(spoken).ask(requests)
    })
}

fn read<T: serde::de::DeserializeOwned>(stream: &mut UnixStream, decoder: &mut Decoder) -> T {
    loop {
        if let Some(message) = decoder.next("a message").unwrap() {
            return message;
        }
        let mut chunk = [0; 64];
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0);
        decoder.extend(&chunk[..length]);
    }
}

fn write(stream: &mut UnixStream, messages: &[serde_json::Value]) {
    let mut bytes = Vec::new();
    for message in messages {
        encode(message, &mut bytes).unwrap();
    }
    stream.write_all(&bytes).unwrap();
}

/// An agent that speaks versions 1 and 2, and answers one ping.
fn answer_ping(mut stream: UnixStream) {
    let mut decoder = Decoder::default();
    let hello: Hello = read(&mut stream, &mut decoder);
    let spoken = Versions { oldest: 1, newest: 2 };
    let accepted = spoken.contains(hello.protocol);
    let welcome = Welcome { accepted, spoken, agent: "x".to_owned() };
    write(&mut stream, &[serde_json::to_value(welcome).unwrap()]);
    if accepted {
        let _: Request = read(&mut stream, &mut decoder);
        write(&mut stream, &[serde_json::json!({"answer": "pong", "agent": "x"})]);
    }
}

/// Says all that an agent could say, and waits until the other side hangs up.
fn say(mut stream: UnixStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

const ONE: Versions = Versions { oldest: 1, newest: 1 };

#[test]
fn older_and_newer_plugins_are_answered_in_a_version_both_speak() {
    let pong = || vec![Answer::Pong { agent: "x".to_owned() }];
    let ask = |oldest, newest, serve: &[Serve]| with_agent(Versions { oldest, newest }, &[Request::Ping], serve);
    assert_eq!(ask(1, 1, &[answer_ping]).unwrap(), pong());
    assert_eq!(ask(1, 7, &[answer_ping, answer_ping]).unwrap(), pong());
    let error = ask(6, 7, &[answer_ping]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the agent speaks versions 1 to 2 of the socket's protocol, this plugin versions 6 to 7; install both of one release"
    );
}

#[test]
fn nobody_there_is_told_apart_from_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |path: &Path| Client::new(path.to_owned(), LIMIT).ask(&[Request::Ping]).unwrap_err();
    assert!(matches!(ask(&dir.path().join("none")), Error::Away(_)));
    let stale = dir.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(matches!(ask(&stale), Error::Away(_)));
    let long = ask(&dir.path().join("x".repeat(200)));
    assert!(long.to_string().contains("cannot connect: "), "{long}");
}

#[test]
fn a_silent_agent_is_waited_for_no_longer_than_the_limit() {
    let silent: Serve = |stream| say(stream, b"");
    let half: Serve = |stream| say(stream, &[0, 0, 0, 9, b'{']);
    for serve in [silent, half] {
        let error = with_agent(ONE, &[Request::Ping], &[serve]).unwrap_err().to_string();
        assert!(error.ends_with("no answer within 300 ms; is the agent overloaded or stopped?"), "{error}");
    }
}

#[test]
fn an_agent_that_accepts_nobody_is_silent_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let error = Client::new(path, LIMIT).ask(&[Request::Ping]).unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
}

#[test]
fn an_agent_that_talks_nonsense_is_an_error_by_name() {
    let table: [(Serve, &str); 4] = [
        (|stream| say(stream, &[0xff; 8]), "a frame of 4294967295 bytes"),
        (|stream| say(stream, &[0, 0, 0, 2, b'{', b'}']), "a frame that is not a welcome: missing field `accepted`"),
        (drop, "the agent hung up before it answered"),
        (
            |mut stream| {
                let welcome = Welcome { accepted: true, spoken: SPOKEN, agent: String::new() };
                write(&mut stream, &[serde_json::to_value(welcome).unwrap(), serde_json::json!({"answer": "42"})]);
                say(stream, b"");
            },
            "a frame that is not an answer: unknown variant `42`",
        ),
    ];
    for (serve, part) in table {
        let error = with_agent(ONE, &[Request::Ping], &[serve]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn after_a_refusal_there_are_no_more_answers() {
    let serve: Serve = |mut stream| {
        let mut decoder = Decoder::default();
        let _: Hello = read(&mut stream, &mut decoder);
        let welcome = Welcome { accepted: true, spoken: SPOKEN, agent: String::new() };
        let refused = serde_json::json!({"answer": "refused", "reason": "no"});
        write(&mut stream, &[serde_json::to_value(welcome).unwrap(), refused]);
    };
    let requests = [Request::Register(Box::<Registration>::default()), Request::Remove(Box::<Removal>::default())];
    let answers = with_agent(ONE, &requests, &[serve]).unwrap();
    assert_eq!(answers, [Answer::Refused { reason: "no".to_owned() }]);
}
