//! How messages get from a coordinator to an agent and back. A transport is a file; the coordinator knows only this trait.

use crate::message::{FromAgent, ToAgent};
use std::io;
use std::sync::mpsc::Sender;

/// A way to an agent, which is not open yet.
pub trait Transport {
    /// The agent's name, which no other one of the run has.
    fn name(&self) -> &str;

    /// Opens it: what arrives goes to `incoming`, from a thread of its own.
    ///
    /// # Errors
    /// The agent can't be reached.
    fn open(self: Box<Self>, incoming: Incoming) -> io::Result<Box<dyn Link>>;
}

/// An open way to an agent.
pub trait Link {
    /// Sends a message. It does not wait until that has arrived; if it can't, [`Arrival::Gone`] follows.
    fn send(&mut self, message: &ToAgent);

    /// Closes the way, and waits a moment for the agent to end.
    fn close(self: Box<Self>);
}

/// What comes from an agent.
#[derive(Debug)]
pub enum Arrival {
    /// A message.
    Message(Box<FromAgent>),
    /// Something that is no message: why not.
    Unreadable(String),
    /// A line for people.
    Said(String),
    /// Nothing will come any more, nor can anything be sent: why.
    Gone(String),
}

/// Takes what comes from one agent.
#[derive(Clone, Debug)]
pub struct Incoming {
    agent: usize,
    to: Sender<(usize, Arrival)>,
}

impl Incoming {
    /// What comes from the agent with this number goes to `to`.
    pub fn new(agent: usize, to: Sender<(usize, Arrival)>) -> Incoming {
        Incoming { agent, to }
    }

    /// Takes this. Returns whether anybody still wants it.
    pub fn take(&self, arrival: Arrival) -> bool {
        self.to.send((self.agent, arrival)).is_ok()
    }
}
