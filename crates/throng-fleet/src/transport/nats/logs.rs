//! What agents log, kept by the server: the orders that they took and those that they refused.

use super::kept::{Kept, Message, Until};
use super::{Connection, NatsError};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use throng_run::Stop;

/// How long a stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(50);

/// A line of an agent's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// The agent's name.
    pub agent: String,
    /// When it came to the server, in seconds since 1970.
    pub unix_s: f64,
    /// The line.
    pub line: String,
}

impl From<Message> for Logged {
    fn from(message: Message) -> Logged {
        Logged {
            agent: message.part_of_subject(1).to_owned(),
            unix_s: message.unix_s,
            line: match &message.bytes {
                Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Err(e) => e.to_string(),
            },
        }
    }
}

impl Connection {
    /// The logs that are kept of the agents of this name, or of all, the oldest line first.
    ///
    /// # Errors
    /// The server can't say.
    pub fn logs(&self, agent: Option<&str>) -> Result<Vec<Logged>, NatsError> {
        let all = self.all(Kept::Logs, self.log_of(agent))?;
        Ok(all.into_iter().map(Logged::from).collect())
    }

    /// Gives the same lines to `take`, and those that follow, until it returns false or `stop` is requested.
    ///
    /// # Errors
    /// The server can't say.
    pub fn follow_logs(
        &self,
        agent: Option<&str>,
        mut take: impl FnMut(Logged) -> bool,
        stop: &Stop,
    ) -> Result<(), NatsError> {
        let (lines, all) = channel();
        let end = lines.clone();
        let line = move |message| lines.send(Ok(Logged::from(message))).is_ok();
        let done = move |read: Result<(), String>| {
            let why = read.err().unwrap_or_else(|| "it keeps no logs yet".into());
            let _ = end.send(Err(why));
        };
        self.replay(Kept::Logs, self.log_of(agent), Until::Forever, line, done);
        while !stop.is_requested() {
            match all.recv_timeout(NOTICE) {
                Ok(Ok(logged)) => {
                    if !take(logged) {
                        return Ok(());
                    }
                }
                Ok(Err(why)) => return Err(self.refused(why)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Says a line of an agent's log.
    pub(super) fn log(&self, agent: &str, instance: &str, line: &str) {
        let subject = self.prefix().log(agent, instance);
        self.send(&subject, line.as_bytes().to_vec(), None);
    }

    fn log_of(&self, agent: Option<&str>) -> String {
        self.prefix().log(agent.unwrap_or("*"), "*")
    }
}
