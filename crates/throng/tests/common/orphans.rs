//! What ends the processes of tests that can't do so themselves: at Ctrl-C, which reaches no process group but the tests' own, when a
//! time limit kills them, when they abort.
//!
//! A shell learns which groups there are. Its stdin ends with the tests, however they end, and it kills the groups that are left.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
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

static TOLD: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let shell = Command::new("sh")
        .args(["-c", SHELL])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell starts");
    Mutex::new(shell)
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
    if let Some(stdin) = &mut told.stdin {
        // It fails if somebody has killed the shell, who then has to see to what is left.
        let _ = writeln!(stdin, "{what} {group}");
    }
}
