//! The settings as a POSIX shell script that does what `throng tune --apply` does: it lowers nothing, saves the old
//! values first, checks whether each change took effect, and prints how to undo them.

use super::wrapped;
use crate::human;
use std::fmt::Write;
use throng_core::tune::{Ask, Kind, PortSet, Rule, Setting, Status};

const WIDTH: usize = 100;

const HEAD: &str = r##"set -u
umask 022
undo=${UNDO:-/var/lib/throng/undo.sh}
failed=0

if [ "$(id -u)" -ne 0 ]; then
    echo "$0: run this script as root" >&2
    exit 1
fi
mkdir -p "$(dirname "$undo")" || exit 1

# path NAME: the file of a sysctl.
path() {
    echo "/proc/sys/$(echo "$1" | tr . /)"
}

# value NAME: prints its value in one line; nothing if there is none.
value() {
    tr -s '[:space:]' ' ' 2>/dev/null <"$(path "$1")" | sed 's/ $//'
}

# present NAME: succeeds if the setting exists here.
present() {
    [ -e "$(path "$1")" ] && return 0
    echo "$1: does not exist here (it is the host's, or its module is not loaded); skipped"
    return 1
}

# remember NAME: saves its value in $undo, unless an earlier run did.
remember() {
    grep -qs "^# $1\$" "$undo" && return 0
    printf '# %s\nprintf '\''%%s\\n'\'' '\''%s'\'' >%s\n' "$1" "$(value "$1")" "$(path "$1")" >>"$undo" || {
        echo "$0: can't write $undo; stopped before further changes" >&2
        exit 1
    }
    sync
}

# put NAME VALUE
put() {
    old=$(value "$1")
    [ "$old" = "$2" ] && { echo "$1: $old, unchanged"; return; }
    remember "$1"
    if printf '%s\n' "$2" 2>/dev/null >"$(path "$1")"; then
        echo "$1: $old -> $(value "$1")"
    else
        echo "$1: can't be set to $2 (read-only, or refused)" >&2
        failed=1
    fi
}

# raise NAME NUMBER...: raises each number to at least NUMBER.
raise() {
    name=$1
    present "$name" || return 0
    shift
    new=
    for have in $(value "$name"); do
        if [ "$1" -gt "$have" ]; then new="$new $1"; else new="$new $have"; fi
        shift
    done
    put "$name" "${new# }"
}
"##;

/// Functions that only some scripts need, by name.
const HELPERS: &[(&str, &str)] = &[
    (
        "lower",
        r##"
# lower NAME NUMBER: lowers it to at most NUMBER.
# shellcheck disable=SC2317  # only on request
lower() {
    present "$1" || return 0
    if [ "$(value "$1")" -gt "$2" ]; then put "$1" "$2"; else put "$1" "$(value "$1")"; fi
}
"##,
    ),
    (
        "widen",
        r##"
# widen NAME LOW HIGH: widens a range to at least LOW to HIGH.
widen() {
    present "$1" || return 0
    range=$(value "$1")
    low=${range% *} high=${range#* }
    [ "$2" -lt "$low" ] && low=$2
    [ "$3" -gt "$high" ] && high=$3
    put "$1" "$low $high"
}
"##,
    ),
    (
        "include",
        r##"
# include NAME PORTS: adds PORTS to a set; the kernel sorts and joins them.
include() {
    present "$1" || return 0
    before=$(value "$1")
    remember "$1"
    if printf '%s\n' "${before:+$before,}$2" 2>/dev/null >"$(path "$1")"; then
        echo "$1: $before -> $(value "$1")"
    else
        echo "$1: can't be set" >&2
        failed=1
    fi
}
"##,
    ),
    (
        "change",
        r##"
# change NAME VALUE
# shellcheck disable=SC2317  # may be for settings on request only
change() {
    present "$1" || return 0
    put "$1" "$2"
}
"##,
    ),
];

const TAIL: &str = r##"
[ -e "$undo" ] && echo "To undo: sh $undo && rm $undo"
exit $failed
"##;

/// The script for `settings`, with their status on this machine. `command` is the command line that asked for it.
pub fn script(ask: &Ask, settings: &[Setting], command: &str) -> String {
    let mut body = String::new();
    for setting in settings {
        body.push('\n');
        body += &wrapped(&format!("{}: {}", setting.name, setting.why), "# ", WIDTH);
        if !setting.risk.is_empty() {
            body += &wrapped(&format!("Risk: {}", setting.risk), "# ", WIDTH);
        }
        let requested = setting.with.is_none_or(|extra| ask.with.contains(&extra));
        match (requested, line(setting)) {
            (_, None) => {}
            (true, Some(line)) => body += &line,
            (false, Some(line)) => {
                body += "# Only on request; remove the # to enable it:\n";
                for line in line.lines() {
                    let _ = writeln!(body, "# {line}");
                }
            }
        }
    }
    let mut script = String::from("#!/bin/sh\n");
    let purpose = format!(
        "System settings for {}, role {}, by throng {} ({}).",
        human::things(ask.connections.into(), "connection"),
        ask.role.name(),
        env!("CARGO_PKG_VERSION"),
        // A line break would end the comment.
        command.replace(['\n', '\r'], " ")
    );
    script += &wrapped(&purpose, "# ", WIDTH);
    script += &wrapped(
        "Run it as root. It lowers nothing, and a second run changes nothing. It first saves the old values to \
         /var/lib/throng/undo.sh (or to $UNDO), a script that restores them.",
        "# ",
        WIDTH,
    );
    script += HEAD;
    for (word, helper) in HELPERS {
        if body.lines().any(|l| {
            l.strip_prefix("# ")
                .unwrap_or(l)
                .starts_with(&format!("{word} "))
        }) {
            script += helper;
        }
    }
    script + &body + TAIL
}

/// The command for a setting; `None` if there is nothing to do.
fn line(setting: &Setting) -> Option<String> {
    let Setting { name, wanted, .. } = setting;
    Some(match (setting.kind, setting.rule) {
        (Kind::FileLimit, _) => file_limit(wanted),
        (Kind::Firewall, _) => notrack(&wanted.parse().ok().filter(|p: &PortSet| !p.is_empty())?),
        // Even if it is enough here, another machine may have less.
        (Kind::Sysctl, Rule::AtLeast) => format!("raise {name} {wanted}\n"),
        (Kind::Sysctl, Rule::AtMost) => format!("lower {name} {wanted}\n"),
        (Kind::Sysctl, Rule::Around) => format!("widen {name} {wanted}\n"),
        (Kind::Sysctl, Rule::Including) if wanted.is_empty() => return None,
        (Kind::Sysctl, Rule::Including) => match setting.status {
            Status::Enough => return None,
            _ => format!("include {name} {wanted}\n"),
        },
        (Kind::Sysctl, Rule::Exactly) => format!("change {name} {wanted}\n"),
    })
}

fn file_limit(wanted: &str) -> String {
    let (soft, hard) = wanted.split_once(' ').unwrap_or((wanted, wanted));
    format!(
        "# A limit belongs to a process. For future logins, /etc/security/limits.d/90-throng.conf:\n\
         #     * soft nofile {soft}\n#     * hard nofile {hard}\n\
         # For services started later, /etc/systemd/system.conf.d/90-throng.conf:\n\
         #     [Manager]\n#     DefaultLimitNOFILE={soft}:{hard}\n\
         # For a running process: prlimit --pid N --nofile={soft}:{hard}\n\
         have=$(sed -n 's/^Max open files *[a-z0-9]* *\\([a-z0-9]*\\).*/\\1/p' /proc/$$/limits)\n\
         echo \"file limit of this shell: $have, needed {hard}; see the comments in $0\"\n"
    )
}

fn notrack(ports: &PortSet) -> String {
    let set = ports.to_string().replace(',', ", ");
    let ranges = ports.to_string().replace('-', ":").replace(',', " ");
    format!(
        "if command -v nft >/dev/null; then
    remembered=$(grep -cs '^# NOTRACK$' \"$undo\")
    if [ \"${{remembered:-0}}\" -eq 0 ]; then
        if nft list table inet throng_notrack >/dev/null 2>&1; then
            echo \"$0: a table inet throng_notrack exists that is not in $undo; stopped before further changes\" >&2
            exit 1
        fi
        printf '# NOTRACK\\nnft delete table inet throng_notrack\\n' >>\"$undo\" || exit 1
    fi
    printf '%s\\n' 'add table inet throng_notrack' 'delete table inet throng_notrack' \\
        'table inet throng_notrack {{' \\
        'chain prerouting {{ type filter hook prerouting priority -300;' \\
        'tcp dport {{ {set} }} notrack; tcp sport {{ {set} }} notrack; }}' \\
        'chain output {{ type filter hook output priority -300;' \\
        'tcp dport {{ {set} }} notrack; tcp sport {{ {set} }} notrack; }}' \\
        '}}' | nft -f - || failed=1
else
    # shellcheck disable=SC2043  # there may be only one
    for ports in {ranges}; do
        for chain in PREROUTING OUTPUT; do
            for side in --dport --sport; do
                set -- \"$chain\" -p tcp \"$side\" \"$ports\" -m comment --comment throng_notrack -j CT --notrack
                iptables -w -t raw -C \"$@\" 2>/dev/null && continue
                echo \"iptables -w -t raw -D $*\" >>\"$undo\" || exit 1
                iptables -w -t raw -A \"$@\" || failed=1
            done
        done
    done
fi
"
    )
}
