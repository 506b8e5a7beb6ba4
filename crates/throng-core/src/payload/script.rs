//! Messages laid out for sending. Constant bytes are in memory that all connections of all workers send from. Other
//! bytes are rendered into the sender's buffer when they are due.

use super::compile::{Compiler, Piece, longest};
use super::dice::Dice;
use super::error::ScriptError;
use super::portion::{Cursor, LARGE, MAX_MESSAGE, Portion, RUN_BYTES, What};
use super::render::{Context, Op, Speaker};
use super::template::{Framing, Message, Messages};
use super::track::{Step, Track};
use std::fmt;
use std::sync::Arc;

/// Messages ready for sending. Clones are cheap: they share everything.
///
/// An empty message is ignored, unless it is in a WebSocket frame. A message that could be rendered empty, such as
/// `\{re [a-z]*}`, never is.
#[derive(Clone)]
pub struct Script(Arc<Laid>);

struct Laid {
    memory: Arc<[u8]>,
    first: Track,
    /// One or more cycles of repeated messages. A connection has one of them.
    cycles: Vec<Track>,
    seed: u64,
    /// The most messages per write.
    combine: u32,
    is_static: bool,
    /// What each connection sends first, as far as it is the same on all, and at most [`START`] bytes of it.
    start: Vec<u8>,
}

/// Enough to tell apart what is compared.
const START: usize = 512;

impl Script {
    /// Lays `messages` out. At most `combine` of them share a write (at least one). Strings that are random per run or
    /// per connection follow from `seed`.
    ///
    /// # Errors
    /// A message that is too long, or (in a message built by hand) a wrong regular expression.
    pub fn new(
        messages: &Messages,
        framing: Framing,
        combine: u32,
        seed: u64,
    ) -> Result<Script, ScriptError> {
        let cycles = std::slice::from_ref(&messages.repeated);
        Script::of_cycles(&messages.first, cycles, framing, combine, seed)
    }

    /// Lays out several cycles of repeated messages, of which a connection sends one; at least one. Otherwise as
    /// [`Script::new`].
    ///
    /// # Errors
    /// Those of [`Script::new`].
    pub fn of_cycles(
        first: &[Message],
        cycles: &[Vec<Message>],
        framing: Framing,
        combine: u32,
        seed: u64,
    ) -> Result<Script, ScriptError> {
        let combine = combine.max(1);
        let mut compiler = Compiler::new(framing, seed);
        let mut memory = Vec::new();
        let first = Track::once(compile(&mut compiler, first)?, &mut memory)?;
        let cycles = cycles
            .iter()
            .map(|cycle| Track::cycle(compile(&mut compiler, cycle)?, combine, &mut memory))
            .collect::<Result<Vec<Track>, ScriptError>>()?;
        let is_static = !(first.is_rendered() || cycles.iter().any(Track::is_rendered));
        let start = match cycles.as_slice() {
            [only] => constant_start(first.steps.iter().chain(&only.steps), &memory),
            _ => Vec::new(),
        };
        Ok(Script(Arc::new(Laid {
            memory: memory.into(),
            first,
            cycles,
            seed,
            combine,
            is_static,
            start,
        })))
    }

    /// The memory that [`What::Memory`] refers to.
    pub fn memory(&self) -> Arc<[u8]> {
        Arc::clone(&self.0.memory)
    }

    /// Whether there are first messages.
    pub fn has_first(&self) -> bool {
        !self.0.first.steps.is_empty()
    }

    /// Whether there are repeated messages.
    pub fn has_repeated(&self) -> bool {
        self.0.cycles.iter().any(|cycle| !cycle.steps.is_empty())
    }

    /// The position of the message that `nth` says in the repeated messages of cycle `cycle`, given how many they are.
    pub fn start(&self, cycle: usize, nth: impl FnOnce(usize) -> usize) -> Cursor {
        let Some(track) = self.0.cycles.get(cycle) else {
            return Cursor::default();
        };
        let begun = track.begins.get(nth(track.begins.len()));
        Cursor(begun.copied().unwrap_or(0))
    }

    /// How many cycles there are.
    pub fn cycles(&self) -> usize {
        self.0.cycles.len()
    }

    /// Mean size of a repeated message in bytes, with its frames; 0 if there are none. It is exact if they are
    /// constant, else an estimate.
    pub fn message_bytes(&self) -> f64 {
        let all: f64 = self.0.cycles.iter().map(|cycle| cycle.mean).sum();
        all / self.0.cycles.len().max(1) as f64
    }

    /// How many repeated messages share a write, at least one; a mean if their sizes differ.
    pub fn messages_a_write(&self) -> u32 {
        let fit = RUN_BYTES as f64 / self.message_bytes().max(1.0);
        self.0.combine.min(fit as u32).max(1)
    }

    /// The first messages of connection `uid`, in one piece. They must be constant for the connection.
    pub fn first_of(&self, uid: u64) -> Vec<u8> {
        let mut all = Vec::new();
        self.append_first(uid, &mut all);
        all
    }

    /// Appends the first messages of connection `uid` to `out`. They must be constant for the connection.
    pub fn append_first(&self, uid: u64, out: &mut Vec<u8>) {
        let speaker = Speaker {
            uid,
            ..Speaker::default()
        };
        let (mut at, mut dice) = (Cursor::default(), Dice::new(0));
        while let Some(portion) = self.first(at, &speaker, &mut dice, out) {
            if let What::Memory(range) = portion.what {
                out.extend_from_slice(&self.0.memory[range.start as usize..range.end as usize]);
            }
            at = portion.next;
        }
    }

    /// Whether all connections send the same first, so that it can be compared.
    pub fn has_constant_start(&self) -> bool {
        !self.0.start.is_empty()
    }

    /// Whether `bytes` may be how what each connection sends begins, as far as that is the same on all.
    pub fn may_begin_with(&self, bytes: &[u8]) -> bool {
        let start = &self.0.start;
        let known = start.len().min(bytes.len());
        start[..known] == bytes[..known]
    }

    /// Whether all messages are constant, so that nothing is rendered.
    pub fn is_static(&self) -> bool {
        self.0.is_static
    }

    /// The next portion of the first messages; `None` once all are sent. Rendered bytes are appended to `out`.
    #[inline]
    pub fn first(
        &self,
        at: Cursor,
        speaker: &Speaker,
        dice: &mut Dice,
        out: &mut Vec<u8>,
    ) -> Option<Portion> {
        self.next(&self.0.first, at, u32::MAX, speaker, dice, out)
    }

    /// The next portion of the repeated messages of cycle `cycle`, counted from 0, which never end; `None` if there are none.
    /// At most `most` messages (at least one) end or begin in it. Rendered bytes are appended to `out`.
    #[inline]
    pub fn repeated(
        &self,
        cycle: usize,
        at: Cursor,
        most: u32,
        speaker: &Speaker,
        dice: &mut Dice,
        out: &mut Vec<u8>,
    ) -> Option<Portion> {
        self.next(self.0.cycles.get(cycle)?, at, most, speaker, dice, out)
    }

    #[inline]
    fn next(
        &self,
        track: &Track,
        at: Cursor,
        most: u32,
        speaker: &Speaker,
        dice: &mut Dice,
        out: &mut Vec<u8>,
    ) -> Option<Portion> {
        let most = most.clamp(1, self.0.combine);
        let step = track.steps.get(at.0 as usize)?;
        let in_place = track.in_place(at, step, most);
        in_place.or_else(|| Some(self.render(track, at, most, speaker, dice, out)))
    }

    /// The next portion, which must be rendered.
    fn render(
        &self,
        track: &Track,
        at: Cursor,
        most: u32,
        speaker: &Speaker,
        dice: &mut Dice,
        out: &mut Vec<u8>,
    ) -> Portion {
        let mut context = Context {
            seed: self.0.seed,
            speaker: *speaker,
        };
        let before = out.len();
        let (mut begun, mut messages) = (0, 0);
        let mut next = at;
        let mut ends_message = false;
        while let Some(step) = track.steps.get(next.0 as usize) {
            let rendered = (out.len() - before) as u64;
            if begun == 0 || step.begins() {
                let full =
                    begun == most || rendered > 0 && rendered + u64::from(step.about()) > RUN_BYTES;
                if full {
                    break;
                }
                context.speaker.message_id = speaker.message_id.wrapping_add(begun as u16);
                context.speaker.number = speaker.number.wrapping_add(begun);
                begun += 1;
            }
            match step {
                Step::Render { ops, .. } => context.render(ops, dice, out),
                Step::InPlace {
                    range,
                    begins: true,
                    ends: true,
                } if range.len() < LARGE => {
                    let lies = range.start as usize..range.end as usize;
                    out.extend_from_slice(&self.0.memory[lies]);
                }
                Step::InPlace { .. } => break,
            }
            ends_message = step.ends();
            messages += u32::from(ends_message);
            next = track.after(next);
        }
        Portion {
            what: What::Rendered,
            bytes: (out.len() - before) as u32,
            messages,
            ends_message,
            next,
        }
    }
}

/// What these steps begin with, as far as it is constant, and at most [`START`] bytes of it.
fn constant_start<'a>(steps: impl Iterator<Item = &'a Step>, memory: &[u8]) -> Vec<u8> {
    let mut start = Vec::new();
    for step in steps {
        match step {
            Step::InPlace { range, .. } if start.len() < START => {
                let lies = range.start as usize..range.end as usize;
                start.extend_from_slice(&memory[lies]);
            }
            Step::InPlace { .. } => break,
            Step::Render { ops, .. } => {
                if let Some(Op::Bytes(bytes)) = ops.first() {
                    start.extend_from_slice(bytes);
                }
                break;
            }
        }
    }
    start.truncate(START);
    start
}

fn compile<'a>(
    compiler: &mut Compiler,
    messages: &'a [Message],
) -> Result<Vec<Vec<Piece<'a>>>, ScriptError> {
    let mut all = Vec::with_capacity(messages.len());
    for (message, template) in messages.iter().enumerate() {
        let pieces = compiler.message(template)?;
        let bytes = longest(&pieces);
        if bytes > MAX_MESSAGE {
            return Err(ScriptError::Long { message, bytes });
        }
        if let Some((bytes, most)) = compiler.too_long {
            return Err(ScriptError::LongPart { bytes, most });
        }
        if !pieces.is_empty() {
            all.push(pieces);
        }
    }
    Ok(all)
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("memory", &self.0.memory.len())
            .field("first", &self.0.first.steps.len())
            .field("cycles", &self.0.cycles.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
