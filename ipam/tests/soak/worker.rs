//! A process that does what it is told, and can be killed at any moment.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use caracal_ipam::{Attachment, Config, Ipam, json::Node};
use serde_json::json;

/// Names the store, and makes a worker of a process of the test.
const STORE: &str = "CARACAL_SOAK_STORE";

/// What lines of a worker begin with; others are the test harness's.
const MARK: &str = "=";

/// What an order came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It succeeded, with these addresses.
    Done(Vec<IpAddr>),
    /// It failed.
    Refused(String),
    /// The worker did not live to tell.
    Killed,
}

/// A worker as its driver sees it.
#[derive(Debug)]
pub(crate) struct Worker {
    dir: PathBuf,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(dir: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "only a process can be killed")]
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "worker::work", "--nocapture"])
            .env(STORE, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { dir: dir.to_owned(), child, orders, answers }
    }

    /// Gives an order; kills the worker some time after if so wanted, and starts another.
    pub(crate) fn call(&mut self, order: &str, kill_after: Option<Duration>) -> Outcome {
        writeln!(self.orders, "{order}").unwrap();
        if let Some(delay) = kill_after {
            let ordered = Instant::now();
            // A sleep is too coarse for delays that shall fall between system calls.
            while ordered.elapsed() < delay {
                thread::yield_now();
            }
            self.child.kill().unwrap();
        }
        let outcome = self.outcome();
        if kill_after.is_some() {
            self.child.wait().unwrap();
            *self = Self::start(&self.dir);
        }
        outcome
    }

    fn outcome(&mut self) -> Outcome {
        loop {
            let mut line = String::new();
            self.answers.read_line(&mut line).unwrap();
            if line.is_empty() {
                return Outcome::Killed;
            }
            // The last line may have been cut short.
            let Some(answer) = line.strip_suffix('\n').and_then(|line| line.strip_prefix(MARK)) else { continue };
            return match answer.split_once(' ') {
                Some(("ok", ips)) => Outcome::Done(ips.split_whitespace().map(|ip| ip.parse().unwrap()).collect()),
                _ => Outcome::Refused(answer.to_owned()),
            };
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The attachment of a number.
pub(crate) fn attachment(id: &str) -> Attachment {
    Attachment::new(id, "eth0").unwrap()
}

/// Not a test of its own: what a worker does. Without a store there is nothing to do.
#[test]
fn work() {
    let Some(dir) = env::var_os(STORE) else { return };
    let conf = json!({"ranges": [[{"subnet": "10.0.0.0/16"}], [{"subnet": "fd00::/64"}]]});
    let config = Config::parse(&Node::root(&conf), None).unwrap();
    let ipam = Ipam::new(Path::new(&dir), "net");
    // A line of its own, whatever the harness has printed before.
    println!();
    for order in io::stdin().lines() {
        let order = order.unwrap();
        let (verb, ids) = order.split_once(' ').unwrap();
        let outcome = match verb {
            "add" => ipam
                .add(&config, &attachment(ids), &[])
                .map(|leases| leases.iter().map(|lease| lease.address.ip()).collect::<Vec<_>>()),
            "del" => ipam.del(&attachment(ids)),
            "held" => ipam.addresses(&attachment(ids)),
            "gc" => {
                let valid = ids.split_whitespace().map(attachment).collect();
                ipam.gc(&valid).into_iter().next().map_or(Ok(Vec::new()), Err)
            }
            other => panic!("{other:?} is no order"),
        };
        let answer = match outcome {
            Ok(mut ips) => {
                ips.sort();
                format!("ok {}", ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            }
            Err(e) => format!("refused {e}"),
        };
        println!("{MARK}{answer}");
    }
}
