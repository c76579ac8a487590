//! An API server on loopback: it lists and watches, as far as followers ask, and fails on demand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The server. It ends when it is dropped.
pub struct Api {
    pub address: String,
    state: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Changes whenever the state does.
    changed: watch::Sender<u64>,
}

/// What it holds, and how it behaves.
#[derive(Default)]
pub struct State {
    /// Objects by path and name.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// What happened, in the order of versions.
    events: Vec<(u64, String, Value)>,
    version: u64,
    /// Versions before this are forgotten.
    pub forgotten: u64,
    /// Whether lists are streamed; otherwise the wish is refused, or not even understood.
    pub lists: Lists,
    /// Answered at these paths.
    pub failing: BTreeMap<String, u16>,
    /// Answered to every request, with a `Status`.
    pub status: Option<u16>,
    /// Connections are closed before they are answered.
    pub is_down: bool,
    /// Watches begun before this are cut in the middle of a line.
    cut: u64,
    /// What was asked for.
    pub requests: Vec<String>,
}

/// What becomes of the wish for a streamed list.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Lists {
    #[default]
    Streamed,
    Refused,
    Unheard,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let state = Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(0) });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let shared = shared.clone();
                tokio::spawn(async move {
                    // Whoever asks may go away at any time.
                    let _ = serve(socket, &shared).await;
                });
            }
        });
        Self { address, state, task }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.state.lock().unwrap()
    }

    /// Changes what it holds or how it behaves; open watches take notice.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.state.changed.send_modify(|count| *count += 1);
    }

    /// Requests whose path and query contain this.
    pub fn asked(&self, part: &str) -> usize {
        self.state().requests.iter().filter(|request| request.contains(part)).count()
    }
}

impl State {
    /// Creates or changes an object.
    pub fn put(&mut self, path: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let name = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
        let before = self.objects.entry(path.to_owned()).or_default().insert(name, object.clone());
        let what = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.events.push((self.version, path.to_owned(), json!({"type": what, "object": object})));
    }

    pub fn delete(&mut self, path: &str, namespace: &Value, name: &str) {
        self.version += 1;
        let mut object = self.objects.get_mut(path).unwrap().remove(&format!("{namespace}/{}", json!(name))).unwrap();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.events.push((self.version, path.to_owned(), json!({"type": "DELETED", "object": object})));
    }

    /// Forgets what happened up to now.
    pub fn expire(&mut self) {
        self.forgotten = self.version + 1;
        self.version += 1;
    }

    /// Cuts all open watches.
    pub fn cut(&mut self) {
        self.cut += 1;
    }

    fn list(&self, path: &str, query: &BTreeMap<String, String>) -> Value {
        let skip: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let limit: usize = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let objects: Vec<&Value> = self.objects.get(path).into_iter().flat_map(BTreeMap::values).collect();
        let items: Vec<&&Value> = objects.iter().skip(skip).take(limit).collect();
        let next = if skip + items.len() < objects.len() { (skip + items.len()).to_string() } else { String::new() };
        json!({"metadata": {"resourceVersion": self.version.to_string(), "continue": next}, "items": items})
    }

    /// What a watch begins with.
    fn initial(&self, path: &str, can_end: bool) -> Vec<Value> {
        let objects = self.objects.get(path).into_iter().flat_map(BTreeMap::values);
        let mut events: Vec<Value> = objects.map(|object| json!({"type": "ADDED", "object": object})).collect();
        let annotations = if can_end { json!({"k8s.io/initial-events-end": "true"}) } else { Value::Null };
        let metadata = json!({"resourceVersion": self.version.to_string(), "annotations": annotations});
        events.push(json!({"type": "BOOKMARK", "object": {"metadata": metadata}}));
        events
    }

    /// What happened after a version; none if that is forgotten.
    fn since(&self, path: &str, version: u64) -> Option<Vec<Value>> {
        let events = self.events.iter().filter(|(at, of, _)| *at > version && of == path);
        (version >= self.forgotten).then(|| events.map(|(_, _, event)| event.clone()).collect())
    }
}

async fn serve(mut socket: TcpStream, shared: &Shared) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let is_watch = query.contains_key("watch");
        let answer = {
            let mut state = shared.state.lock().unwrap();
            if state.is_down {
                return Ok(());
            }
            state.requests.push(target.clone());
            let wants_list = query.contains_key("sendInitialEvents");
            match state.failing.get(path).copied().or(state.status) {
                Some(code) => Err(code),
                None if wants_list && state.lists == Lists::Refused => Err(422),
                None => Ok(state.list(path, &query).to_string()),
            }
        };
        match answer {
            Err(code) => {
                let body = json!({"kind": "Status", "code": code, "message": "as the test wants it"}).to_string();
                let head = format!("HTTP/1.1 {code} No\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(format!("{head}{body}").as_bytes()).await?;
            }
            Ok(_) if is_watch => return watch(socket, shared, path, &query).await,
            Ok(body) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(format!("{head}{body}").as_bytes()).await?;
            }
        }
    }
}

async fn watch(
    mut socket: TcpStream,
    shared: &Shared,
    path: &str,
    query: &BTreeMap<String, String>,
) -> std::io::Result<()> {
    socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let mut changed = shared.changed.subscribe();
    let (mut version, cut, initial) = {
        let state = shared.state.lock().unwrap();
        let wants_list = query.contains_key("sendInitialEvents");
        let version = query["resourceVersion"].parse().unwrap_or(state.version);
        let initial = wants_list.then(|| state.initial(path, state.lists == Lists::Streamed));
        (version, state.cut, initial.unwrap_or_default())
    };
    for event in initial {
        write_chunk(&mut socket, &format!("{event}\n")).await?;
    }
    loop {
        let (events, is_cut, now) = {
            let state = shared.state.lock().unwrap();
            (state.since(path, version), state.cut > cut || state.is_down, state.version)
        };
        if is_cut {
            return write_chunk(&mut socket, "{\"type\":\"MODIFIED\",\"object\":{\"meta").await;
        }
        let Some(events) = events else {
            let status = json!({"kind": "Status", "code": 410, "message": "too old"});
            write_chunk(&mut socket, &format!("{}\n", json!({"type": "ERROR", "object": status}))).await?;
            return socket.write_all(b"0\r\n\r\n").await;
        };
        for event in events {
            write_chunk(&mut socket, &format!("{event}\n")).await?;
        }
        version = now;
        if changed.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn write_chunk(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    // In two pieces, for lines come as they like.
    let (first, second) = text.split_at(text.len() / 2);
    for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
        socket.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
        socket.flush().await?;
    }
    Ok(())
}
