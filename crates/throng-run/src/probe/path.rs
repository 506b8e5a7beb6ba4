//! What a path does to TCP.

use super::near::{Greeted, Missing, Near};
use crate::{Failure, Stop};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use throng_core::probe::path::{Evidence, PAYLOAD, PathResult, SEGMENTS, Segment};
use throng_core::probe::{Answer, Fate, HostFacts, Name, Request, State};
use throng_engine::SocketOptions;
use throng_host::handshakes;

use super::near::Said;

/// Connections that are opened one after the other, for their times.
const TIMED: usize = 10;
/// Requests on the connection whose ends are compared, so that both have seen data.
const EXCHANGES: u64 = 5;
/// How long the far end reads nothing.
const STALL: Duration = Duration::from_secs(4);
/// Until the far end has surely read the request to do so.
const SETTLE: Duration = Duration::from_millis(200);
/// How long the number of acknowledged bytes has to stay the same.
const STEADY: Duration = Duration::from_millis(400);
/// When to stop waiting for that.
const STEADY_WITHIN: Duration = Duration::from_millis(2500);
/// The most bytes that are sent to an end that reads nothing: more than the buffers of a proxy and of two kernels.
const FLOOD: usize = 32 << 20;

/// Finds out what the path to `target`, a far end, does to TCP. `run` is a random number. An answer may take `within`.
/// `None` if it was stopped.
///
/// # Errors
/// There is no far end.
pub fn path(
    target: SocketAddr,
    run: u64,
    within: Duration,
    stop: &Stop,
) -> Result<Option<PathResult>, Failure> {
    let mut near = Near::new(run, stop)?;
    let evidence = evidence(&mut near, target, within)?;
    match evidence {
        Ok(evidence) => Ok(Some(PathResult::of(evidence))),
        Err(Missing::Stopped) => Ok(None),
        Err(missing) => Err(missing.of(target, within)),
    }
}

/// The value of a result of a near end, or its reason as the result of the function.
macro_rules! known {
    ($result:expr) => {
        match $result? {
            Ok(value) => value,
            Err(missing) => return Ok(Err(missing)),
        }
    };
}

fn evidence(
    near: &mut Near,
    target: SocketAddr,
    within: Duration,
) -> Result<Result<Evidence, Missing>, Failure> {
    let control = known!(near.greeted(target, within));
    let before = known!(host(near, control.flow, within));
    let mut timed: Vec<Greeted> = Vec::new();
    for _ in 0..TIMED {
        timed.push(known!(near.greeted(target, within)));
    }
    let Some(main) = timed.first() else {
        return Ok(Err(Missing::Garbage));
    };
    for number in 0..EXCHANGES {
        known!(near.call(main.flow, &Request::Echo(number), within));
    }
    let far = match known!(near.call(main.flow, &Request::Info, within)) {
        Answer::Info(info) => info,
        _ => return Ok(Err(Missing::Garbage)),
    };
    let (Some(here), Some(source)) = (near.info(main.flow), near.local(main.flow)) else {
        return Ok(Err(Missing::Ended(throng_core::probe::End::Failed)));
    };
    let after = known!(host(near, control.flow, within));
    let micros = |time: Duration| time.as_micros() as u64;
    let mut evidence = Evidence {
        target,
        source,
        source_seen: main.greeting.seen,
        target_seen: main.greeting.at,
        near: here,
        far,
        near_host: handshakes::read(),
        far_host: after,
        connects_us: timed.iter().map(|t| micros(t.connect)).collect(),
        answers_us: timed.iter().map(|t| micros(t.answer)).collect(),
        by_cookie: after
            .syncookies_received
            .saturating_sub(before.syncookies_received),
        taken_over: None,
        small: false,
        up: false,
        down: false,
        segments: Vec::new(),
    };
    for canonical in [&mut evidence.source_seen, &mut evidence.target_seen] {
        canonical.set_ip(canonical.ip().to_canonical());
    }
    let large = known!(payloads(near, target, &[None], within));
    if let Some(large) = large.first() {
        (evidence.up, evidence.down) = (large.up, large.down);
    }
    if !(evidence.up && evidence.down) {
        evidence.segments = known!(payloads(near, target, &SEGMENTS.map(Some), within));
    }
    evidence.taken_over = known!(taken_over(near, target, control.flow, within));
    let small = near.call(control.flow, &Request::Echo(u64::MAX), within)?;
    evidence.small = matches!(small, Ok(Answer::Echo(u64::MAX)));
    Ok(Ok(evidence))
}

fn host(
    near: &mut Near,
    flow: u64,
    within: Duration,
) -> Result<Result<HostFacts, Missing>, Failure> {
    Ok(match near.call(flow, &Request::Host, within)? {
        Ok(Answer::Host(facts)) => Ok(facts),
        Ok(_) => Err(Missing::Garbage),
        Err(missing) => Err(missing),
    })
}

fn fate(
    near: &mut Near,
    control: u64,
    name: Name,
    within: Duration,
) -> Result<Result<Fate, Missing>, Failure> {
    Ok(match near.call(control, &Request::Of(name), within)? {
        Ok(Answer::Of(fate)) => Ok(fate),
        Ok(_) => Err(Missing::Garbage),
        Err(missing) => Err(missing),
    })
}

/// Bytes that were acknowledged to this end while the far end read nothing, less those that its kernel has received; `None`
/// if that can't be read, as when another server answers.
fn taken_over(
    near: &mut Near,
    target: SocketAddr,
    control: u64,
    within: Duration,
) -> Result<Result<Option<u64>, Missing>, Failure> {
    let Greeted { flow, name, .. } = known!(near.greeted(target, within));
    near.ask(flow, &Request::Stall(STALL.as_millis() as u64));
    thread::sleep(SETTLE);
    let began = Instant::now();
    let (mut sent, mut acknowledged, mut since) = (0, 0, began);
    while since.elapsed() < STEADY && began.elapsed() < STEADY_WITHIN {
        if sent < FLOOD {
            sent += near.flood(flow, FLOOD - sent);
        }
        thread::sleep(Duration::from_millis(20));
        let Some(info) = near.info(flow) else {
            return Ok(Ok(None));
        };
        if info.acknowledged_bytes != acknowledged {
            (acknowledged, since) = (info.acknowledged_bytes, Instant::now());
        }
    }
    // The far end's view comes later, so that what arrives meanwhile never counts as taken over.
    let fate = known!(fate(near, control, name, within));
    near.close(flow);
    // The SYN counts as a byte that was acknowledged.
    let bytes = acknowledged.saturating_sub(1);
    let known = fate.state == State::Open && fate.received > 0;
    Ok(Ok(known.then(|| bytes.saturating_sub(fate.received))))
}

/// Sends a large payload in each direction with each MSS, on connections of their own, all at once.
fn payloads(
    near: &mut Near,
    target: SocketAddr,
    segments: &[Option<u16>],
    within: Duration,
) -> Result<Result<Vec<Segment>, Missing>, Failure> {
    let mut trials: Vec<Segment> = segments
        .iter()
        .map(|segment| Segment {
            size: segment.unwrap_or(0),
            up: false,
            down: false,
        })
        .collect();
    // What is tried on a connection: the trial, and whether the payload goes to the far end.
    let mut on = HashMap::new();
    for (trial, segment) in segments.iter().enumerate() {
        for up in [true, false] {
            match near.open(target, None, *segment, &SocketOptions::default()) {
                Ok(flow) => drop(on.insert(flow, (trial, up))),
                Err(e) => return Ok(Err(Missing::Failed(e))),
            }
        }
    }
    let until = Instant::now() + within;
    let mut left = on.len();
    while left > 0 && Instant::now() < until {
        if near.is_stopped() {
            return Ok(Err(Missing::Stopped));
        }
        for event in near.wait(until)? {
            let Some((trial, up)) = on.get(&event.flow).copied() else {
                continue;
            };
            match event.said {
                Said::Up => drop(near.greet(event.flow)),
                Said::Answer(Answer::Hello(_)) => {
                    let request = match up {
                        true => Request::Fill(PAYLOAD),
                        false => Request::Send(PAYLOAD),
                    };
                    near.ask(event.flow, &request);
                }
                Said::Answer(Answer::Filled(PAYLOAD)) if up => {
                    (trials[trial].up, left) = (true, left - 1);
                }
                Said::Answer(Answer::Fill(PAYLOAD)) if !up => {
                    (trials[trial].down, left) = (true, left - 1);
                }
                Said::Answer(_) => {}
                Said::Failed(_) | Said::Garbage | Said::Ended(_) => left -= 1,
            }
        }
    }
    for flow in on.keys() {
        near.close(*flow);
    }
    Ok(Ok(trials))
}
