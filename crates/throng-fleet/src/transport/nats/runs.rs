//! Which runs go on: each coordinator says so when it is asked, and how far its run is.

use super::connection::Received;
use super::gather::gather;
use super::{Connection, NatsError, Present};
use crate::message::{self, Order, ToAgent};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use throng_core::observer::{Interval, Observer, Trouble};
use throng_core::record::Phase;
use throng_run::Stop;

/// The longest question or answer, in bytes.
const MOST: usize = 64 << 10;
/// How often a coordinator notes how far its run is.
const EVERY: Duration = Duration::from_secs(1);

/// A run that goes on, as its coordinator says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Its name.
    pub run: String,
    /// The coordinator's machine.
    pub host: String,
    /// `throng` and its version.
    pub tool: String,
    /// How many agents it has.
    pub agents: u64,
    /// What it is doing; `None` before it opens connections.
    pub phase: Option<Phase>,
    /// Seconds since it began to open connections.
    pub at_s: f64,
    /// Seconds until the phase ends by itself, if that is known.
    pub left_s: Option<f64>,
    /// Connections asked for.
    pub asked: u64,
    /// Those that are open.
    pub open: u64,
    /// Those that could not be established.
    pub failed: u64,
}

/// What a coordinator is asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Progress,
    Stop,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Progress(Running),
    Stops,
    Refused(String),
}

/// Where a coordinator is asked about its run.
pub struct Office(Arc<Mutex<Running>>);

impl Office {
    /// Answers for this run from now on, also to the order to stop. That needs this token, if there is one.
    ///
    /// # Errors
    /// Something is wrong with the connection.
    pub fn open(
        connection: &Connection,
        running: Running,
        token: Option<String>,
        stop: &Stop,
    ) -> Result<Office, NatsError> {
        let prefix = connection.prefix();
        let (all, own) = (prefix.runs(), prefix.coordinator(&running.run));
        let known = Arc::new(Mutex::new(running));
        let (back, running) = (connection.clone(), Arc::clone(&known));
        connection.subscribe(all, MOST, move |received| {
            let running = locked(&running).clone();
            reply(&back, &received, &running);
            true
        })?;
        let (back, running, stop) = (connection.clone(), Arc::clone(&known), stop.clone());
        connection.subscribe(own, MOST, move |received| {
            let bytes = received.bytes.as_ref().map_err(Clone::clone);
            let answer = match bytes.and_then(|b| message::decode(b, MOST)) {
                Ok(Question::Progress) => Answer::Progress(locked(&running).clone()),
                Ok(Question::Stop) if token.is_some() && received.token != token => {
                    let why =
                        "the token is missing or wrong: --token-file names the file that has it";
                    Answer::Refused(why.into())
                }
                Ok(Question::Stop) => {
                    stop.request();
                    Answer::Stops
                }
                Err(e) => Answer::Refused(e.to_string()),
            };
            reply(&back, &received, &answer);
            true
        })?;
        Ok(Office(known))
    }

    /// Notes how far the run is.
    pub fn observer(&self) -> impl Observer + use<> {
        Watching(Arc::clone(&self.0))
    }
}

fn locked(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reply(connection: &Connection, to: &Received, answer: &impl Serialize) {
    if let (Some(subject), Ok(bytes)) = (&to.reply, message::encode(answer, MOST)) {
        connection.send(subject, bytes, None);
    }
}

struct Watching(Arc<Mutex<Running>>);

impl Observer for Watching {
    fn due(&self, from: Duration) -> Duration {
        from + EVERY
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let counts = interval.subject().now;
        let mut running = locked(&self.0);
        running.phase = Some(interval.phase);
        running.at_s = interval.to.as_secs_f64();
        running.left_s = interval.left.map(|left| left.as_secs_f64());
        (running.open, running.failed) = (counts.open(), counts.failed_in_all());
        Ok(())
    }
}

impl Connection {
    /// The run of this name as its coordinator says; `None` if that is not there.
    ///
    /// # Errors
    /// Something is wrong with the connection, or the answer is none.
    pub fn running(&self, run: &str) -> Result<Option<Running>, NatsError> {
        match self.question(run, &Question::Progress, None)? {
            Some(Answer::Progress(running)) => Ok(Some(running)),
            Some(Answer::Stops | Answer::Refused(_)) => Err(self.refused(format!(
                "what answers for run {run} is no coordinator of this version"
            ))),
            None => Ok(None),
        }
    }

    /// Asks the coordinator of this run to stop it. Returns whether it does, or why not; `None` if it is not there.
    ///
    /// # Errors
    /// Something is wrong with the connection, or the answer is none.
    pub fn stop(
        &self,
        run: &str,
        token: Option<&str>,
    ) -> Result<Option<Result<(), String>>, NatsError> {
        let answer = self.question(run, &Question::Stop, token)?;
        Ok(answer.map(|answer| match answer {
            Answer::Stops => Ok(()),
            Answer::Refused(why) => Err(why),
            Answer::Progress(_) => Err("its coordinator does not understand the order".into()),
        }))
    }

    /// Has an agent stop that belongs to this run and has no coordinator.
    ///
    /// # Errors
    /// The order is too long.
    pub fn stop_agent(
        &self,
        run: &str,
        agent: &Present,
        token: Option<&str>,
    ) -> Result<(), NatsError> {
        let order = ToAgent {
            run: run.to_owned(),
            order: Order::Stop,
        };
        let bytes = message::encode(&order, MOST).map_err(|e| self.refused(e.to_string()))?;
        self.send(&self.prefix().orders(&agent.instance), bytes, token);
        self.flush();
        Ok(())
    }

    /// The runs whose coordinators answer until `patience` is over.
    ///
    /// # Errors
    /// Something is wrong with the connection.
    pub fn running_now(&self, patience: Duration) -> Result<Vec<Running>, NatsError> {
        let mut runs: Vec<Running> = gather(self, &self.prefix().runs(), patience, |_| false)?;
        runs.sort_by(|a, b| a.run.cmp(&b.run));
        Ok(runs)
    }

    fn question(
        &self,
        run: &str,
        question: &Question,
        token: Option<&str>,
    ) -> Result<Option<Answer>, NatsError> {
        let refused = |e: message::MessageError| self.refused(e.to_string());
        let bytes = message::encode(question, MOST).map_err(refused)?;
        let answer = self.request(self.prefix().coordinator(run), bytes, token)?;
        let answer = answer.map(|bytes| message::decode(&bytes, MOST).map_err(refused));
        answer.transpose()
    }
}
