//! Sequences of messages as steps. Each step either is in memory or is rendered.

use super::compile::Piece;
use super::error::ScriptError;
use super::portion::{Cursor, LARGE, Portion, RUN_BYTES, What};
use super::render::Op;
use std::ops::Range;

/// A step in sending a message. Most messages are one step.
pub(super) enum Step {
    /// It is in memory.
    InPlace {
        range: Range<u32>,
        begins: bool,
        ends: bool,
    },
    /// It is rendered; `about` estimates its size in bytes.
    Render {
        ops: Box<[Op]>,
        about: u32,
        begins: bool,
        ends: bool,
    },
}

impl Step {
    pub(super) fn begins(&self) -> bool {
        let (Step::InPlace { begins, .. } | Step::Render { begins, .. }) = self;
        *begins
    }

    pub(super) fn ends(&self) -> bool {
        let (Step::InPlace { ends, .. } | Step::Render { ends, .. }) = self;
        *ends
    }

    pub(super) fn about(&self) -> u32 {
        match self {
            Step::InPlace { range, .. } => range.end - range.start,
            Step::Render { about, .. } => *about,
        }
    }
}

/// A cycle of constant messages, repeated in memory often enough that a full write can begin at any of them.
struct Round {
    /// The offset of the first copy.
    at: u32,
    /// The offset of each message from there, and the end of the last one.
    offsets: Vec<u32>,
    /// How many messages fit into a write that begins at each.
    fit: Vec<u32>,
}

impl Round {
    /// The offset of the `n`th message after the first of the first copy.
    fn offset(&self, n: u64) -> u64 {
        let messages = self.fit.len() as u64;
        u64::from(self.offsets[(n % messages) as usize])
            + n / messages * u64::from(self.offsets[messages as usize])
    }
}

/// A sequence of messages.
pub(super) struct Track {
    pub(super) steps: Vec<Step>,
    /// The step that each message begins with.
    pub(super) begins: Vec<u32>,
    /// Bytes of a message.
    pub(super) mean: f64,
    cyclic: bool,
    round: Option<Round>,
}

impl Track {
    /// Messages that are sent once.
    pub(super) fn once(
        messages: Vec<Vec<Piece>>,
        memory: &mut Vec<u8>,
    ) -> Result<Track, ScriptError> {
        let n = messages.len();
        let mut steps = Vec::with_capacity(n);
        for message in messages {
            steps.extend(lay(message, memory)?);
        }
        Ok(Track::of(steps, n, false))
    }

    /// Messages that repeat; at most `combine` share a write.
    pub(super) fn cycle(
        messages: Vec<Vec<Piece>>,
        combine: u32,
        memory: &mut Vec<u8>,
    ) -> Result<Track, ScriptError> {
        let n = messages.len();
        let at = memory.len();
        let dynamic = |message: &Vec<Piece>| !matches!(message[..], [Piece::Bytes(_)]);
        // Starts after the first message that varies, so that constant messages are adjacent even where the last one is
        // followed by the first.
        let first = messages.iter().position(dynamic).map_or(0, |i| i + 1);
        let mut order: Vec<(usize, Vec<Piece<'_>>)> = messages.into_iter().enumerate().collect();
        order.rotate_left(first);
        let mut laid: Vec<(usize, Vec<Step>)> = Vec::with_capacity(n);
        for (i, message) in order {
            laid.push((i, lay(message, memory)?));
        }
        laid.sort_by_key(|(i, _)| *i);
        let steps = laid.into_iter().flat_map(|(_, steps)| steps).collect();
        let mut track = Track::of(steps, n, true);
        if n > 0 && !track.is_rendered() {
            track.round = Some(track.copies(at, combine, memory)?);
        }
        Ok(track)
    }

    fn of(steps: Vec<Step>, messages: usize, cyclic: bool) -> Track {
        let bytes: f64 = steps
            .iter()
            .map(|step| match step {
                Step::InPlace { range, .. } => range.len() as f64,
                Step::Render { ops, .. } => mean(ops),
            })
            .sum();
        let begins = (0..).zip(&steps).filter(|(_, step)| step.begins());
        Track {
            begins: begins.map(|(at, _)| at).collect(),
            steps,
            mean: bytes / messages.max(1) as f64,
            cyclic,
            round: None,
        }
    }

    /// Whether anything in it is rendered.
    pub(super) fn is_rendered(&self) -> bool {
        self.steps.iter().any(|s| matches!(s, Step::Render { .. }))
    }

    /// Repeats the messages, which are in `memory` from `at` on, as often as full writes need.
    fn copies(&self, at: usize, combine: u32, memory: &mut Vec<u8>) -> Result<Round, ScriptError> {
        let mut offsets = vec![0];
        let mut all = 0;
        for step in &self.steps {
            all += step.about();
            offsets.push(all);
        }
        let n = self.steps.len() as u64;
        let mut round = Round {
            at: at as u32,
            offsets,
            fit: vec![1; self.steps.len()],
        };
        let mut end = 0;
        let mut reached = 0;
        for i in 0..n {
            reached = reached.max(i + 1);
            let from = round.offset(i);
            while reached - i < u64::from(combine) && round.offset(reached + 1) - from <= RUN_BYTES
            {
                reached += 1;
            }
            round.fit[i as usize] = (reached - i) as u32;
            end = end.max(round.offset(reached));
        }
        let end = at + end as usize;
        fits(end as u64)?;
        memory.reserve_exact(end.saturating_sub(memory.len()));
        while memory.len() < end {
            let more = (at + all as usize).min(at + end - memory.len());
            memory.extend_from_within(at..more);
        }
        Ok(round)
    }

    /// The step after `at`.
    pub(super) fn after(&self, at: Cursor) -> Cursor {
        let next = at.0 + 1;
        if self.cyclic && next as usize == self.steps.len() {
            Cursor(0)
        } else {
            Cursor(next)
        }
    }

    /// What can be sent in place at `at`, where `step` is. `None` if something must be rendered, or if the bytes in
    /// place are few and better copied together with what is rendered after them.
    #[inline]
    pub(super) fn in_place(&self, at: Cursor, step: &Step, most: u32) -> Option<Portion> {
        match step {
            // The most frequent send: one whole message.
            Step::InPlace {
                range,
                begins: true,
                ends: true,
            } if most == 1 => Some(Portion {
                bytes: range.end - range.start,
                what: What::Memory(range.clone()),
                messages: 1,
                ends_message: true,
                next: self.after(at),
            }),
            Step::InPlace {
                range,
                begins,
                ends,
            } => self.several_in_place(at, range, (*begins, *ends), most),
            Step::Render { .. } => None,
        }
    }

    /// The same for the bytes in `range`, with the messages after them if a write has room for several.
    fn several_in_place(
        &self,
        at: Cursor,
        range: &Range<u32>,
        (begins, ends): (bool, bool),
        most: u32,
    ) -> Option<Portion> {
        if let Some(round) = &self.round {
            let messages = most.min(round.fit[at.0 as usize]);
            let last = u64::from(at.0) + u64::from(messages);
            let from = round.at + round.offsets[at.0 as usize];
            let to = round.at + round.offset(last) as u32;
            return Some(Portion {
                what: What::Memory(from..to),
                bytes: to - from,
                messages,
                ends_message: true,
                next: Cursor((last % self.steps.len() as u64) as u32),
            });
        }
        let mut range = range.clone();
        let mut next = self.after(at);
        let mut messages = u32::from(ends);
        let mut short = begins && ends && range.len() < LARGE;
        if begins && ends {
            loop {
                let step = self.steps.get(next.0 as usize);
                match step {
                    // Nothing after it could share its write.
                    None => short = false,
                    _ if messages == most => short = false,
                    Some(Step::InPlace {
                        range: more,
                        begins: true,
                        ends: true,
                    }) if more.start == range.end => {
                        if u64::from(more.end - range.start) <= RUN_BYTES {
                            range.end = more.end;
                            messages += 1;
                            next = self.after(next);
                            short &= range.len() < LARGE;
                            continue;
                        }
                        short = false;
                    }
                    Some(Step::InPlace { .. }) => short = false,
                    Some(Step::Render { .. }) => {}
                }
                break;
            }
        }
        (!short).then(|| Portion {
            bytes: range.end - range.start,
            what: What::Memory(range),
            messages,
            ends_message: ends,
            next,
        })
    }
}

fn mean(ops: &[Op]) -> f64 {
    ops.iter().map(Op::mean).sum()
}

fn fits(bytes: u64) -> Result<(), ScriptError> {
    if bytes > u64::from(u32::MAX) {
        return Err(ScriptError::Large { bytes });
    }
    Ok(())
}

/// The steps of one message, whose constant bytes are added to `memory`.
fn lay(message: Vec<Piece>, memory: &mut Vec<u8>) -> Result<Vec<Step>, ScriptError> {
    let whole = message.len() == 1;
    let mut steps = Vec::new();
    let mut ops: Vec<Op> = Vec::new();
    let count = message.len();
    for (i, piece) in message.into_iter().enumerate() {
        match piece {
            Piece::Bytes(bytes) if whole || bytes.len() >= LARGE => {
                // The rendered step beside it must not be empty, so it takes a byte of this one.
                let mut bytes = &bytes[..];
                if i > 0 && shortest(&ops) == 0 {
                    let (byte, rest) = bytes.split_at(1);
                    ops.push(Op::Bytes(byte.into()));
                    bytes = rest;
                }
                render_step(&mut steps, &mut ops);
                if i + 1 < count {
                    let (rest, byte) = bytes.split_at(bytes.len() - 1);
                    ops.push(Op::Bytes(byte.into()));
                    bytes = rest;
                }
                let start = memory.len();
                fits((start + bytes.len()) as u64)?;
                memory.extend_from_slice(bytes);
                steps.push(Step::InPlace {
                    range: start as u32..memory.len() as u32,
                    begins: false,
                    ends: false,
                });
            }
            piece => ops.push(op(piece)),
        }
    }
    render_step(&mut steps, &mut ops);
    if let Some(Step::InPlace { begins, .. } | Step::Render { begins, .. }) = steps.first_mut() {
        *begins = true;
    }
    if let Some(Step::InPlace { ends, .. } | Step::Render { ends, .. }) = steps.last_mut() {
        *ends = true;
    }
    Ok(steps)
}

fn shortest(ops: &[Op]) -> u64 {
    ops.iter().map(Op::shortest).sum()
}

fn render_step(steps: &mut Vec<Step>, ops: &mut Vec<Op>) {
    if !ops.is_empty() {
        let ops = std::mem::take(ops);
        steps.push(Step::Render {
            about: mean(&ops) as u32,
            ops: ops.into(),
            begins: false,
            ends: false,
        });
    }
}

fn op(piece: Piece) -> Op {
    match piece {
        Piece::Bytes(bytes) => Op::Bytes(bytes.into_owned().into()),
        Piece::Op(op) => op,
        Piece::Frame { head, body } => {
            let body: Box<[Op]> = body.into_iter().map(op).collect();
            Op::Frame {
                head,
                about: mean(&body) as u64,
                body,
            }
        }
    }
}
