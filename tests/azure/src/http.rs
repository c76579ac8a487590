//! As much HTTP/1.1 as JSON on loopback takes: one request, one answer, one connection.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Nobody needs longer on loopback.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any message here has.
const LONGEST: u64 = 1 << 20;

/// A request, or an answer: the first line and what comes after the headers.
#[derive(Debug)]
struct Message {
    first_line: String,
    body: Vec<u8>,
}

/// Answers requests for ever: `answer` gets method, path and body, and says what there is, if anything.
pub fn serve(listener: &TcpListener, mut answer: impl FnMut(&str, &str, &Value) -> Option<Value>) -> io::Result<()> {
    for stream in listener.incoming() {
        if let Err(e) = exchange(&stream?, &mut answer) {
            eprintln!("a request failed: {e}");
        }
    }
    Ok(())
}

fn exchange(stream: &TcpStream, answer: &mut impl FnMut(&str, &str, &Value) -> Option<Value>) -> io::Result<()> {
    let request = read(stream)?;
    let mut words = request.first_line.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("not a request: {}", request.first_line)));
    };
    let body = serde_json::from_slice(&request.body).unwrap_or_default();
    match answer(method, path, &body) {
        Some(body) => write(stream, "HTTP/1.1 200 OK", &body.to_string()),
        None => write(stream, "HTTP/1.1 404 Not Found", ""),
    }
}

/// Asks a server.
pub fn request(server: SocketAddr, method: &str, path: &str, body: &Value) -> io::Result<Value> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    write(&stream, &format!("{method} {path} HTTP/1.1\r\nHost: {server}"), &body.to_string())?;
    let answer = read(&stream)?;
    if !answer.first_line.contains(" 200 ") {
        return Err(io::Error::other(format!("{method} {path}: {}", answer.first_line)));
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

fn write(mut stream: &TcpStream, first_lines: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!("{first_lines}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
}

fn read(stream: &TcpStream) -> io::Result<Message> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(LONGEST));
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first_line = line()?;
    let mut length = 0;
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; usize::try_from(LONGEST.min(length)).map_err(io::Error::other)?];
    reader.read_exact(&mut body)?;
    Ok(Message { first_line, body })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        thread::spawn(move || {
            serve(&listener, |method, path, body| (path == "/known").then(|| json!([method, body]))).unwrap();
        });
        let known = request(server, "POST", "/known", &json!({"a": "ä"})).unwrap();
        assert_eq!(known, json!(["POST", {"a": "ä"}]));
        let error = request(server, "GET", "/unknown", &Value::Null).unwrap_err();
        assert_eq!(error.to_string(), "GET /unknown: HTTP/1.1 404 Not Found");
    }
}
