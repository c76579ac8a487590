//! The command line, made of the settings.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use clap::{Arg, ArgAction, ArgMatches, Command, ValueEnum, value_parser};

use super::{Layer, Origin, Setting};
use crate::options::SETTINGS;

/// What the agent was started for.
#[derive(Debug)]
pub struct Invocation {
    /// The file that `--config` names.
    pub file: Option<Arc<PathBuf>>,
    /// The settings that flags give.
    pub flags: Layer,
    /// What to show instead of running.
    pub show: Option<Output>,
}

/// How to show the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table for people.
    Text,
    /// An object for scripts.
    Json,
    /// The user guide's tables.
    Markdown,
}

impl Invocation {
    /// Reads a command line, the program's name included.
    pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(args)?;
        let (show, matches) = match matches.subcommand() {
            // Flags before the command and behind it are the same to the parser.
            Some((_, below)) => (below.get_one("output").copied(), below),
            None => (None, &matches),
        };
        let mut flags = Layer::default();
        for setting in SETTINGS {
            if let Some(texts) = texts(setting, matches) {
                flags.put(setting, texts, Origin::Flag(setting.name));
            }
        }
        Ok(Self { file: matches.get_one::<PathBuf>("config").cloned().map(Arc::new), flags, show })
    }
}

fn texts(setting: &Setting, matches: &ArgMatches) -> Option<Vec<String>> {
    let given = matches.get_many::<String>(setting.name)?;
    Some(given.flat_map(|text| setting.split(text)).collect())
}

fn command() -> Command {
    let output = Arg::new("output").long("output").short('o').value_name("FORMAT");
    let output = output.value_parser(value_parser!(Output)).default_value("text").help("How to show it");
    let config = Arg::new("config").long("config").value_name("FILE").global(true).value_parser(value_parser!(PathBuf));
    let config = config
        .help("YAML file of settings by the names of the flags. Changes of it are followed")
        .env(super::FILE_VARIABLE);
    Command::new("caracal-agent")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps a node's eBPF maps and routes in step with what the cluster says.")
        .long_about(
            "Keeps a node's eBPF maps and routes in step with what the cluster says.\n\nOn SIGTERM or SIGINT it ends and leaves \
             everything it set up in place: pods go on talking without it.\n\nA setting is the flag's, else the variable's, else \
             that of the configuration file, else that of the FelixConfiguration `node.NAME`, else that of the \
             FelixConfiguration `default`, else the default.",
        )
        .arg(config)
        .args(SETTINGS.iter().map(flag))
        .subcommand(
            Command::new("config").about("Shows every setting and where its value comes from, and starts nothing").arg(output),
        )
}

fn flag(setting: &'static Setting) -> Arg {
    let help = setting.help.split_whitespace().collect::<Vec<_>>().join(" ");
    let default = setting.default.first().map(|default| format!("default: {default}, "));
    let help = format!("{help} [{}{}]", default.unwrap_or_default(), setting.variable());
    let action = if setting.kind.is_list() { ArgAction::Append } else { ArgAction::Set };
    let arg = Arg::new(setting.name).long(setting.name).value_name(setting.value_name).help(help);
    let arg = arg.action(action).global(true).help_heading("Settings");
    if setting.kind.is_switch() { arg.num_args(0..=1).default_missing_value("true") } else { arg }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Invocation {
        Invocation::parse(["caracal-agent"].iter().chain(args)).unwrap()
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn flags_are_read_wherever_they_stand() {
        for args in [["--health-port=9098", "config"], ["config", "--health-port=9098"]] {
            let invocation = parse(&args);
            assert_eq!(invocation.flags.given["health-port"].texts, ["9098"]);
            assert_eq!(invocation.flags.given["health-port"].from.to_string(), "--health-port");
            assert_eq!(invocation.show, Some(Output::Text));
        }
        assert_eq!(parse(&["config", "-o", "json"]).show, Some(Output::Json));
        let invocation = parse(&["--config", "/c.yaml"]);
        assert_eq!((invocation.file.unwrap().to_str(), invocation.show), (Some("/c.yaml"), None));
    }

    #[test]
    fn switches_may_stand_alone_and_lists_be_given_in_parts() {
        let given = parse(&["--replace-pins", "--host-nat", "false", "--timeout", "udp=60,icmp=5", "--timeout=udp=7"])
            .flags
            .given;
        assert_eq!(given["replace-pins"].texts, ["true"]);
        assert_eq!(given["host-nat"].texts, ["false"]);
        assert_eq!(given["timeout"].texts, ["udp=60", "icmp=5", "udp=7"]);
    }

    #[test]
    fn what_is_wrong_is_told_by_flag_and_what_is_allowed() {
        for (args, expected) in [
            (["--masquerade-ports", "9-1024"], "--masquerade-ports: 9 is below 1024"),
            (["--reverse-path", "tight"], "allowed is one of off, loose, strict"),
            (["--no-masquerade-to", "192.0.2.0/33"], "--no-masquerade-to: "),
            (["--events", "some"], "off, drops, first, all"),
            (["--flow-entries", "1023"], "from 1024 to 4294967295"),
        ] {
            let problem = parse(&args).flags.problems[0].to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        let unknown = Invocation::parse(["caracal-agent", "--healthy"]).unwrap_err().to_string();
        assert!(unknown.contains("--healthy") && unknown.contains("--health"), "{unknown}");
    }
}
