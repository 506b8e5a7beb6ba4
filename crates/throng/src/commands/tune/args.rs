//! The options of `throng tune`.

use crate::cli::{DocumentForm, RoleArg};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;
use throng_core::scenario::bounds;
use throng_core::tune::Extra;
use throng_report::tune::samples::Program;

const EXAMPLES: &str = "\
Examples:
  throng tune --role server -c 1m
      Show which limits are too low for a server of a million connections; change nothing.
  sudo throng tune --role server -c 1m --port 9000 --apply
      Raise them. The old values are saved to a state file first.
  sudo throng tune --revert
      Restore the old values, also after a crash, a reboot or an interrupted --apply.
  sudo throng tune --role server -c 1m --apply --persist
      Keep the settings over a reboot: files in sysctl.d, limits.d and systemd's directories.
  throng tune --role client -c 200k --script > tune.sh
      A shell script that does the same elsewhere.
  throng tune --role server -c 1m --port 9000 --container
      Flags for docker run and Compose.
  throng tune --role server -c 1m --script --container-init > entry.sh
      The entry point of a container, which sets what it may.
  throng tune --for nginx --role server -c 50k --port 8080
      A sample configuration, with its arithmetic in comments.
  throng tune --role server -c 1m --os freebsd
      A shell script for another system.

Exit codes: 0 all settings suffice; 1 one does not, or could not be set or restored; 2 bad usage.";

/// Check, raise and restore the system limits for N connections
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
#[command(group = clap::ArgGroup::new("what").args(["apply", "revert", "script", "container", "sample", "os"]))]
pub(crate) struct Args {
    /// End of the connections that is on this machine
    #[arg(long, value_name = "ROLE", default_value = "both")]
    pub role: RoleArg,

    /// Connections to tune for
    #[arg(short, long, value_name = "N", default_value = "1m", value_parser = bounds::connections)]
    pub connections: u32,

    /// Port of the server, here or at the target, to keep free or out of connection tracking; repeatable
    #[arg(long, value_name = "P", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,

    /// Also change a setting that has a cost; repeatable
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    pub with: Vec<ExtraArg>,

    /// Raise settings that are too low; the old values are saved to the state file
    #[arg(long)]
    pub apply: bool,

    /// Restore the old values and remove the files that --persist wrote
    #[arg(long)]
    pub revert: bool,

    /// With --apply: also write files that keep the settings over a reboot
    #[arg(long, requires = "apply")]
    pub persist: bool,

    /// Process whose file limit to check and, with --apply, to raise
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,

    /// With --revert: also overwrite settings that somebody else has changed since
    #[arg(long, requires = "revert")]
    pub force: bool,

    /// Print a shell script that raises the settings, and change nothing
    #[arg(long)]
    pub script: bool,

    /// With --script: print the entry point of a container instead, which sets what the container may set and runs a command
    #[arg(long, requires = "script")]
    pub container_init: bool,

    /// Print a sample configuration of a server for N connections, and change nothing
    #[arg(long = "for", id = "sample", value_name = "PROGRAM", value_parser = programs())]
    pub sample: Option<Program>,

    /// Print flags for docker run and Compose, and change nothing
    #[arg(long)]
    pub container: bool,

    /// Print a shell script for this operating system, and change nothing
    #[arg(long, value_name = "OS")]
    pub os: Option<OsArg>,

    /// State file [default: /var/lib/throng/tune.json, or throng/tune.json in $XDG_STATE_HOME]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Directory with a copy of the files below /proc/sys and /etc to use instead of this system's
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,

    /// Format of the report; docs/tune.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", conflicts_with_all = ["script", "container", "sample", "os"])]
    pub output: DocumentForm,
}

/// The programs that there are samples for.
fn programs() -> impl TypedValueParser<Value = Program> {
    let value = |program: &Program| PossibleValue::new(program.name()).help(program.about());
    PossibleValuesParser::new(Program::ALL.iter().map(value)).try_map(|name| {
        let program = Program::ALL.iter().find(|program| program.name() == name);
        program.copied().ok_or("no such program")
    })
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ExtraArg {
    /// Turn SYN cookies off: no protection against SYN floods
    SyncookiesOff,
    /// Exempt connections to the ports from connection tracking: changes the firewall
    Notrack,
    /// Shorten tcp_fin_timeout: slow peers get resets
    FinTimeout,
}

impl From<ExtraArg> for Extra {
    fn from(extra: ExtraArg) -> Extra {
        match extra {
            ExtraArg::SyncookiesOff => Extra::SyncookiesOff,
            ExtraArg::Notrack => Extra::Notrack,
            ExtraArg::FinTimeout => Extra::FinTimeout,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum OsArg {
    /// Linux, as --script
    Linux,
    /// FreeBSD 12 and later
    Freebsd,
    /// macOS
    Macos,
}
