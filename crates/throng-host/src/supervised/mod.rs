//! Processes that do not outlive the one that started them, however that one ends, nor leave their own children behind.
//!
//! Between the two stands a supervisor, a process of throng's own ([`supervise`]). It learns from a pipe that it is to end, or that
//! its parent has ended, SIGKILL included, since the kernel closes the pipe then. It adopts what its command leaves behind
//! (PR_SET_CHILD_SUBREAPER), so daemons are found, too. It has a process group of its own, so Ctrl-C in a terminal does not reach
//! it. Only a SIGKILL to the supervisor itself would leave its command running.

mod supervisor;

pub use supervisor::supervise;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The order to end softly. The end of the pipe is the order to end at once.
const SOFTLY: u8 = b't';
/// How often a process is looked at that is about to end.
const LOOK: Duration = Duration::from_millis(5);

/// A command under a supervisor. Dropped, it is killed with all that it started, and waited for.
#[derive(Debug)]
pub struct Supervised {
    supervisor: Child,
    orders: Option<ChildStdin>,
}

impl Supervised {
    /// Has `supervisor` run the command that its last words are. It must call [`supervise`] with these.
    ///
    /// # Errors
    /// The supervisor can't be started.
    pub fn start(mut supervisor: Command, stdout: Stdio, stderr: Stdio) -> io::Result<Supervised> {
        let mut supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        let orders = supervisor.stdin.take();
        Ok(Supervised { supervisor, orders })
    }

    /// The process of the supervisor.
    pub fn id(&self) -> u32 {
        self.supervisor.id()
    }

    /// The streams of the supervisor, for those that are pipes.
    pub fn supervisor(&mut self) -> &mut Child {
        &mut self.supervisor
    }

    /// The exit status of the command, once it and all that it started have ended; `None` until then. A command that fails
    /// takes what it started along.
    ///
    /// # Errors
    /// The kernel's.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.supervisor.try_wait()
    }

    /// Sends SIGTERM to the command and its process group, or, once it has ended itself, to what it left behind.
    pub fn end_softly(&mut self) {
        if let Some(orders) = &mut self.orders {
            // If it has ended, there is nobody to tell.
            let _ = orders.write_all(&[SOFTLY]);
        }
    }

    /// Ends all of it: by SIGTERM, and by SIGKILL what is still there after `grace`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn end(mut self, grace: Duration) -> io::Result<()> {
        self.end_softly();
        let until = Instant::now() + grace;
        while self.status()?.is_none() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.supervisor.wait();
    }
}

/// The command that a shell runs for `script`.
pub fn shell(script: &str) -> [OsString; 3] {
    ["/bin/sh".into(), "-c".into(), script.into()]
}
