//! systemd's notifications: that the agent is ready, alive, ending. The protocol is datagrams of `KEY=VALUE` lines.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

/// Whom to notify, if anybody asked to be.
#[derive(Debug, Default)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How often systemd wants to hear of the agent.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// By the variables that systemd sets.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let Some(path) = variable("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let number = |name| variable(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0).map(Duration::from_micros);
        Ok(Self { to: Some((UnixDatagram::unbound()?, address(&path)?)), watchdog })
    }

    /// Tells it. Nobody is told anything if nobody asked.
    pub fn tell(&self, state: &str) -> io::Result<()> {
        match &self.to {
            Some((socket, to)) => socket.send_to_addr(state.as_bytes(), to).map(drop),
            None => Ok(()),
        }
    }
}

/// A path, or with a leading `@` a name without a file.
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(variables: &[(&str, &str)]) -> Notifier {
        Notifier::new(|name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| value.into())).unwrap()
    }

    #[test]
    fn systemd_hears_what_it_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let abstract_name = format!("@{}", path.display());
        for socket in [path.to_str().unwrap(), &abstract_name] {
            let listener = UnixDatagram::bind_addr(&address(socket.as_ref()).unwrap()).unwrap();
            let notifier = notifier(&[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "30000000")]);
            notifier.tell("READY=1").unwrap();
            let mut text = [0; 16];
            let length = listener.recv(&mut text).unwrap();
            assert_eq!((&text[..length], notifier.watchdog), (&b"READY=1"[..], Some(Duration::from_secs(30))));
        }
    }

    #[test]
    fn nobody_hears_anything_where_nobody_asked_and_a_watchdog_of_others_is_not_fed() {
        let nobody = notifier(&[("WATCHDOG_USEC", "30000000")]);
        nobody.tell("READY=1").unwrap();
        assert_eq!(nobody.watchdog, None);
        for (name, value) in [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "0"), ("WATCHDOG_USEC", "often")] {
            let variables = [(name, value), ("WATCHDOG_USEC", "30000000"), ("NOTIFY_SOCKET", "@caracal-nobody")];
            assert_eq!(notifier(&variables).watchdog, None, "{name}={value}");
        }
        assert!(notifier(&[("NOTIFY_SOCKET", "@caracal-nobody")]).tell("READY=1").is_err());
    }
}
