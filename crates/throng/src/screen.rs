//! The full screen of the terminal on stderr, and its return to what was there before, whatever ends the run: the run's own
//! end, an error or a panic ([`FullScreen`] is dropped), a second signal ([`release`]). A stop gives it back until the run goes on.

use nix::unistd::{getpgrp, tcgetpgrp};
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The alternate screen, without a cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// Who has the screen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It was never taken, or was given back for good.
    Others,
    /// This process shows its own.
    Ours,
    /// It was given back for a while.
    Lent,
    /// This process shows its own again, and has to draw all of it.
    Again,
}

static SCREEN: Mutex<Whose> = Mutex::new(Whose::Others);

fn screen() -> MutexGuard<'static, Whose> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the terminal shows what this process writes: in the background it is somebody else's.
fn is_ours() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}

/// Writes to the terminal. One that has gone is no failure of the run.
fn write(bytes: &[u8]) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Whether stderr is a terminal that can have a full screen.
pub(crate) fn is_there() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stderr().is_terminal() && !dumb
}

/// The full screen, until this is dropped.
pub(crate) struct FullScreen(());

impl FullScreen {
    /// Takes the screen.
    pub fn take() -> FullScreen {
        *screen() = Whose::Lent;
        take_again();
        // What a panic says would be lost with the screen.
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            release();
            usual(info);
        }));
        FullScreen(())
    }

    /// Shows what `draw` returns, unless the screen is somebody else's at the moment. `draw` is told whether it has to draw
    /// everything.
    pub fn show(&self, draw: impl FnOnce(bool) -> Vec<u8>) {
        let mut screen = screen();
        if matches!(*screen, Whose::Ours | Whose::Again) && is_ours() {
            let all = *screen == Whose::Again;
            write(&draw(all));
            *screen = Whose::Ours;
        }
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        release();
        *screen() = Whose::Others;
    }
}

/// Gives the screen back, if it is taken.
pub(crate) fn release() {
    let mut screen = screen();
    if matches!(*screen, Whose::Ours | Whose::Again) {
        write(LEAVE);
        *screen = Whose::Lent;
    }
}

/// Takes the screen after it was [released](release), if it is this process's to take.
pub(crate) fn take_again() {
    let mut screen = screen();
    if *screen == Whose::Lent && is_ours() {
        write(ENTER);
        *screen = Whose::Again;
    }
}
