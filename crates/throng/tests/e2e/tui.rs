//! The full screen, in tmux, whose panes are terminals of any size.

use crate::common::net::Net;
use crate::common::peers::installed;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long to wait for what is to be on the screen.
const LONG: Duration = Duration::from_secs(30);

/// A terminal with a shell that runs throng, and then waits.
struct Pane<'n> {
    net: &'n Net,
    directory: tempfile::TempDir,
}

impl Pane<'_> {
    /// Starts throng with `args`, and `environment` before it, on a terminal of this size.
    fn start<'n>(net: &'n Net, size: (u16, u16), environment: &str, args: &str) -> Pane<'n> {
        let directory = tempfile::tempdir().unwrap();
        let pane = Pane { net, directory };
        let throng = env!("CARGO_BIN_EXE_throng");
        let script = format!(
            "trap : INT; echo before; {environment} {throng} {args}; echo \"code $?\"; stty -a | grep -o -e '-\\?icanon'; exec cat"
        );
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        pane.tmux(&[
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "sh",
            "-c",
            &script,
        ]);
        pane
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = installed(self.net, "tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(self.socket());
        let out = command
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .arg("-u")
            .args(words);
        let out = out.output().unwrap();
        assert!(out.status.success(), "tmux {words:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// What is on the screen, with escape codes for its colours.
    fn with_colours(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen, and what has scrolled off it.
    fn history(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"])
    }

    /// Waits until `text` is on the screen, and returns all of it.
    #[track_caller]
    fn see(&self, text: &str) -> String {
        wait_for(text, || self.screen())
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits for the end of the run with this exit code: the screen is as it was before.
    #[track_caller]
    fn ended(&self, code: i32) -> String {
        self.see("icanon");
        let screen = self.history();
        assert!(
            screen.contains(&format!("\ncode {code}\nicanon")),
            "{screen}"
        );
        assert!(screen.starts_with("before\n"), "{screen}");
        assert!(!screen.contains('│'), "{screen}");
        let cursor = self.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]);
        assert_eq!(cursor.trim(), "1 0", "{screen}");
        screen
    }
}

/// Waits until what `look` returns has `text`.
#[track_caller]
fn wait_for(text: &str, look: impl Fn() -> String) -> String {
    let give_up = Instant::now() + LONG;
    loop {
        let screen = look();
        if screen.contains(text) {
            return screen;
        }
        assert!(
            Instant::now() < give_up,
            "no '{text}' on the screen:\n{screen}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Pane<'_> {
    fn drop(&mut self) {
        let mut command = installed(self.net, "tmux");
        let _ = command
            .arg("-S")
            .arg(self.socket())
            .arg("kill-server")
            .output();
    }
}

const LOAD: &str = "load --self=echo -c 100 -m hello -r 5 --latency-echo --hold 60s --tui";

#[test]
fn the_full_screen_fits_terminals_of_all_sizes_and_is_gone_afterwards() {
    let net = Net::own();
    for (size, environment) in [
        ((60, 16), ""),
        ((80, 24), "NO_COLOR=1"),
        ((120, 40), ""),
        ((200, 50), "NO_COLOR=1"),
    ] {
        let pane = Pane::start(&net, size, environment, LOAD);
        pane.see("100 of 100 open");
        let screen = pane.see("≤");
        for part in [
            "Connections",
            "Traffic",
            "Latency",
            "response over time",
            "↑ faster",
        ] {
            assert!(screen.contains(part), "no '{part}':\n{screen}");
        }
        let widest = screen.lines().map(|line| line.chars().count()).max();
        assert_eq!(widest, Some(size.0.into()), "{screen}");
        let coloured = pane.with_colours();
        let colours = coloured.contains("\u{1b}[36m") || coloured.contains("\u{1b}[38;5;");
        assert_eq!(colours, environment.is_empty(), "{coloured:?}");
        pane.press(&["q"]);
        pane.ended(130);
    }
}

#[test]
fn a_terminal_that_is_resized_is_drawn_anew() {
    let net = Net::own();
    let pane = Pane::start(&net, (80, 24), "", LOAD);
    pane.see("100 of 100 open");
    for (columns, rows) in [(120, 40), (70, 20), (50, 10), (100, 30)] {
        let (wide, high) = (columns.to_string(), rows.to_string());
        pane.tmux(&["resize-window", "-x", &wide, "-y", &high]);
        match columns {
            50 => pane.see("50 × 10 is too small"),
            _ => {
                let give_up = Instant::now() + LONG;
                loop {
                    let screen = pane.see("open");
                    let corner =
                        |line: &str| line.ends_with('┐') && line.chars().count() == columns;
                    if screen.lines().filter(|line| corner(line)).count() >= 3 {
                        break screen;
                    }
                    assert!(Instant::now() < give_up, "{columns} × {rows}:\n{screen}");
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        };
    }
    pane.press(&["C-c"]);
    // Smaller screens leave lines in tmux's history.
    let screen = pane.see("code 130");
    assert!(!screen.contains('│'), "{screen}");
}

#[test]
fn keys_change_the_rate_and_a_stop_gives_the_screen_back_until_the_run_goes_on() {
    let net = Net::own();
    // A shell with jobs.
    let pane = Pane::start(&net, (100, 30), "", "help >/dev/null; exec bash --norc -i");
    pane.see("bash-");
    let throng = env!("CARGO_BIN_EXE_throng");
    pane.press(&[&format!("PS1='ready> '; {throng} {LOAD}"), "Enter"]);
    pane.see("500/s of 500/s asked for");
    pane.press(&["Up", "+", "+", "+", "+"]);
    pane.see("of 1.00k/s asked for");
    pane.press(&["C-z"]);
    let screen = pane.see("Stopped");
    assert!(
        screen.contains("before") && !screen.contains('│'),
        "{screen}"
    );
    pane.press(&["fg", "Enter"]);
    pane.see("of 1.00k/s asked for");
    pane.press(&["q"]);
    let screen = wait_for("changed by hand", || pane.history());
    assert!(!screen.contains('│'), "{screen}");
}

#[test]
fn signals_give_the_terminal_back_and_warnings_are_told_afterwards() {
    let net = Net::own();
    let line = format!("{LOAD} --otlp http://127.0.0.1:9");
    let pane = Pane::start(&net, (100, 30), "", &line);
    pane.see("don't reach --otlp");
    let pid = pane.tmux(&["display-message", "-p", "#{pane_pid}"]);
    net.shell(&format!("kill -TERM $(pgrep -P {})", pid.trim()));
    let screen = pane.ended(130);
    assert!(
        screen.contains("throng: metrics don't reach --otlp"),
        "{screen}"
    );
    // A server has it, too.
    let pane = Pane::start(&net, (80, 24), "", "serve 127.0.0.1:9000 --tui");
    pane.see("serving");
    pane.press(&["q"]);
    pane.ended(130);
}

#[test]
fn what_would_write_over_the_screen_is_refused() {
    let net = Net::own();
    let pane = Pane::start(&net, (100, 30), "", &format!("{LOAD} --dump-one"));
    let screen = pane.ended(2);
    assert!(screen.contains("--tui has the terminal"), "{screen}");
}

#[test]
fn a_terminal_that_is_too_small_has_the_live_view() {
    let net = Net::own();
    let pane = Pane::start(&net, (59, 30), "", LOAD);
    let screen = pane.see("100 of 100");
    assert!(!screen.contains("Connections"), "{screen}");
    assert!(screen.starts_with("before\n"), "{screen}");
    let why = "no full screen (--tui): it needs 60 columns, and th";
    assert!(screen.contains(why), "{screen}");
    pane.press(&["q"]);
    pane.ended(130);
}
