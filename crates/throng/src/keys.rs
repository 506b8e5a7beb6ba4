//! Keys that change the message rate while a run lasts, as tcpkali's do: each step is a fifth of an octave; and one that
//! pauses the opening of connections.
//!
//! The terminal then passes each key on at once, and does not show it. Whatever ends the run puts it back as it was: the
//! run's own end, a panic ([`Keys`] is dropped), a second signal ([`release`]); and so does a stop, until the run goes on
//! ([`suspend`]). A run in the background leaves the terminal to the shell.

use crate::screen;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};
use std::io::{self, IsTerminal, Read, Stdin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use throng_core::scenario::{LoadScenario, RunRate, Sending};
use throng_run::{Dial, Stop};

/// How long a run in the background waits until it looks for keys again.
const PAUSE: Duration = Duration::from_millis(500);
/// The escape character, which begins the codes of arrow keys.
const ESC: u8 = 0x1b;

/// How the terminal was before its keys were taken; `None` if they are not taken.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys of the terminal, which it gets back when this is dropped.
pub(crate) struct Keys(());

impl Keys {
    /// Takes the keys of the terminal on stdin, which turn `dial` and end the run, and listens to them until the process
    /// ends. `None` if stdin is no terminal.
    pub fn take(dial: &Dial, stop: &Stop) -> Option<Keys> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let keys = Keys::of(&io::stdin())?;
        let (dial, stop) = (dial.clone(), stop.clone());
        let listening = thread::Builder::new().name("keys".to_owned());
        // Without the thread the run goes on without keys.
        listening.spawn(move || listen(&dial, &stop)).ok()?;
        Some(keys)
    }

    fn of(terminal: &Stdin) -> Option<Keys> {
        *before() = Some(tcgetattr(terminal).ok()?);
        take_again();
        Some(Keys(()))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        release();
        *before() = None;
    }
}

/// Whether `scenario` sends messages at a constant rate, which a dial can change.
pub(crate) fn has_constant_rate(scenario: &LoadScenario) -> bool {
    matches!(
        scenario.pace.sending,
        Sending::PerConnection(_)
            | Sending::WholeRun {
                rate: RunRate::Constant(_),
                ..
            }
    )
}

/// Whether the terminal is this process's to set: in the background it is somebody else's.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// Puts the terminal back as it was, if its keys are taken.
pub(crate) fn release() {
    if let Some(was) = &*before()
        && is_ours()
    {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, was);
    }
}

/// Takes the keys after they were [released](release), or somebody else set the terminal.
pub(crate) fn take_again() {
    if let Some(was) = &*before()
        && is_ours()
    {
        let mut now = was.clone();
        // Signals stay keys of the terminal: Ctrl-C, Ctrl-Z.
        (now.local_flags).remove(LocalFlags::ICANON | LocalFlags::ECHO);
        now.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        now.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &now);
    }
}

/// Stops this process as Ctrl-Z would have done, with the terminal as it was meanwhile. The calling thread has the signal
/// blocked, as all others.
pub(crate) fn suspend() {
    screen::release();
    release();
    let stop = SigSet::from(Signal::SIGTSTP);
    // With the default action: a process without a shell that could continue it goes on.
    let stopped = stop.thread_unblock();
    if stopped.is_ok() {
        let _ = nix::sys::signal::raise(Signal::SIGTSTP);
        let _ = stop.thread_block();
    }
    take_again();
    screen::take_again();
}

fn listen(dial: &Dial, stop: &Stop) {
    // A read in the background is then an error instead of a stop.
    let _ = SigSet::from(Signal::SIGTTIN).thread_block();
    let mut presses = Presses::default();
    let mut bytes = [0; 64];
    loop {
        match io::stdin().lock().read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => bytes[..n]
                .iter()
                .for_each(|byte| match presses.press(*byte) {
                    Some(Press::Faster) => dial.turn(1),
                    Some(Press::Slower) => dial.turn(-1),
                    Some(Press::Pause) => dial.pause_or_go_on(),
                    Some(Press::End) => stop.request(),
                    None => {}
                }),
            Err(_) if !is_ours() => thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    Faster,
    Slower,
    Pause,
    End,
}

/// Finds keys in what a terminal sends.
#[derive(Default)]
struct Presses {
    /// The bytes of an escape sequence that came so far, up to two.
    escape: Vec<u8>,
}

impl Presses {
    fn press(&mut self, byte: u8) -> Option<Press> {
        match (self.escape.as_slice(), byte) {
            (_, ESC) => self.escape = vec![ESC],
            // Arrow keys are ESC [ A, or ESC O A in a terminal's application mode.
            ([ESC], b'[' | b'O') => self.escape.push(byte),
            ([ESC, _], _) => {
                self.escape.clear();
                return match byte {
                    b'A' => Some(Press::Faster),
                    b'B' => Some(Press::Slower),
                    _ => None,
                };
            }
            _ => {
                self.escape.clear();
                return match byte {
                    b'+' | b'=' => Some(Press::Faster),
                    b'-' => Some(Press::Slower),
                    b'p' | b'P' | b' ' => Some(Press::Pause),
                    b'q' | b'Q' => Some(Press::End),
                    _ => None,
                };
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_and_letters_are_found_in_what_a_terminal_sends() {
        use Press::{End, Faster, Pause, Slower};
        for (sent, keys) in [
            (&b"\x1b[A\x1b[B"[..], &[Faster, Slower][..]),
            (b"\x1bOA\x1bOB", &[Faster, Slower]),
            (b"+=-", &[Faster, Faster, Slower]),
            (b"q", &[End]),
            (b"Q", &[End]),
            (b"p P", &[Pause, Pause, Pause]),
            // Left, a lone escape, and other letters.
            (b"\x1b[Dx\x1b+A", &[Faster]),
            (b"\x1b\x1b[A", &[Faster]),
        ] {
            let mut presses = Presses::default();
            let found: Vec<Press> = sent.iter().filter_map(|b| presses.press(*b)).collect();
            assert_eq!(found, keys, "{sent:?}");
        }
    }
}
