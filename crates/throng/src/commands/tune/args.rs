//! The options of `throng tune`.

use crate::cli::{DocumentForm, RoleArg};
use throng_core::scenario::bounds;
use clap::ValueEnum;
use std::path::PathBuf;
use throng_core::tune::Extra;

const EXAMPLES: &str = "\
Examples:
  throng tune --role server -c 1m
      What is short for a server of a million connections; changes nothing.
  sudo throng tune --role server -c 1m --port 9000 --apply
      Sets it. The old values go to a state file first.
  sudo throng tune --revert
      Puts everything back, also after a crash, a reboot, or half of an --apply.
  sudo throng tune --role server -c 1m --apply --persist
      Also for after a reboot: files in sysctl.d, limits.d and systemd's directories.
  throng tune --role client -c 200k --script > tune.sh
  throng tune --role server -c 1m --port 9000 --container
  throng tune --role server -c 1m --os freebsd

Exit codes: 0 all is as wanted; 1 something is short, or could not be set or put back; 2 usage.";

/// Check, set and put back the system's limits for N connections
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
#[command(group = clap::ArgGroup::new("what").args(["apply", "revert", "script", "container", "os"]))]
pub(crate) struct Args {
    /// Which end of the connections is on this machine
    #[arg(long, value_name = "ROLE", default_value = "both")]
    pub role: RoleArg,

    /// Connections to tune for
    #[arg(short, long, value_name = "N", default_value = "1m", value_parser = bounds::connections)]
    pub connections: u32,

    /// Port of the server, here or at the target: to be kept free, or out of connection tracking;
    /// repeatable
    #[arg(long, value_name = "P", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,

    /// Also change a setting that takes something away; repeatable
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    pub with: Vec<ExtraArg>,

    /// Set what is short; the old values are kept in the state file
    #[arg(long)]
    pub apply: bool,

    /// Put the old values back and remove what --persist wrote
    #[arg(long)]
    pub revert: bool,

    /// With --apply: also write the files that make it outlast a reboot
    #[arg(long, requires = "apply")]
    pub persist: bool,

    /// The process whose file limit counts; with --apply it is raised
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,

    /// With --revert: also write over what somebody else has changed since
    #[arg(long, requires = "revert")]
    pub force: bool,

    /// Print a shell script that does it instead
    #[arg(long)]
    pub script: bool,

    /// Print flags for docker run and Compose instead
    #[arg(long)]
    pub container: bool,

    /// Print a shell script for this system instead
    #[arg(long, value_name = "OS")]
    pub os: Option<OsArg>,

    /// State file [default: /var/lib/throng/tune.json, or throng/tune.json in $XDG_STATE_HOME]
    #[arg(long, value_name = "F")]
    pub state: Option<PathBuf>,

    /// The system whose files below /proc/sys and /etc are meant, if it is not this one: a copy of them
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,

    /// How to print what was found and done; docs/tune.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", conflicts_with_all = ["script", "container", "os"])]
    pub output: DocumentForm,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ExtraArg {
    /// SYN cookies off: no protection against SYN floods
    SyncookiesOff,
    /// Connections to the ports out of connection tracking: changes the firewall
    Notrack,
    /// A shorter tcp_fin_timeout: slow peers get resets
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
    /// As --script
    Linux,
    /// FreeBSD 12 and later
    Freebsd,
    /// macOS
    Macos,
}
