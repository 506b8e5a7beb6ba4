//! An entry point for a container: raises what a container may set at boot, and runs the command.

use super::wrapped;
use crate::human;
use std::fmt::Write;
use throng_core::tune::{Ask, Kind, Rule, Scope, Setting, wanted_files};

const WIDTH: usize = 100;

const HEAD: &str = r##"set -u

if [ $# -eq 0 ]; then
    echo "$0: no command; write $0 COMMAND [ARGUMENT...]" >&2
    exit 2
fi

# put NAME VALUE WANTED: sets NAME, or says how the container has to be started.
put() {
    printf '%s\n' "$2" 2>/dev/null >"/proc/sys/$(echo "$1" | tr . /)" ||
        echo "$0: $1 can't be set to $2 in here; start the container with --sysctl '$1=$3'" >&2
}

# value NAME: its value in one line; nothing if it does not exist here.
value() {
    tr -s '[:space:]' ' ' 2>/dev/null <"/proc/sys/$(echo "$1" | tr . /)" | sed 's/ $//'
}
"##;

/// Functions that only some entry points need, by name.
const HELPERS: &[(&str, &str)] = &[
    (
        "raise",
        r##"
# raise NAME NUMBER: raises it to at least NUMBER.
raise() {
    have=$(value "$1")
    [ -z "$have" ] || [ "$have" -ge "$2" ] || put "$1" "$2" "$2"
}
"##,
    ),
    (
        "lower",
        r##"
# lower NAME NUMBER: lowers it to at most NUMBER.
lower() {
    have=$(value "$1")
    [ -z "$have" ] || [ "$have" -le "$2" ] || put "$1" "$2" "$2"
}
"##,
    ),
    (
        "widen",
        r##"
# widen NAME LOW HIGH: widens a range to at least LOW to HIGH.
widen() {
    have=$(value "$1")
    [ -n "$have" ] || return 0
    low=${have% *} high=${have#* }
    [ "$2" -lt "$low" ] && low=$2
    [ "$3" -gt "$high" ] && high=$3
    [ "$have" = "$low $high" ] || put "$1" "$low $high" "$low $high"
}
"##,
    ),
    (
        "include",
        r##"
# include NAME PORTS: adds PORTS to a set; the kernel sorts and joins them.
include() {
    [ -e "/proc/sys/$(echo "$1" | tr . /)" ] || return 0
    have=$(value "$1")
    put "$1" "${have:+$have,}$2" "$2"
}
"##,
    ),
    (
        "change",
        r##"
# change NAME VALUE
change() {
    have=$(value "$1")
    [ -z "$have" ] || [ "$have" = "$2" ] || put "$1" "$2" "$2"
}
"##,
    ),
];

const TAIL: &str = r##"
# The soft limit on open files may be raised to the hard one; the container's engine sets that.
# shellcheck disable=SC3045  # -H and -S are in dash, ash and bash
hard=$(ulimit -H -n)
# shellcheck disable=SC3045
ulimit -S -n "$hard"
if [ "$hard" != unlimited ] && [ "$hard" -lt "$files" ]; then
    echo "$0: open files are limited to $hard; start the container with --ulimit nofile=$files:$files" >&2
fi

exec "$@"
"##;

/// The entry point. `settings` are those for an unknown machine: a container starts with the kernel's defaults.
pub fn entrypoint(ask: &Ask, settings: &[Setting]) -> String {
    let mut body = String::new();
    let asked = |s: &&Setting| s.with.is_none_or(|extra| ask.with.contains(&extra));
    let own = settings
        .iter()
        .filter(asked)
        .filter(|s| s.kind == Kind::Sysctl && s.scope == Scope::Namespace && !s.wanted.is_empty());
    for setting in own {
        let word = match setting.rule {
            Rule::AtLeast => "raise",
            Rule::AtMost => "lower",
            Rule::Around => "widen",
            Rule::Including => "include",
            Rule::Exactly => "change",
        };
        let _ = writeln!(body, "{word} {} {}", setting.name, setting.wanted);
    }
    let mut script = String::from("#!/bin/sh\n");
    script += &wrapped(
        &format!(
            "Entry point of a container for {}, role {}, by throng {}. It sets what the container may set itself, says on stderr \
             what it may not, and then runs the command in its place: ENTRYPOINT [\"/entrypoint.sh\"], CMD [\"server\"].",
            human::things(ask.connections.into(), "connection"),
            ask.role.name(),
            env!("CARGO_PKG_VERSION")
        ),
        "# ",
        WIDTH,
    );
    script += &wrapped(
        "Without --privileged, /proc/sys is read-only: then the settings come from --sysctl, and this checks them.",
        "# ",
        WIDTH,
    );
    script += HEAD;
    for (word, helper) in HELPERS {
        let call = format!("{word} ");
        if body.lines().any(|line| line.starts_with(&call)) {
            script += helper;
        }
    }
    let _ = write!(script, "\n{body}files={}\n", wanted_files(ask));
    script + TAIL
}
