//! Nothing is left of a lab, however it ends.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use caracal_lab::{Lab, Process, Site, require_root, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::support::{bridge, caracal_lab, links_of_the_machine, two_nodes_with};

const GONE_WITHIN: Duration = Duration::from_secs(10);

/// All that a lab has outside of its own files, noted while it lives.
struct Traces {
    lab: String,
    keeper: i32,
    pids: BTreeSet<i32>,
    namespaces: BTreeSet<PathBuf>,
    links: BTreeSet<String>,
}

impl Traces {
    /// `links` are those of the machine before the lab was there.
    fn of(lab: &str, links: BTreeSet<String>) -> Self {
        let dir = Path::new("/run/caracal-lab").join(lab);
        let keeper: i32 = fs::read_to_string(dir.join("keeper")).unwrap().trim().parse().unwrap();
        let record: Value = serde_json::from_slice(&fs::read(dir.join("lab.json")).unwrap()).unwrap();
        let mut pids = BTreeSet::from([keeper]);
        let mut namespaces = BTreeSet::new();
        for machine in record["machines"].as_array().unwrap() {
            let init = machine["pid"].as_i64().unwrap();
            let cgroup = cgroups_of(lab).join(machine["name"].as_str().unwrap());
            let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap();
            pids.extend(procs.lines().map(|line| line.parse::<i32>().unwrap()));
            for kind in ["net", "mnt", "pid", "uts", "cgroup"] {
                namespaces.insert(fs::read_link(format!("/proc/{init}/ns/{kind}")).unwrap());
            }
            // The network namespaces of pods, named in the machine's own mount namespace only.
            for pod in fs::read_dir(format!("/proc/{init}/root/run/netns")).unwrap() {
                let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(pod.unwrap().path()).unwrap());
                namespaces.insert(format!("net:[{inode}]").into());
            }
        }
        Self { lab: lab.to_owned(), keeper, pids, namespaces, links }
    }

    fn assert_nothing_left(&self) {
        let left = || self.left().join(", ");
        wait_until(format_args!("the end of lab {}", self.lab), GONE_WITHIN, || self.left().is_empty())
            .unwrap_or_else(|error| panic!("{error}: left are {}", left()));
    }

    fn left(&self) -> Vec<String> {
        let mut left = self.left_in_the_kernel();
        let dirs = [Path::new("/run/caracal-lab").join(&self.lab), cgroups_of(&self.lab)];
        left.extend(dirs.iter().filter(|dir| dir.exists()).map(|dir| dir.display().to_string()));
        left
    }

    /// Processes, namespaces, mounts and links.
    fn left_in_the_kernel(&self) -> Vec<String> {
        let mut left = Vec::new();
        for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            if self.pids.contains(&pid) {
                left.push(format!("process {pid}"));
            }
            let mounts = fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
            if mounts.contains(&format!("/{}/", self.lab)) {
                left.push(format!("a mount of the lab, in process {pid}"));
            }
            for task in fs::read_dir(process.path().join("task")).into_iter().flatten().filter_map(Result::ok) {
                for kind in ["net", "mnt", "pid", "uts", "cgroup"] {
                    let namespace = fs::read_link(task.path().join("ns").join(kind)).unwrap_or_default();
                    if self.namespaces.contains(&namespace) {
                        left.push(format!("{} of process {pid}", namespace.display()));
                    }
                }
            }
        }
        let now = links_of_the_machine();
        left.extend(now.difference(&self.links).map(|link| format!("link {link}")));
        left
    }
}

fn cgroups_of(lab: &str) -> PathBuf {
    let hybrid = Path::new("/sys/fs/cgroup/unified");
    let root = if hybrid.exists() { hybrid } else { Path::new("/sys/fs/cgroup") };
    root.join("caracal-lab").join(lab)
}

/// A lab of this process, with pods and processes in them.
fn busy_lab() -> (Lab, Vec<Process>, Traces) {
    let links = links_of_the_machine();
    let lab = two_nodes_with("busy", &["bridge", "host-local"], bridge()).start().unwrap();
    let pod = lab.node("n1").pod("a").unwrap();
    let in_pod = pod.command("sleep").arg("1000").spawn().unwrap();
    let in_node = lab.node("n2").command("sh").args(["-c", "sleep 1000 & echo up; wait"]).spawn().unwrap();
    in_node.wait_for_log("up", GONE_WITHIN).unwrap();
    let traces = Traces::of(lab.name(), links);
    assert!(traces.pids.len() >= 1 + 4 + 3 && traces.namespaces.len() == 4 * 5 + 1, "{:?}", traces.pids);
    assert!(!traces.left().is_empty(), "what is looked for is there");
    (lab, vec![in_pod, in_node], traces)
}

/// A process that has a lab. It is killed if the test fails, since it would wait for ever.
struct Owner(Child);

impl Owner {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Fails if it ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A lab that belongs to another process, with pods and servers in them.
fn lab_of_another_process(name: &str) -> (Owner, Traces) {
    let links = links_of_the_machine();
    let name = format!("{name}-{}", std::process::id());
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/two-nodes.yaml");
    let mut owner = caracal_lab();
    owner.args(["up", "--foreground", "--name", &name, example]).stdout(Stdio::piped());
    let mut owner = Owner(owner.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(owner.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("is up"), "{line}");
    let traces = Traces::of(&name, links);
    assert!(!traces.left().is_empty(), "what is looked for is there");
    (owner, traces)
}

#[test]
fn dropped() {
    if !require_root() {
        return;
    }
    let (lab, processes, traces) = busy_lab();
    drop(lab);
    assert!(traces.left().iter().any(|left| left.contains("process")), "processes hold the lab");
    drop(processes);
    traces.assert_nothing_left();
}

#[test]
fn ended_while_processes_run_in_it() {
    if !require_root() {
        return;
    }
    let (lab, processes, traces) = busy_lab();
    lab.end().unwrap();
    drop(processes);
    traces.assert_nothing_left();
}

#[test]
fn the_test_panics() {
    if !require_root() {
        return;
    }
    let mut traces = None;
    let test = catch_unwind(AssertUnwindSafe(|| {
        let (_lab, _processes, seen) = busy_lab();
        traces = Some(seen);
        panic!("as a failing test does");
    }));
    assert!(test.is_err());
    traces.unwrap().assert_nothing_left();
}

#[test]
fn the_owner_is_interrupted() {
    if !require_root() {
        return;
    }
    let (mut owner, traces) = lab_of_another_process("interrupted");
    owner.signal(Signal::SIGINT);
    assert!(owner.wait().success());
    traces.assert_nothing_left();
}

#[test]
fn the_owner_is_killed() {
    if !require_root() {
        return;
    }
    let (mut owner, traces) = lab_of_another_process("owner");
    owner.signal(Signal::SIGKILL);
    owner.wait();
    traces.assert_nothing_left();
}

#[test]
fn the_keeper_is_killed_and_the_owner_cleans_up() {
    if !require_root() {
        return;
    }
    let (mut owner, traces) = lab_of_another_process("keeper");
    kill(Pid::from_raw(traces.keeper), Signal::SIGKILL).unwrap();
    let inits_are_gone =
        || traces.pids.iter().all(|pid| *pid == traces.keeper || !Path::new(&format!("/proc/{pid}")).exists());
    wait_until("the end of all machines", GONE_WITHIN, inits_are_gone).unwrap();
    owner.signal(Signal::SIGTERM);
    owner.wait();
    traces.assert_nothing_left();
}

#[test]
fn owner_and_keeper_are_killed_and_the_next_lab_sweeps() {
    if !require_root() {
        return;
    }
    let (mut owner, traces) = lab_of_another_process("both");
    kill(Pid::from_raw(traces.keeper), Signal::SIGKILL).unwrap();
    owner.signal(Signal::SIGKILL);
    owner.wait();
    wait_until("the end of the lab", GONE_WITHIN, || traces.left_in_the_kernel().is_empty())
        .unwrap_or_else(|error| panic!("{error}: left are {:?}", traces.left()));
    Lab::builder("next").start().unwrap().end().unwrap();
    traces.assert_nothing_left();
}

#[test]
fn the_owner_is_killed_while_the_lab_starts() {
    if !require_root() {
        return;
    }
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/two-nodes.yaml");
    for milliseconds in [2, 8, 16, 32, 64] {
        let name = format!("starting-{milliseconds}-{}", std::process::id());
        let mut owner =
            caracal_lab().args(["up", "--foreground", "--name", &name, example]).stdout(Stdio::null()).spawn().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the moment to kill it is any, and no event marks it")]
        std::thread::sleep(Duration::from_millis(milliseconds));
        owner.kill().unwrap();
        owner.wait().unwrap();
        let gone =
            || !cgroups_of(&name).exists() && !Path::new("/run/caracal-lab").join(&name).exists() && !mentioned(&name);
        wait_until(format_args!("the end of lab {name}"), GONE_WITHIN, gone).unwrap();
    }
}

/// Whether a command line of a process has `name` in it, as the keeper's does.
fn mentioned(name: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut command_lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    command_lines.any(|line| String::from_utf8_lossy(&line).contains(name))
}
