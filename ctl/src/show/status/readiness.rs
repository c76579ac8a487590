//! How the agent says that it is.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long the agent may take for each step of an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than any that is honest.
const LONGEST: u64 = 1 << 20;

/// The lines of its `/readyz`, or why there are none.
pub fn ask(agent: SocketAddr) -> Vec<String> {
    match answer(agent) {
        Ok(text) => body(&text),
        Err(error) => vec![format!("unknown: http://{agent}/readyz: {error}")],
    }
}

fn answer(agent: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&agent, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn body(answer: &str) -> Vec<String> {
    let body = answer.split_once("\r\n\r\n").map_or("unknown: not an answer", |(_, body)| body);
    body.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    fn told(answer: &'static str) -> Vec<String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let agent = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 24];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"GET /readyz HTTP/1.0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let lines = ask(address);
        agent.join().unwrap();
        lines
    }

    #[test]
    fn the_agent_is_asked_and_who_does_not_answer_is_told() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nnot ready\nmissing: programs: not loaded yet\n";
        assert_eq!(told(answer), ["not ready", "missing: programs: not loaded yet"]);
        assert_eq!(told("no"), ["unknown: not an answer"]);
        let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let lines = ask(nobody);
        assert!(lines[0].starts_with(&format!("unknown: http://{nobody}/readyz: ")), "{lines:?}");
    }
}
