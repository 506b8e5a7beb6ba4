//! How messages get from a coordinator to an agent and back. A transport is a file or a folder; the coordinator knows only
//! [`Transport`], and an agent only [`End`].

#[cfg(feature = "nats")]
pub mod nats;

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
    /// All that is kept of what an agent said to an earlier coordinator has come.
    CaughtUp,
    /// A line for people.
    Said(String),
    /// The way is interrupted for now: that nothing comes says nothing about the agent.
    Interrupted,
    /// It is open again.
    Restored,
    /// Nothing will come any more, nor can anything be sent: why.
    Gone(String),
    /// The same, and it never was an agent, or was started by a command line that it refuses: why.
    Unusable(String),
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

/// An agent's end of a way to its coordinator, which is not open yet.
pub trait End {
    /// Opens it: what arrives goes to `orders`, from a thread of its own.
    ///
    /// # Errors
    /// It can't be opened.
    fn open(self: Box<Self>, orders: Orders) -> io::Result<Box<dyn Reports>>;
}

/// Where an agent's reports go.
pub trait Reports: Send {
    /// Sends a report.
    ///
    /// # Errors
    /// It is too long, or nobody will read it.
    fn send(&mut self, message: &FromAgent) -> io::Result<()>;
}

/// What comes from a coordinator: an order, or why something is none; `None` when nothing will come any more.
pub(crate) type Ordered = Option<Result<ToAgent, String>>;

/// Takes what comes from a coordinator.
pub struct Orders(Box<dyn Fn(Ordered) -> bool + Send>);

impl Orders {
    /// What comes goes to `to`, which says whether anybody still wants it.
    pub(crate) fn new(to: impl Fn(Ordered) -> bool + Send + 'static) -> Orders {
        Orders(Box::new(to))
    }

    /// Takes an order, or why something is none. Returns whether anybody still wants it.
    pub fn take(&self, order: Result<ToAgent, String>) -> bool {
        (self.0)(Some(order))
    }

    /// Nothing will come any more.
    pub fn cut_off(&self) {
        (self.0)(None);
    }
}
