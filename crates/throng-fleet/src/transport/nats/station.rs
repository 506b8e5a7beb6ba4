//! An agent at a NATS server, which waits for coordinators. It serves one run after the other.

use super::connection::{Change, Received};
use super::names::{as_name, unique};
use super::{Connection, NatsError, Present, is_name};
use crate::message::{
    self, FromAgent, MOST_FROM_AGENT, MOST_TO_AGENT, MessageError, Order, Report, ToAgent,
};
use crate::transport::{End, Orders, Reports};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use throng_run::Stop;

/// How long a stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(50);

/// An agent at a NATS server.
pub struct Station {
    connection: Connection,
    instance: String,
    name: String,
    desk: Arc<Mutex<Desk>>,
    log: Log,
    /// First orders of coordinators.
    greetings: Receiver<Box<ToAgent>>,
}

/// Takes lines for people, from any thread.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// Where orders arrive.
struct Desk {
    connection: Connection,
    instance: String,
    token: Option<String>,
    /// The run that the agent belongs to, and who takes its orders.
    run: Option<(String, Option<Orders>)>,
    greetings: Sender<Box<ToAgent>>,
    log: Log,
}

fn at(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Station {
    /// The agent of this name, or of one that is made of `host`'s. Orders need this token, if there is one. What is refused goes to
    /// `log`, and to the server. `tool` is `throng` and its version.
    ///
    /// # Errors
    /// Something is wrong with the connection.
    pub fn open(
        connection: Connection,
        name: Option<String>,
        host: &str,
        token: Option<String>,
        tool: &str,
        log: Log,
    ) -> Result<Station, NatsError> {
        let instance = unique();
        let name = name.unwrap_or_else(|| match as_name(host) {
            host if host.is_empty() => format!("agent-{}", &instance[..4]),
            host => format!("{host}-{}", &instance[..4]),
        });
        let (greets, greetings) = channel();
        let told = Arc::clone(&log);
        connection.watch(move |change| {
            match change {
                Change::Interrupted => told("the NATS server is out of reach"),
                Change::Restored => told("the NATS server is back"),
                Change::GivenUp => {}
            };
        });
        let (server, own, of) = (connection.clone(), name.clone(), instance.clone());
        let log: Log = Arc::new(move |line| {
            log(line);
            server.log(&own, &of, line);
        });
        let desk = Arc::new(Mutex::new(Desk {
            connection: connection.clone(),
            instance: instance.clone(),
            token,
            run: None,
            greetings: greets,
            log: Arc::clone(&log),
        }));
        let orders = Arc::clone(&desk);
        let subject = connection.prefix().orders(&instance);
        connection.subscribe(subject, MOST_TO_AGENT, move |received| {
            at(&orders).take(received);
            true
        })?;
        let (asked, back) = (Arc::clone(&desk), connection.clone());
        let present = Present {
            name: name.clone(),
            instance: instance.clone(),
            tool: tool.to_owned(),
            version: message::VERSION,
            run: None,
        };
        connection.subscribe(connection.prefix().find(), MOST_TO_AGENT, move |received| {
            let run = at(&asked).run.as_ref().map(|(run, _)| run.clone());
            let present = Present {
                run,
                ..present.clone()
            };
            if let (Some(reply), Ok(bytes)) =
                (received.reply, message::encode(&present, MOST_FROM_AGENT))
            {
                back.send(&reply, bytes, None);
            }
            true
        })?;
        Ok(Station {
            connection,
            instance,
            name,
            desk,
            log,
            greetings,
        })
    }

    /// Takes lines of its log, which the server is told, too.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The agent's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for a coordinator; `None` once `stop` is requested.
    pub fn next(&self, stop: &Stop) -> Option<Visit> {
        while !stop.is_requested() {
            if let Ok(first) = self.greetings.recv_timeout(NOTICE) {
                return Some(Visit {
                    connection: self.connection.clone(),
                    instance: self.instance.clone(),
                    first,
                    desk: Arc::clone(&self.desk),
                });
            }
        }
        None
    }

    /// Waits until all that it said has been sent.
    pub fn close(self) {
        self.connection.flush();
    }
}

impl Desk {
    /// Takes an order, or refuses it.
    fn take(&mut self, received: Received) {
        let is_known = self.token.is_none() || received.token == self.token;
        let order: Result<ToAgent, MessageError> = received
            .bytes
            .and_then(|bytes| message::decode(&bytes, MOST_TO_AGENT));
        let order = match order {
            Ok(order) if is_name(&order.run) => order,
            Ok(_) => return self.log("refused: an order with a name of a run that is none"),
            Err(e) => {
                self.log(&format!("refused: {e}"));
                // Its coordinator is told, unless it came from somebody else.
                if let Some((_, Some(orders))) = self.run.as_ref().filter(|_| is_known) {
                    orders.take(Err(e.to_string()));
                }
                return;
            }
        };
        if !is_known {
            const WHY: &str =
                "the token is missing or wrong: --token-file names the file that has it";
            match &self.run {
                // It says nothing new every half second.
                _ if matches!(order.order, Order::Beat) => {}
                // The coordinator of this run has the token: somebody else pretends to be it, which is none of its business.
                Some((run, _)) if *run == order.run => self.log_refusal(run, WHY),
                _ => self.refuse(&order.run, WHY),
            }
            return;
        }
        match &self.run {
            Some((run, Some(orders))) if *run == order.run => {
                orders.take(Ok(order));
            }
            // It comes again when the agent is ready.
            Some((run, None)) if *run == order.run => {}
            Some(_) if matches!(order.order, Order::Beat) => {}
            Some((run, _)) => {
                let why = format!("it belongs to run {run} already");
                self.refuse(&order.run.clone(), &why);
            }
            None if matches!(order.order, Order::Hello { .. }) => {
                self.run = Some((order.run.clone(), None));
                let _ = self.greetings.send(Box::new(order));
            }
            // The last words to a run that is over.
            None => {}
        }
    }

    fn log_refusal(&self, run: &str, why: &str) {
        self.log(&format!("refused: an order of run {run}: {why}"));
    }

    fn refuse(&self, run: &str, why: &str) {
        self.log_refusal(run, why);
        let message = FromAgent {
            run: run.to_owned(),
            report: Report::Refused { line: why.into() },
        };
        let _ = report(&self.connection, &self.instance, &message);
    }

    fn log(&self, line: &str) {
        (self.log)(line);
    }
}

/// A coordinator that has greeted an agent. The agent is free again when this goes.
pub struct Visit {
    connection: Connection,
    instance: String,
    first: Box<ToAgent>,
    desk: Arc<Mutex<Desk>>,
}

impl End for Visit {
    fn open(self: Box<Self>, orders: Orders) -> io::Result<Box<dyn Reports>> {
        let mut desk = at(&self.desk);
        orders.take(Ok(ToAgent::clone(&self.first)));
        if let Some((_, takes)) = &mut desk.run {
            *takes = Some(orders);
        }
        drop(desk);
        Ok(self)
    }
}

impl Reports for Visit {
    fn send(&mut self, message: &FromAgent) -> io::Result<()> {
        report(&self.connection, &self.instance, message).map_err(io::Error::other)
    }
}

/// Sends a report of this agent.
fn report(
    connection: &Connection,
    instance: &str,
    message: &FromAgent,
) -> Result<(), MessageError> {
    let bytes = message::encode(message, MOST_FROM_AGENT)?;
    let subject = match message.report.is_lasting() {
        true => connection.prefix().reports(&message.run, instance),
        false => connection.prefix().passing(&message.run, instance),
    };
    connection.send(&subject, bytes, None);
    Ok(())
}

impl Drop for Visit {
    fn drop(&mut self) {
        at(&self.desk).run = None;
    }
}
