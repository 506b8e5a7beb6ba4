//! The settings of other operating systems, as a shell script to run there.

use super::wrapped;
use crate::human;
use std::fmt::Write;
use throng_core::tune::Ask;
use throng_core::tune::foreign::{Foreign, ForeignSetting, When};

const WIDTH: usize = 100;

const HEAD: &str = r##"set -u
failed=0

if [ "$(id -u)" -ne 0 ]; then
    echo "$0: run this script as root" >&2
    exit 1
fi

# put NAME VALUE
put() {
    old=$(sysctl -n "$1" 2>/dev/null) || { echo "$1: does not exist here; skipped"; return 0; }
    if sysctl "$1=$2" >/dev/null; then
        echo "$1: $old -> $(sysctl -n "$1")    undo: sysctl $1=$old"
    else
        echo "$1: can't be set to $2" >&2
        failed=1
    fi
}

# raise NAME NUMBER: raises it to at least NUMBER.
raise() {
    old=$(sysctl -n "$1" 2>/dev/null) || { echo "$1: does not exist here; skipped"; return 0; }
    if [ "$old" -lt "$2" ]; then put "$1" "$2"; else echo "$1: $old, unchanged"; fi
}
"##;

const LOWER: &str = r##"
# lower NAME NUMBER: lowers it to at most NUMBER.
lower() {
    old=$(sysctl -n "$1" 2>/dev/null) || { echo "$1: does not exist here; skipped"; return 0; }
    if [ "$old" -gt "$2" ]; then put "$1" "$2"; else echo "$1: $old, unchanged"; fi
}
"##;

/// The script for `system`.
pub fn script(system: Foreign, ask: &Ask) -> String {
    let settings = system.settings(ask);
    let mut text = String::from("#!/bin/sh\n");
    text += &wrapped(
        &format!(
            "System settings of {} for {}, role {}, by throng {}. Run it there as root. The settings last until the \
             next reboot; to keep one, add NAME=VALUE to /etc/sysctl.conf. For each change the script prints how to \
             undo it.",
            system.name(),
            human::things(ask.connections.into(), "connection"),
            ask.role.name(),
            env!("CARGO_PKG_VERSION"),
        ),
        "# ",
        WIDTH,
    );
    text += HEAD;
    if settings.iter().any(|s| s.when == When::WidenDown) {
        text += LOWER;
    }
    for setting in settings.iter().filter(|s| s.when != When::Boot) {
        let _ = write!(text, "\n{}", wrapped(setting.why, "# ", WIDTH));
        let ForeignSetting { name, value, .. } = setting;
        let _ = match setting.when {
            When::WidenDown => writeln!(text, "lower {name} {value}"),
            When::Lower => writeln!(
                text,
                "# Only on request; remove the # to enable it:\n# lower {name} {value}"
            ),
            _ => writeln!(text, "raise {name} {value}"),
        };
    }
    let boot: Vec<&ForeignSetting> = settings.iter().filter(|s| s.when == When::Boot).collect();
    if !boot.is_empty() {
        text += "\n# These can only be set at boot. Add them to /boot/loader.conf:\n";
    }
    for setting in boot {
        text += &wrapped(setting.why, "#   ", WIDTH);
        let _ = writeln!(text, "#       {}=\"{}\"", setting.name, setting.value);
    }
    text += &file_limit(system, throng_core::tune::wanted_files(ask));
    text + "\nexit $failed\n"
}

fn file_limit(system: Foreign, files: u64) -> String {
    let how = match system {
        Foreign::Freebsd => {
            "in /etc/login.conf, class default: `:openfiles=N:`, then `cap_mkdb /etc/login.conf`, and log in again. \
             If pf is on, it tracks each connection: `set limit states N` in /etc/pf.conf."
        }
        Foreign::Macos => {
            "`sudo launchctl limit maxfiles N N`, then log in again; for this shell `ulimit -n N`. If pf is on, it \
             tracks each connection: `set limit states N` in /etc/pf.conf."
        }
    };
    let how = how.replace('N', &files.to_string());
    format!(
        "\n{}# shellcheck disable=SC3045  # every sh of {} has it\necho \"file limit of this shell: $(ulimit -n), needed {files}; see the comments in $0\"\n",
        wrapped(
            &format!("The file limit of each process: {how}"),
            "# ",
            WIDTH
        ),
        system.name()
    )
}
