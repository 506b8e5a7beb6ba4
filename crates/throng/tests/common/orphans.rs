//! What ends the processes of tests that can't do so themselves: at Ctrl-C, which reaches no process group but the tests' own, when a
//! time limit kills them, when they abort.
//!
//! A shell learns which groups there are. Its stdin ends with the tests, however they end, and it kills the groups that are left.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex};

const SHELL: &str = r#"
groups=" "
while read -r what group; do
    case $what in
        begins) groups="$groups$group " ;;
        ends) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group"
done
"#;

static TOLD: LazyLock<Mutex<ChildStdin>> = LazyLock::new(|| {
    let mut shell = Command::new("sh")
        .args(["-c", SHELL])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell starts");
    Mutex::new(shell.stdin.take().expect("stdin is piped"))
});

/// There is a process group of this number.
pub fn group_begins(group: u32) {
    tell("begins", group);
}

/// It was killed, and the number is about to be free.
pub fn group_ends(group: u32) {
    tell("ends", group);
}

fn tell(what: &str, group: u32) {
    let mut told = TOLD.lock().unwrap_or_else(|e| e.into_inner());
    // A shell that has ended can't be helped: whoever killed it saw to it that nothing is left.
    let _ = writeln!(told, "{what} {group}");
}
