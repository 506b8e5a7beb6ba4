//! Many agents on one pipe: each line has an agent's number and a message.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use throng_fleet::message::{self, MOST_FROM_AGENT, MOST_TO_AGENT, ToAgent};
use throng_fleet::{Arrival, Incoming, Link, Transport};

/// The coordinator's end of the pipe.
pub struct Carried {
    to: Sender<(usize, ToAgent)>,
    agents: Arc<Vec<OnceLock<Incoming>>>,
    received: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Carried {
    /// For so many agents, which write into `from` and read from `into`.
    pub fn over(
        into: impl Write + Send + 'static,
        from: impl Read + Send + 'static,
        agents: usize,
    ) -> io::Result<Carried> {
        let (to, orders) = channel::<(usize, ToAgent)>();
        let agents: Arc<Vec<OnceLock<Incoming>>> =
            Arc::new((0..agents).map(|_| OnceLock::new()).collect());
        let (received, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&sent);
        thread::Builder::new().name("send".into()).spawn(move || {
            let mut into = BufWriter::new(into);
            while let Ok(first) = orders.recv() {
                for (agent, message) in std::iter::once(first).chain(orders.try_iter()) {
                    let Ok(bytes) = message::encode(&message, MOST_TO_AGENT) else {
                        continue;
                    };
                    counted.fetch_add(bytes.len() as u64 + 1, Ordering::Relaxed);
                    if write(&mut into, agent, &bytes).is_err() {
                        return;
                    }
                }
                let _ = into.flush();
            }
        })?;
        let (known, counted) = (Arc::clone(&agents), Arc::clone(&received));
        thread::Builder::new()
            .name("receive".into())
            .spawn(move || {
                let all = || known.iter().filter_map(OnceLock::get);
                let ended = read(from, |agent, bytes| {
                    counted.fetch_add(bytes.len() as u64 + 1, Ordering::Relaxed);
                    let arrival = match message::decode(bytes, MOST_FROM_AGENT) {
                        Ok(message) => Arrival::Message(Box::new(message)),
                        Err(e) => Arrival::Unreadable(e.to_string()),
                    };
                    if let Some(to) = known.get(agent).and_then(OnceLock::get) {
                        // Nobody wants it once the run is over; agents write on until they know.
                        to.take(arrival);
                    }
                    true
                });
                let why = ended.map_or_else(|e| e.to_string(), |()| "it ended".into());
                all().for_each(|agent| {
                    agent.take(Arrival::Gone(why.clone()));
                });
            })?;
        Ok(Carried {
            to,
            agents,
            received,
            sent,
        })
    }

    /// A way to each agent.
    pub fn transports(&self) -> Vec<Box<dyn Transport>> {
        let way = |agent: usize| {
            Box::new(Way {
                agent,
                name: format!("agent-{agent:04}"),
                to: self.to.clone(),
                agents: Arc::clone(&self.agents),
            }) as Box<dyn Transport>
        };
        (0..self.agents.len()).map(way).collect()
    }

    /// Bytes of messages that were received and sent.
    pub fn bytes(&self) -> (u64, u64) {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (of(&self.received), of(&self.sent))
    }
}

struct Way {
    agent: usize,
    name: String,
    to: Sender<(usize, ToAgent)>,
    agents: Arc<Vec<OnceLock<Incoming>>>,
}

impl Transport for Way {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(self: Box<Self>, incoming: Incoming) -> io::Result<Box<dyn Link>> {
        let _ = self.agents[self.agent].set(incoming);
        Ok(self)
    }
}

impl Link for Way {
    fn send(&mut self, message: &ToAgent) {
        let _ = self.to.send((self.agent, message.clone()));
    }

    fn close(self: Box<Self>) {}
}

/// Writes a message of or to an agent.
pub fn write(to: &mut impl Write, agent: usize, message: &[u8]) -> io::Result<()> {
    write!(to, "{agent} ")?;
    to.write_all(message)?;
    to.write_all(b"\n")
}

/// Reads such messages until there are no more, or `take` wants none.
pub fn read(from: impl Read, mut take: impl FnMut(usize, &[u8]) -> bool) -> io::Result<()> {
    let (mut from, mut line) = (BufReader::with_capacity(1 << 18, from), Vec::new());
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let blank = text
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(text.len());
        let (number, message) = text.split_at(blank);
        let number = std::str::from_utf8(number)
            .ok()
            .and_then(|n| n.parse().ok());
        if !take(number.unwrap_or(usize::MAX), message.trim_ascii_start()) {
            return Ok(());
        }
    }
}
