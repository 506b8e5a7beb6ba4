//! Messages laid out for sending: what is always the same lies in memory that all connections of all workers
//! send from, what differs is rendered into the sender's buffer when it is due.

use super::compile::{Compiler, Piece, longest};
use super::dice::Dice;
use super::regex::RegexError;
use super::render::Context;
use super::template::{Framing, Message, Messages};
use super::track::{Step, Track};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How many bytes of messages go out in one write, if they are shorter. 64 KiB is what one loopback
/// segment holds; larger writes measured no faster.
pub(super) const RUN_BYTES: u64 = 64 * 1024;

/// What is always the same and at least so long is sent from where it lies, even inside a message that
/// differs: from here on a copy costs more than another write.
pub(super) const LARGE: usize = 4096;

/// The longest message, in bytes: offsets in a script's memory are 32 bits wide, and some messages lie there
/// several times.
pub const MAX_MESSAGE: u64 = 1 << 30;

/// Why messages can't be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptError {
    /// A regular expression is wrong. Not if the messages come from [`parse`](super::parse()).
    Regex(RegexError),
    /// A message may be longer than [`MAX_MESSAGE`].
    Long {
        /// Which one, from 0, among those sent first or those repeated.
        message: usize,
        /// Bytes of it at most.
        bytes: u64,
    },
    /// All messages together are too long.
    Large {
        /// Bytes of what is laid out.
        bytes: u64,
    },
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScriptError::Regex(e) => write!(f, "a message's regular expression, {e}"),
            ScriptError::Long { message, bytes } => write!(
                f,
                "message {} may be {bytes} bytes long; at most 1 GiB is possible",
                message + 1
            ),
            ScriptError::Large { bytes } => write!(
                f,
                "the messages take {bytes} bytes together; at most 4 GiB are possible"
            ),
        }
    }
}

impl std::error::Error for ScriptError {}

impl From<RegexError> for ScriptError {
    fn from(e: RegexError) -> ScriptError {
        ScriptError::Regex(e)
    }
}

/// Where a connection is among what it sends. Starts at the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(super) u32);

/// Who sends, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speaker {
    /// The connection's number; grows with each new connection.
    pub uid: u64,
    /// Microseconds since 1970, for [`Part::Marker`](super::Part::Marker).
    pub unix_us: u64,
    /// The id of the next DNS query ([`Part::DnsId`](super::Part::DnsId)). If several messages share a
    /// portion, each has the id after the one before it.
    pub dns_id: u16,
}

/// Where the bytes of a portion are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// In this range of [`Script::memory`].
    Memory(Range<u32>),
    /// At the end of the buffer that was given.
    Rendered,
}

/// What to send in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Where it is.
    pub what: What,
    /// Bytes of it; never 0.
    pub bytes: u32,
    /// Whole messages that end in it.
    pub messages: u32,
    /// Whether a message ends where it ends; if not, the rest follows in the next portion (MSG_MORE).
    pub ends_message: bool,
    /// Where to go on.
    pub next: Cursor,
}

/// Messages ready for sending. Cheap to clone: clones share everything.
///
/// An empty message is none, unless it is put into a WebSocket frame. A message that could come out empty,
/// such as `\{re [a-z]*}`, never does.
#[derive(Clone)]
pub struct Script(Arc<Laid>);

struct Laid {
    memory: Arc<[u8]>,
    first: Track,
    repeated: Track,
    seed: u64,
    /// Messages a write at most.
    combine: u32,
    is_static: bool,
}

impl Script {
    /// Lays `messages` out. At most `combine` of them share a write (at least one). What is random once per
    /// run or per connection follows from `seed`.
    ///
    /// # Errors
    /// A message that is too long, or (made by hand) a wrong regular expression.
    pub fn new(
        messages: &Messages,
        framing: Framing,
        combine: u32,
        seed: u64,
    ) -> Result<Script, ScriptError> {
        let combine = combine.max(1);
        let mut compiler = Compiler::new(framing, seed);
        let first = compile(&mut compiler, &messages.first)?;
        let repeated = compile(&mut compiler, &messages.repeated)?;
        let mut memory = Vec::new();
        let first = Track::once(first, &mut memory)?;
        let repeated = Track::cycle(repeated, combine, &mut memory)?;
        let is_static = !(first.is_rendered() || repeated.is_rendered());
        Ok(Script(Arc::new(Laid {
            memory: memory.into(),
            first,
            repeated,
            seed,
            combine,
            is_static,
        })))
    }

    /// The memory that [`What::Memory`] is of.
    pub fn memory(&self) -> Arc<[u8]> {
        Arc::clone(&self.0.memory)
    }

    /// Whether something is sent once, when a connection opens.
    pub fn has_first(&self) -> bool {
        !self.0.first.steps.is_empty()
    }

    /// Whether something is sent again and again.
    pub fn has_repeated(&self) -> bool {
        !self.0.repeated.steps.is_empty()
    }

    /// Mean size of a repeated message in bytes, with its frames; 0 if there are none. Exact if they are
    /// the same each time, else an estimate.
    pub fn message_bytes(&self) -> f64 {
        self.0.repeated.mean
    }

    /// How many repeated messages share a write; a mean if they differ in size. At least one.
    pub fn messages_a_write(&self) -> u32 {
        let fit = RUN_BYTES as f64 / self.message_bytes().max(1.0);
        self.0.combine.min(fit as u32).max(1)
    }

    /// The first messages as connection `uid` sends them, in one piece; for what is the same for all of its time.
    pub fn first_of(&self, uid: u64) -> Vec<u8> {
        let speaker = Speaker {
            uid,
            ..Speaker::default()
        };
        let (mut all, mut at) = (Vec::new(), Cursor::default());
        let mut dice = Dice::new(0);
        while let Some(portion) = self.first(at, &speaker, &mut dice, &mut all) {
            if let What::Memory(range) = portion.what {
                all.extend_from_slice(&self.0.memory[range.start as usize..range.end as usize]);
            }
            at = portion.next;
        }
        all
    }

    /// Whether all messages are the same each time, so that nothing is rendered.
    pub fn is_static(&self) -> bool {
        self.0.is_static
    }

    /// The next portion of what is sent first; `None` once all is sent. Rendered bytes are appended to
    /// `out`.
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

    /// The next portion of the repeated messages, which go round for ever; `None` if there are none. At most
    /// `most` messages (at least one) end in it or are begun in it. Rendered bytes are appended to `out`.
    #[inline]
    pub fn repeated(
        &self,
        at: Cursor,
        most: u32,
        speaker: &Speaker,
        dice: &mut Dice,
        out: &mut Vec<u8>,
    ) -> Option<Portion> {
        self.next(&self.0.repeated, at, most, speaker, dice, out)
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
        let lying = track.lying(at, step, most);
        lying.or_else(|| Some(self.render(track, at, most, speaker, dice, out)))
    }

    /// The next portion, which does not lie in memory.
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
                context.speaker.dns_id = speaker.dns_id.wrapping_add(begun as u16);
                begun += 1;
            }
            match step {
                Step::Render { ops, .. } => context.render(ops, dice, out),
                Step::Lies {
                    range,
                    begins: true,
                    ends: true,
                } if range.len() < LARGE => {
                    let lies = range.start as usize..range.end as usize;
                    out.extend_from_slice(&self.0.memory[lies]);
                }
                Step::Lies { .. } => break,
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
            .field("repeated", &self.0.repeated.steps.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
