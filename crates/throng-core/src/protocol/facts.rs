//! What a protocol states about itself. Each implements [`Facts`] for its options, [`Serves`] for each of its servers,
//! and [`Summarize`] for its counts; [`Protocol`](super::Protocol), [`ServeMode`](super::ServeMode) and
//! [`Sections`](super::Sections) ask them.

use super::options::{OptionError, OptionFile, ProtocolOption};
use super::websocket::Subprotocol;
pub use crate::behaviour::Choose;
use crate::behaviour::{Behaviour, Task, Wire};
use crate::pacing::Think;
use crate::payload::{Framing, Message, Script};
use crate::section::Row;
use crate::stats::Tally;
use std::error::Error;
use std::time::Duration;

/// A scheme of targets: what is before `://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The scheme.
    pub name: &'static str,
    /// Whether connections speak TLS.
    pub secure: bool,
    /// The port if none is given.
    pub port: u16,
}

/// A target as requests name it.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// Host and port as written, brackets included.
    pub authority: &'a str,
    /// From the first slash on.
    pub path: &'a str,
}

/// How the answer to a message is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As many bytes as were sent, if answers are asked for.
    Bytes,
    /// A whole message, if answers are asked for.
    Messages,
    /// By an id; answers are always matched.
    Ids,
    /// A whole message; answers are always matched, and [`Waits::depth`] messages wait on a connection at a time.
    Whole,
    /// By an id, and every peer answers; answers are always matched.
    Acknowledgements,
}

impl Answers {
    /// Whether answers are matched without being asked for.
    pub fn always(self) -> bool {
        !matches!(self, Answers::Bytes | Answers::Messages)
    }

    /// Whether the protocol has every peer answer, also one that discards messages. Without a rate, the next message waits
    /// for the answer.
    pub fn from_every_peer(self) -> bool {
        matches!(self, Answers::Whole | Answers::Acknowledgements)
    }
}

/// What is sent on connections that are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The user's messages.
    Given,
    /// Messages of the protocol's own: the user's have no place.
    Own,
    /// Messages of the protocol's own, around the user's if there are any.
    Around,
    /// Nothing, unless this option is given, too.
    NothingWithout(&'static str),
}

/// How the messages of a connection wait for their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The most that wait at a time.
    pub depth: u32,
    /// How long each waits before its connection is closed, and opened again; `None` for ever.
    pub timeout: Option<Duration>,
    /// The time between an answer and the next message; `None` for none.
    pub think: Option<Think>,
}

/// Any number of them, for ever.
impl Default for Waits {
    fn default() -> Waits {
        Waits {
            depth: u32::MAX,
            timeout: None,
            think: None,
        }
    }
}

impl Waits {
    /// Whether several may wait at a time, and not any number of them.
    pub fn is_pipeline(&self) -> bool {
        (2..u32::MAX).contains(&self.depth)
    }
}

/// What a protocol states about itself; implemented for its options.
pub trait Facts: Default + 'static {
    /// Its name for people.
    const NAME: &'static str;
    /// Schemes of targets that imply it.
    const SCHEMES: &'static [Scheme] = &[];
    /// The options of `throng load` for it.
    const OPTIONS: &'static [ProtocolOption<Self>] = &[];
    /// Framing of messages: on connections that are opened, and on those that are accepted.
    const FRAMING: [Framing; 2] = [Framing::Raw, Framing::Raw];
    /// How answers are recognized, unless [`Facts::answers`] says otherwise.
    const ANSWERS: Answers = Answers::Bytes;
    /// Whether a client begins with a handshake of its own, before it sends messages.
    const BEGINS_WITH_HANDSHAKE: bool = false;
    /// Whether it sends a farewell of its own before a connection is closed.
    const SAYS_FAREWELL: bool = false;
    /// Whether its options say which answers are failures ([`Facts::unwanted`]): one with an error may be wanted.
    const JUDGES_ANSWERS: bool = false;

    /// Carries messages on connections that are opened.
    type Client: Wire<Conn: Send> + Send + 'static;
    /// Carries messages on connections that are accepted.
    type Server: Wire<Conn: Send> + Send + 'static;
    /// What both need, prepared once for all workers.
    type Prepared;
    /// The server that discards messages.
    type Sink: Serves;
    /// The server that sends messages back.
    type Echo: Serves;

    /// What servers sent as part of handshakes.
    fn handshakes_sent(_: &Tally) -> HandshakesSent {
        HandshakesSent::default()
    }

    /// Answers that report an error, by the error's name.
    fn answers_with_error(_: &Tally) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// Whole answers that are not what was asked for, and so are failures: a search for a rate counts them as missing.
    fn unwanted(_: &Tally) -> u64 {
        0
    }

    /// Connections that were closed as the protocol allows, because one side had said so in time.
    fn closed_by_agreement(_: &Tally) -> u64 {
        0
    }

    /// The messages of a load that were sent: those begun where the protocol counts them, else those that the kernel took
    /// whole.
    fn requested(tally: &Tally) -> u64 {
        tally.messages_sent
    }

    /// Sets an option whose value is a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    fn read_file(&mut self, _: &OptionFile) -> Result<(), OptionError> {
        Ok(())
    }

    /// What is sent.
    fn says(&self) -> Says {
        Says::Given
    }

    /// Whether messages are to arrive on connections of the same run, and are missed if they do not.
    fn misses(&self) -> bool {
        false
    }

    /// Why this many connections can't stand beside each other with these options, and what to do.
    fn clashes(&self, _connections: u32) -> Option<&'static str> {
        None
    }

    /// How messages wait for their answers.
    fn waits(&self) -> Waits {
        Waits::default()
    }

    /// How answers are recognized with these options.
    fn answers(&self) -> Answers {
        Self::ANSWERS
    }

    /// Whether this side is asked to close connections after a number of messages, and to open them again.
    fn closes(&self) -> bool {
        false
    }

    /// The messages that connections to `target` send repeatedly, unless [`Facts::says`] that they are the user's: made of
    /// those, `given`.
    ///
    /// # Errors
    /// What was asked for cannot be sent.
    fn messages(
        &self,
        given: &[Message],
        _target: &Authority,
    ) -> Result<Vec<Message>, OptionError> {
        Ok(given.to_vec())
    }

    /// How often a ping is sent on each connection that is opened.
    fn pings(&self) -> Option<Duration> {
        None
    }

    /// Subprotocols that connections that are opened ask for.
    fn subprotocols(&self) -> &[Subprotocol] {
        &[]
    }

    /// Prepares what wires need. Without targets the server is in the same process.
    ///
    /// # Errors
    /// What was asked for cannot be sent.
    fn prepare(
        &self,
        targets: &[Authority],
        seed: u64,
    ) -> Result<Self::Prepared, Box<dyn Error + Send + Sync>>;

    /// What connections that are opened send, and whether in TLS, for wires that send some of it again.
    ///
    /// # Errors
    /// What was asked for does not agree with that.
    fn told(&self, _: &mut Self::Prepared, _: &Script, _secure: bool) -> Result<(), OptionError> {
        Ok(())
    }

    /// The wire of a worker's opened connections.
    fn client(prepared: &Self::Prepared, choose: Choose) -> Self::Client;

    /// Passes the wire of a worker's opened connections to `then`: that of [`Facts::client`], unless what was asked for needs
    /// another.
    fn with_client<U: UseWire>(prepared: &Self::Prepared, choose: Choose, then: U) -> U::Output {
        then.with(Self::client(prepared, choose))
    }

    /// The wire of a worker's accepted connections.
    fn server(prepared: &Self::Prepared) -> Self::Server;
}

/// What servers sent as part of handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakesSent {
    /// Sends that completed.
    pub writes: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Summarizes a protocol's own counts: its section of the summary, which JSON has under the protocol's name.
pub trait Summarize {
    /// The summary of the counts of a side.
    fn of(tally: &Tally) -> Self;

    /// The section as reports draw it; `connections` is how many were established.
    fn rows(&self, connections: u64) -> Vec<Row>;

    /// Takes over from the counts after closing what is known only then.
    fn settle(&mut self, _closed: &Tally) {}

    /// What peers fell short of, as far as it is known only once connections are closed. It counts as violations do.
    fn shortfalls(&self) -> Vec<Violated> {
        Vec::new()
    }

    /// How peers violated the protocol. A load on which one did has fallen short.
    fn violations(&self) -> Vec<Violated> {
        Vec::new()
    }
}

/// A way in which peers violated a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violated {
    /// Its stable name.
    pub violation: &'static str,
    /// What the peer did, in a clause for people.
    pub words: String,
    /// On how many connections.
    pub connections: u64,
}

/// A server: what is done on connections that `throng serve` accepts.
pub trait Serves {
    /// Its name on the command line.
    const NAME: &'static str;
    /// One line of help.
    const ABOUT: &'static str;
    /// Whether it sends the scenario's messages.
    const SENDS: bool = false;

    /// What connections do.
    type Behaviour: Behaviour<Conn: Send> + Send + 'static;

    /// One worker's behaviour. `task` is what to send, for a server that sends.
    fn behaviour(task: Task) -> Self::Behaviour;
}

/// Receives a wire of any type.
pub trait UseWire {
    /// The result.
    type Output;

    /// Receives `wire`.
    fn with<W: Wire<Conn: Send> + Send + 'static>(self, wire: W) -> Self::Output;

    /// Receives a wire on which each whole message answers the oldest message without an answer. What matches them may keep
    /// less of each connection.
    fn with_answers_in_turn<W: Wire<Conn: Send> + Send + 'static>(self, wire: W) -> Self::Output
    where
        Self: Sized,
    {
        self.with(wire)
    }
}

/// Receives a behaviour of any type.
pub trait UseBehaviour {
    /// The result.
    type Output;

    /// Receives `behaviour`.
    fn with<B: Behaviour<Conn: Send> + Send + 'static>(self, behaviour: B) -> Self::Output;
}
