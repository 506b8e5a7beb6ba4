//! The coordinator's ways to agents over NATS.

use super::connection::Change;
use super::{Connection, Present};
use crate::message::{self, FromAgent, MOST_FROM_AGENT, MOST_TO_AGENT, ToAgent};
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
}

impl Far {
    /// The way to this agent, for the run of this name. Every order has `token` with it.
    pub fn new(
        connection: &Connection,
        agent: &Present,
        run: String,
        token: Option<String>,
    ) -> Far {
        Far {
            connection: connection.clone(),
            name: agent.name.clone(),
            instance: agent.instance.clone(),
            run,
            token,
        }
    }
}

impl Transport for Far {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(self: Box<Self>, incoming: Incoming) -> io::Result<Box<dyn Link>> {
        let subject = self.connection.prefix().reports(&self.run, &self.instance);
        let told = incoming.clone();
        self.connection.watch(move |change| {
            told.take(match change {
                Change::Interrupted => Arrival::Interrupted,
                Change::Restored => Arrival::Restored,
                Change::GivenUp => Arrival::Gone("the NATS server is out of reach".into()),
            });
        });
        let reports = incoming.clone();
        let subscribed = self
            .connection
            .subscribe(subject, MOST_FROM_AGENT, move |received| {
                let message: Result<FromAgent, _> = received
                    .bytes
                    .and_then(|bytes| message::decode(&bytes, MOST_FROM_AGENT));
                reports.take(match message {
                    Ok(message) => Arrival::Message(Box::new(message)),
                    Err(e) => Arrival::Unreadable(e.to_string()),
                })
            });
        subscribed.map_err(io::Error::other)?;
        let subject = self.connection.prefix().orders(&self.instance);
        Ok(Box::new(Open {
            connection: self.connection,
            subject,
            token: self.token,
            incoming,
        }))
    }
}

/// An open way.
struct Open {
    connection: Connection,
    subject: String,
    token: Option<String>,
    incoming: Incoming,
}

impl Link for Open {
    fn send(&mut self, message: &ToAgent) {
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
