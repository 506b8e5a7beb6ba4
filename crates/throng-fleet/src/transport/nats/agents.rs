//! The coordinator's ways to agents over NATS.

use super::connection::{Change, Received};
use super::kept::{Kept, Message, Until};
use super::{Connection, Member};
use crate::message::{self, FromAgent, MOST_FROM_AGENT, MOST_TO_AGENT, MessageError, ToAgent};
use crate::transport::{Arrival, Incoming, Link, Transport};
use std::io;

/// A way to an agent that is at the same NATS server.
#[derive(Debug)]
pub struct Far {
    connection: Connection,
    name: String,
    instance: String,
    run: String,
    token: Option<String>,
    follows: Option<Follows>,
}

/// What is known of an agent that has belonged to the run before.
#[derive(Clone, Copy, Debug)]
struct Follows {
    has_left: bool,
}

impl Far {
    /// The way to this agent, for the run of this name. Every order has `token` with it.
    pub fn new(connection: &Connection, agent: &Member, run: String, token: Option<String>) -> Far {
        Far {
            connection: connection.clone(),
            name: agent.name.clone(),
            instance: agent.instance.clone(),
            run,
            token,
            follows: None,
        }
    }

    /// The same to an agent that had another coordinator in this run: what it has said to that one comes first. It may have left the run.
    pub fn following(self, has_left: bool) -> Far {
        Far {
            follows: Some(Follows { has_left }),
            ..self
        }
    }
}

/// What comes from an agent.
fn arrival(bytes: Result<Vec<u8>, MessageError>) -> Arrival {
    let message: Result<FromAgent, _> =
        bytes.and_then(|bytes| message::decode(&bytes, MOST_FROM_AGENT));
    match message {
        Ok(message) => Arrival::Message(Box::new(message)),
        Err(e) => Arrival::Unreadable(e.to_string()),
    }
}

impl Transport for Far {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(self: Box<Self>, incoming: Incoming) -> io::Result<Box<dyn Link>> {
        let told = incoming.clone();
        self.connection.watch(move |change| {
            told.take(match change {
                Change::Interrupted => Arrival::Interrupted,
                Change::Restored => Arrival::Restored,
                Change::GivenUp => Arrival::Gone("the NATS server is out of reach".into()),
            });
        });
        let prefix = self.connection.prefix();
        let kept = prefix.reports(&self.run, &self.instance);
        for subject in [&kept, &prefix.passing(&self.run, &self.instance)] {
            let reports = incoming.clone();
            let take = move |received: Received| reports.take(arrival(received.bytes));
            let connection = &self.connection;
            let subscribed = connection.subscribe(subject.clone(), MOST_FROM_AGENT, take);
            subscribed.map_err(io::Error::other)?;
        }
        if let Some(follows) = self.follows {
            let (reports, done) = (incoming.clone(), incoming.clone());
            let take = move |message: Message| reports.take(arrival(message.bytes));
            let done = move |read| {
                done.take(match read {
                    Ok(()) if follows.has_left => Arrival::Gone("it has left the run".into()),
                    Ok(()) => Arrival::CaughtUp,
                    Err(why) => Arrival::Gone(format!("its reports can't be read: {why}")),
                });
            };
            let connection = &self.connection;
            connection.replay(Kept::Reports, kept, Until::Now, take, done);
        }
        let subject = self.connection.prefix().orders(&self.instance);
        Ok(Box::new(Open {
            connection: self.connection,
            subject,
            token: self.token,
            has_left: self.follows.is_some_and(|follows| follows.has_left),
            incoming,
        }))
    }
}

/// An open way.
struct Open {
    connection: Connection,
    subject: String,
    token: Option<String>,
    /// It takes orders of other runs only.
    has_left: bool,
    incoming: Incoming,
}

impl Link for Open {
    fn send(&mut self, message: &ToAgent) {
        if self.has_left {
            return;
        }
        match message::encode(message, MOST_TO_AGENT) {
            Ok(bytes) => {
                let token = self.token.as_deref();
                self.connection.send(&self.subject, bytes, token);
            }
            Err(e) => {
                let why = format!("can't send to it: {e}");
                self.incoming.take(Arrival::Gone(why));
            }
        }
    }

    fn close(self: Box<Self>) {
        self.connection.flush();
    }
}
