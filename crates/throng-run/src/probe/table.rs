//! The table of flows of a path: flows are opened until no more can be, and then all are heard.

use super::near::{Missing, Near, Said};
use super::resetting;
use crate::{Failure, Stop};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use throng_core::human::things;
use throng_core::probe::table::{Became, Evidence, Refusal, Seen, TableResult, is_full};
use throng_core::probe::{Answer, End, HostFacts, Name, Request};
use throng_core::units::Rate;

/// The far end speaks on so many flows per second at the end.
const HEARD_PER_SECOND: u32 = 2000;
/// How often the probe's own flow is used, so that it is never the one that was idle longest.
const USE_OWN: Duration = Duration::from_millis(250);
/// Flows that are opened again from the same port, to see whether they reach the same server.
const AGAIN: usize = 40;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The far end, or what leads to it.
    pub target: SocketAddr,
    /// A random number for this run.
    pub run: u64,
    /// The most flows to open.
    pub most: u32,
    /// How many to open per second.
    pub rate: Rate,
    /// How long an answer may take; after that it counts as silence.
    pub within: Duration,
}

/// A flow that is open or wanted to be.
struct Flow {
    /// Its place in the order in which flows were opened.
    nth: usize,
    name: Option<Name>,
    began: Instant,
    greeted: bool,
    server: u64,
    local: Option<SocketAddr>,
}

/// Flows under way.
struct Filling<'a, 'b> {
    near: &'a mut Near<'b>,
    asked: Table,
    flows: HashMap<u64, Flow>,
    /// Those that the far end has not greeted yet, in the order in which they were opened.
    waiting: BTreeMap<usize, u64>,
    /// What became of each; `None` while that is not known.
    became: Vec<Option<Became>>,
    seen: Vec<Seen>,
    servers: BTreeMap<usize, u64>,
    own_limit: Option<String>,
    /// A flow to each server, in use all the time, by which it is asked to speak on the others.
    controls: BTreeMap<u64, u64>,
}

/// Finds out how many flows the path to a far end holds, and what gives way when it is full. `tell` is given a line of progress
/// now and then. `None` if it was stopped before anything was known.
///
/// # Errors
/// There is no far end.
pub fn table(
    asked: &Table,
    stop: &Stop,
    tell: &mut dyn FnMut(&str),
) -> Result<Option<TableResult>, Failure> {
    let _ = throng_host::limits::raise_soft_to_hard();
    let mut near = Near::new(asked.run, stop)?;
    let began = Instant::now();
    let control = match near.greeted(asked.target, asked.within)? {
        Ok(greeted) => greeted,
        Err(Missing::Stopped) => return Ok(None),
        Err(missing) => return Err(missing.of(asked.target, asked.within)),
    };
    let before = host(&mut near, control.flow, asked.within)?;
    let own = Seen {
        port: near.local(control.flow).map_or(0, |local| local.port()),
        as_seen: control.greeting.seen,
    };
    let mut filling = Filling {
        near: &mut near,
        asked: *asked,
        flows: HashMap::new(),
        waiting: BTreeMap::new(),
        became: Vec::new(),
        seen: vec![own],
        servers: BTreeMap::new(),
        own_limit: None,
        controls: BTreeMap::from([(control.greeting.server, control.flow)]),
    };
    filling.fill(tell)?;
    filling.hear(tell)?;
    let again = filling.again()?;
    let became: Vec<Became> = filling.became.into_iter().flatten().collect();
    let (seen, servers) = (filling.seen, filling.servers);
    let own_limit = filling.own_limit;
    if became.is_empty() {
        return Ok(None);
    }
    let after = host(&mut near, control.flow, asked.within)?;
    let (drops, files) = match (before, after) {
        (Some(before), Some(after)) => (
            after.listen_drops.saturating_sub(before.listen_drops),
            after.files,
        ),
        _ => (0, 0),
    };
    Ok(Some(TableResult::of(Evidence {
        asked: asked.most.into(),
        became,
        seen,
        servers: servers.into_values().collect(),
        again,
        others: 1,
        own_limit,
        far_drops: drops,
        far_files: files,
        took_ms: began.elapsed().as_millis() as u64,
        interrupted: near.is_stopped(),
    })))
}

pub(super) fn host(
    near: &mut Near,
    flow: u64,
    within: Duration,
) -> Result<Option<HostFacts>, Failure> {
    Ok(match near.call(flow, &Request::Host, within)? {
        Ok(Answer::Host(facts)) => Some(facts),
        _ => None,
    })
}

impl Filling<'_, '_> {
    /// Opens flows until no more can be.
    fn fill(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        let began = Instant::now();
        let (mut told, mut used) = (began, began);
        while self.became.len() < self.asked.most as usize
            && !self.near.is_stopped()
            && self.own_limit.is_none()
            && !self.is_full()
        {
            let nth = self.became.len() as f64;
            let due = began + Duration::from_secs_f64(nth / self.asked.rate.get());
            if due > Instant::now() {
                self.step(due)?;
            } else {
                self.open();
            }
            if used.elapsed() >= USE_OWN {
                used = Instant::now();
                for control in self.controls.values() {
                    self.near.ask(*control, &Request::Echo(0));
                }
                self.step(Instant::now())?;
            }
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                tell(&format!("{} up", things(self.seen.len() as u64, "flow")));
            }
        }
        // What is still under way comes up, or does not.
        while !self.waiting.is_empty() && !self.near.is_stopped() {
            self.step(Instant::now() + Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let known = self.became.iter().flatten();
        is_full(known.map(|one| matches!(one, Became::Refused(_))))
    }

    fn open(&mut self) {
        let opened = self.near.open(self.asked.target, None, None, &resetting());
        match opened {
            Ok(flow) => {
                let nth = self.became.len();
                self.became.push(None);
                self.waiting.insert(nth, flow);
                let flow_of = Flow {
                    nth,
                    name: None,
                    began: Instant::now(),
                    greeted: false,
                    server: 0,
                    local: self.near.local(flow),
                };
                self.flows.insert(flow, flow_of);
            }
            Err(e) => self.own_limit = Some(e.to_string()),
        }
    }

    /// Waits until something happens, at most until `until`, and does what follows.
    fn step(&mut self, until: Instant) -> Result<(), Failure> {
        for event in self.near.wait(until)? {
            self.on(event.flow, event.said);
        }
        while let Some((nth, flow)) = self.waiting.first_key_value() {
            let (nth, flow) = (*nth, *flow);
            let Some(began) = self.flows.get(&flow).map(|of| of.began) else {
                self.waiting.remove(&nth);
                continue;
            };
            if began.elapsed() < self.asked.within {
                break;
            }
            self.refused(flow, Refusal::Silence);
        }
        Ok(())
    }

    fn on(&mut self, flow: u64, said: Said) {
        let Some(of) = self.flows.get_mut(&flow) else {
            return;
        };
        match said {
            Said::Up => of.name = Some(self.near.greet(flow)),
            Said::Answer(Answer::Hello(greeting)) => {
                (of.greeted, of.server) = (true, greeting.server);
                self.seen.push(Seen {
                    port: of.local.map_or(0, |local| local.port()),
                    as_seen: greeting.seen,
                });
                self.servers.insert(of.nth, greeting.server);
                self.controls.entry(greeting.server).or_insert(flow);
                self.waiting.remove(&of.nth);
                self.became[of.nth] = Some(Became::Alive);
            }
            Said::Answer(_) => {}
            Said::Failed(e) => match e.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                    self.refused(flow, Refusal::Reset);
                }
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    self.refused(flow, Refusal::Unreachable);
                }
                io::ErrorKind::TimedOut => self.refused(flow, Refusal::Silence),
                _ => {
                    self.own_limit.get_or_insert(e.to_string());
                    self.became[of.nth] = None;
                    self.waiting.remove(&of.nth);
                    self.flows.remove(&flow);
                }
            },
            Said::Ended(_) if of.greeted => {
                self.became[of.nth] = Some(Became::Lost);
                self.flows.remove(&flow);
            }
            Said::Ended(End::Reset) => self.refused(flow, Refusal::Reset),
            Said::Ended(_) | Said::Garbage => self.refused(flow, Refusal::Closed),
        }
    }

    fn refused(&mut self, flow: u64, how: Refusal) {
        if let Some(of) = self.flows.remove(&flow) {
            self.waiting.remove(&of.nth);
            self.became[of.nth] = Some(Became::Refused(how));
            self.near.close(flow);
        }
    }

    /// Has the far end speak on every flow: unlike this end's words, they make no path take a forgotten flow up again. Those on
    /// which nothing arrives are lost.
    fn hear(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        let mut left: BTreeMap<usize, (u64, Name, u64)> = BTreeMap::new();
        for (flow, of) in &self.flows {
            if let (true, Some(name)) = (of.greeted, of.name) {
                left.insert(of.nth, (*flow, name, of.server));
            }
        }
        tell(&format!(
            "listening on {}",
            things(left.len() as u64, "flow")
        ));
        let asked: Vec<(Name, u64)> = left.values().map(|(_, name, at)| (*name, *at)).collect();
        let mut nth_of: HashMap<u64, usize> = HashMap::new();
        nth_of.extend(left.iter().map(|(nth, (flow, ..))| (*flow, *nth)));
        let began = Instant::now();
        let mut names = (0u32..).zip(asked);
        let mut next = names.next();
        let mut deadline = began + self.asked.within;
        while !left.is_empty() && !self.near.is_stopped() {
            while let Some((nth, (name, server))) = next
                && began + Duration::from_secs(1) * nth / HEARD_PER_SECOND <= Instant::now()
            {
                if let Some(control) = self.controls.get(&server) {
                    let say = Request::SayOn { name, number: 1 };
                    self.near.ask(*control, &say);
                }
                deadline = Instant::now() + self.asked.within;
                next = names.next();
            }
            if next.is_none() && Instant::now() >= deadline {
                break;
            }
            for event in self.near.wait(Instant::now() + Duration::from_millis(20))? {
                let heard = matches!(event.said, Said::Answer(Answer::Said(_)));
                if heard && let Some(nth) = nth_of.get(&event.flow) {
                    left.remove(nth);
                }
                self.on(event.flow, event.said);
            }
        }
        if !self.near.is_stopped() {
            for nth in left.keys() {
                self.became[*nth] = Some(Became::Lost);
            }
        }
        Ok(())
    }

    /// Resets some flows, and opens them again from the same ports, if more than one server answered. Returns the servers that
    /// each reached, then and now. What does not come up again is left out.
    fn again(&mut self) -> Result<Vec<(u64, u64)>, Failure> {
        let first = self.servers.values().next();
        let mut pairs = Vec::new();
        if self.servers.values().all(|server| Some(server) == first) {
            return Ok(pairs);
        }
        let mut open: Vec<(usize, u64, u64, SocketAddr)> = self
            .flows
            .iter()
            .filter(|(_, of)| of.greeted)
            .filter_map(|(flow, of)| Some((of.nth, *flow, of.server, of.local?)))
            .collect();
        open.sort_unstable();
        for (_, flow, server, local) in open.into_iter().take(AGAIN) {
            if self.near.is_stopped() {
                break;
            }
            self.near.close(flow);
            let target = self.asked.target;
            let Ok(again) = self.near.open(target, Some(local), None, &resetting()) else {
                continue;
            };
            let until = Instant::now() + self.asked.within;
            if self.near.next_on(again, until)?.is_ok() {
                self.near.greet(again);
                if let Ok(Answer::Hello(greeting)) = self.near.answer(again, self.asked.within)? {
                    pairs.push((server, greeting.server));
                }
            }
            self.near.close(again);
        }
        Ok(pairs)
    }
}
