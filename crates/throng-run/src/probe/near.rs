//! The near end: connections to the far one, with requests and answers instead of bytes.

use super::flows::{Flows, What};
use super::{ended, no_far_end, refused};
use crate::{Failure, Stop};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use throng_core::probe::{Answer, End, Greeting, Lines, Name, Request, TcpInfo};
use throng_engine::SocketOptions;

/// How often a request to stop is looked for.
const LOOK_FOR_STOP: Duration = Duration::from_millis(100);

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Said {
    /// The handshake is complete.
    Up,
    /// The handshake failed.
    Failed(io::Error),
    /// The far end answered.
    Answer(Answer),
    /// What arrived is no answer of a far end. The connection is closed.
    Garbage,
    /// The connection ended without our doing.
    Ended(End),
}

/// A connection on which something happened, and when that was noticed.
#[derive(Debug)]
pub(super) struct Event {
    pub flow: u64,
    pub at: Instant,
    pub said: Said,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Missing {
    /// Nothing arrived in time.
    Silence,
    /// The connection ended.
    Ended(End),
    /// The handshake failed.
    Failed(io::Error),
    /// Something else answered.
    Garbage,
    /// The probe was asked to end.
    Stopped,
}

impl Missing {
    /// The failure of a probe that needs the answer.
    pub fn of(self, target: SocketAddr, within: Duration) -> Failure {
        let why = match self {
            Missing::Silence => format!("no answer within {} s", within.as_secs()),
            Missing::Ended(end) => ended(end).to_owned(),
            Missing::Failed(e) => refused(&e),
            Missing::Garbage => {
                "what answers there does not speak as the far end of a probe".into()
            }
            Missing::Stopped => "interrupted".into(),
        };
        no_far_end(target, &why)
    }
}

/// The near end of a probe.
pub(super) struct Near<'a> {
    flows: Flows,
    lines: HashMap<u64, Lines>,
    kept: VecDeque<Event>,
    stop: &'a Stop,
    /// This run's number.
    pub run: u64,
    next: u32,
}

impl<'a> Near<'a> {
    pub fn new(run: u64, stop: &'a Stop) -> Result<Near<'a>, Failure> {
        let flows = Flows::new().map_err(|e| Failure::fault(format!("epoll: {e}")))?;
        Ok(Near {
            flows,
            lines: HashMap::new(),
            kept: VecDeque::new(),
            stop,
            run,
            next: 0,
        })
    }

    /// Whether the probe was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_requested()
    }

    /// Starts to connect.
    pub fn open(
        &mut self,
        target: SocketAddr,
        source: Option<SocketAddr>,
        segment: Option<u16>,
        options: &SocketOptions,
    ) -> io::Result<u64> {
        let stream = throng_engine::connect(target, source, segment, options)?;
        let flow = self.flows.add(stream, true)?;
        self.lines.insert(flow, Lines::default());
        Ok(flow)
    }

    /// Introduces a connection to the far end. Returns the name that it has there.
    pub fn greet(&mut self, flow: u64) -> Name {
        let name = Name {
            run: self.run,
            index: self.next,
        };
        self.next += 1;
        self.ask(flow, &Request::Hello(name));
        name
    }

    /// Sends a request.
    pub fn ask(&mut self, flow: u64, request: &Request) {
        self.flows.send(flow, format!("{request}\n").as_bytes());
    }

    pub fn flood(&mut self, flow: u64, most: usize) -> usize {
        self.flows.flood(flow, most)
    }

    pub fn close(&mut self, flow: u64) {
        self.flows.close(flow);
        self.lines.remove(&flow);
    }

    pub fn info(&self, flow: u64) -> Option<TcpInfo> {
        self.flows.info(flow)
    }

    pub fn local(&self, flow: u64) -> Option<SocketAddr> {
        self.flows.local(flow)
    }

    /// Waits until something happens, until `until`, or until the probe is to end.
    pub fn wait(&mut self, until: Instant) -> Result<Vec<Event>, Failure> {
        if !self.kept.is_empty() {
            return Ok(self.kept.drain(..).collect());
        }
        self.arrived(until)
    }

    fn arrived(&mut self, until: Instant) -> Result<Vec<Event>, Failure> {
        let patience = until
            .saturating_duration_since(Instant::now())
            .min(LOOK_FOR_STOP);
        let happened = self.flows.wait(patience);
        let happened = happened.map_err(|e| Failure::fault(format!("epoll: {e}")))?;
        let mut events = Vec::new();
        for happened in happened {
            let (flow, at) = (happened.flow, happened.at);
            let mut push = |said| events.push(Event { flow, at, said });
            match happened.what {
                What::Up => push(Said::Up),
                What::Failed(e) => push(Said::Failed(e)),
                What::Ended(end) => push(Said::Ended(end)),
                What::Waiting => {}
                What::Received(bytes) => {
                    let lines = self.lines.entry(flow).or_default().feed(&bytes);
                    let mut clean = lines.is_some();
                    for line in lines.unwrap_or_default() {
                        match line.parse() {
                            Ok(answer) => push(Said::Answer(answer)),
                            Err(_) => clean = false,
                        }
                    }
                    if !clean {
                        push(Said::Garbage);
                        self.flows.close(flow);
                    }
                }
            }
        }
        Ok(events)
    }

    /// Waits for what happens next on one connection. What happens on others is kept for [`Near::wait`].
    pub fn next_on(&mut self, flow: u64, until: Instant) -> Result<Result<Said, Missing>, Failure> {
        loop {
            if let Some(at) = self.kept.iter().position(|event| event.flow == flow)
                && let Some(event) = self.kept.remove(at)
            {
                return Ok(match event.said {
                    Said::Failed(e) => Err(Missing::Failed(e)),
                    Said::Garbage => Err(Missing::Garbage),
                    Said::Ended(end) => Err(Missing::Ended(end)),
                    said @ (Said::Up | Said::Answer(_)) => Ok(said),
                });
            }
            if self.is_stopped() {
                return Ok(Err(Missing::Stopped));
            }
            if Instant::now() >= until {
                return Ok(Err(Missing::Silence));
            }
            let events = self.arrived(until)?;
            self.kept.extend(events);
        }
    }

    /// Waits for the next answer on one connection.
    pub fn answer(
        &mut self,
        flow: u64,
        within: Duration,
    ) -> Result<Result<Answer, Missing>, Failure> {
        let until = Instant::now() + within;
        loop {
            match self.next_on(flow, until)? {
                Ok(Said::Answer(answer)) => return Ok(Ok(answer)),
                Ok(_) => {}
                Err(missing) => return Ok(Err(missing)),
            }
        }
    }

    /// Asks, and waits for the answer.
    pub fn call(
        &mut self,
        flow: u64,
        request: &Request,
        within: Duration,
    ) -> Result<Result<Answer, Missing>, Failure> {
        self.ask(flow, request);
        self.answer(flow, within)
    }

    /// A connection that the far end has greeted: its number, its name, and what the far end sees; with the times that the
    /// handshake and the first answer took.
    pub fn greeted(
        &mut self,
        target: SocketAddr,
        within: Duration,
    ) -> Result<Result<Greeted, Missing>, Failure> {
        let began = Instant::now();
        let flow = match self.open(target, None, None, &SocketOptions::default()) {
            Ok(flow) => flow,
            Err(e) => return Ok(Err(Missing::Failed(e))),
        };
        if let Err(missing) = self.next_on(flow, began + within)? {
            return Ok(Err(missing));
        }
        let up = Instant::now();
        let name = self.greet(flow);
        Ok(match self.answer(flow, within)? {
            Ok(Answer::Hello(greeting)) => Ok(Greeted {
                flow,
                name,
                greeting,
                connect: up - began,
                answer: up.elapsed(),
            }),
            Ok(_) => Err(Missing::Garbage),
            Err(missing) => Err(missing),
        })
    }
}

/// Connections that are opened until one leads to each of several servers.
const MOST_CONTROLS: usize = 16;

impl Near<'_> {
    /// A connection to each of `servers`, by which it can be asked about others: as far as a few attempts lead to them.
    pub fn controls(
        &mut self,
        target: SocketAddr,
        servers: &BTreeSet<u64>,
        within: Duration,
    ) -> Result<BTreeMap<u64, u64>, Failure> {
        let mut controls = BTreeMap::new();
        for _ in 0..MOST_CONTROLS {
            if servers.iter().all(|server| controls.contains_key(server)) {
                break;
            }
            let Ok(greeted) = self.greeted(target, within)? else {
                break;
            };
            controls
                .entry(greeted.greeting.server)
                .or_insert(greeted.flow);
        }
        Ok(controls)
    }
}

/// A connection that the far end has greeted.
pub(super) struct Greeted {
    pub flow: u64,
    pub name: Name,
    pub greeting: Greeting,
    /// How long connect(2) took.
    pub connect: Duration,
    /// From the request to its answer.
    pub answer: Duration,
}
