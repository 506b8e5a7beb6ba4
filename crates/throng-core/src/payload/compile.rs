//! Compiles messages into pieces that are ready to be laid out: draws global random strings, adds frames, and folds
//! everything constant into bytes.

use super::dice::Dice;
use super::frame::{Head, mask};
use super::regex::{Regex, RegexError};
use super::render::Op;
use super::template::{Framing, Message, Part, Scope};
use std::borrow::Cow;

/// The number from which strings of the whole run are drawn, in place of a connection's number. No connection has it.
const GLOBAL: u64 = u64::MAX;

/// A piece of a message. The user's bytes are borrowed: they may be a large file.
pub(super) enum Piece<'a> {
    Bytes(Cow<'a, [u8]>),
    Op(Op),
    Frame { head: Head, body: Vec<Piece<'a>> },
}

impl Piece<'_> {
    /// Its least size in bytes.
    fn shortest(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Op(op) => op.shortest(),
            // A frame's header has two bytes at least; so has a size's.
            Piece::Frame { .. } => 2,
        }
    }

    /// Its greatest size in bytes.
    fn longest(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Op(op) => op.longest(),
            Piece::Frame { head, body } => {
                let payload = body.iter().map(Piece::longest).sum();
                head.bytes(payload) as u64 + payload
            }
        }
    }
}

/// What a script's messages share while they are compiled.
pub(super) struct Compiler {
    framing: Framing,
    dice: Dice,
    seed: u64,
    /// The number of random strings per connection and per run so far. Each has a place of its own.
    places: u64,
    globals: u64,
    /// Whether strings drawn now must not be empty.
    some: bool,
    /// The greatest length of a part that may be longer than the size before it can say, and what that can say at most.
    pub(super) too_long: Option<(u64, u64)>,
}

impl Compiler {
    pub(super) fn new(framing: Framing, seed: u64) -> Compiler {
        Compiler {
            framing,
            dice: Dice::of(seed, &[]),
            seed,
            places: 0,
            globals: 0,
            some: false,
            too_long: None,
        }
    }

    /// The pieces of `message`: none if it is empty, one [`Piece::Bytes`] if it is the same each time.
    pub(super) fn message<'a>(
        &mut self,
        message: &'a Message,
    ) -> Result<Vec<Piece<'a>>, RegexError> {
        let before = (self.places, self.globals);
        let pieces = self.pieces(message)?;
        if !pieces.is_empty() {
            return Ok(pieces);
        }
        (self.places, self.globals) = before;
        // Global strings may have been drawn empty.
        self.some = true;
        let pieces = self.pieces(message);
        self.some = false;
        pieces
    }

    fn pieces<'a>(&mut self, message: &'a Message) -> Result<Vec<Piece<'a>>, RegexError> {
        let masked = self.framing != Framing::WebSocketServer;
        let text = (self.framing != Framing::Raw).then(|| Head::text(masked));
        let mut pieces = Vec::new();
        // Parts that are neither frames nor raw, up to the next one that is.
        let mut plain = Vec::new();
        let end_plain = |plain: &mut Vec<Piece<'a>>, pieces: &mut Vec<Piece<'a>>| {
            let plain = std::mem::take(plain);
            match text {
                Some(head) if !plain.is_empty() => pieces.push(Piece::Frame { head, body: plain }),
                _ => pieces.extend(plain),
            }
        };
        let has_own_frames = message
            .parts
            .iter()
            .any(|part| matches!(part, Part::Frame(_) | Part::Raw(_) | Part::Sized(..)));
        for part in &message.parts {
            match part {
                Part::Frame(frame) => {
                    end_plain(&mut plain, &mut pieces);
                    let mut body = Vec::new();
                    self.parts(&frame.payload, &mut body)?;
                    let head = Head::of(frame, masked);
                    pieces.push(Piece::Frame { head, body });
                }
                Part::Raw(parts) => {
                    end_plain(&mut plain, &mut pieces);
                    self.parts(parts, &mut pieces)?;
                }
                Part::Sized(..) => {
                    end_plain(&mut plain, &mut pieces);
                    self.part(part, &mut pieces)?;
                }
                part => self.part(part, &mut plain)?,
            }
        }
        end_plain(&mut plain, &mut pieces);
        if pieces.is_empty()
            && !has_own_frames
            && let Some(head) = text
        {
            pieces.push(Piece::Frame { head, body: vec![] });
        }
        if pieces.iter().all(|piece| piece.shortest() == 0) {
            // A message is never empty: a string that may be empty is drawn until it is not.
            if let Some(Piece::Op(op)) = pieces.first_mut() {
                op.never_empty();
            }
        }
        Ok(self.folded(pieces))
    }

    fn parts<'a>(
        &mut self,
        parts: &'a [Part],
        pieces: &mut Vec<Piece<'a>>,
    ) -> Result<(), RegexError> {
        parts.iter().try_for_each(|part| self.part(part, pieces))
    }

    fn part<'a>(&mut self, part: &'a Part, pieces: &mut Vec<Piece<'a>>) -> Result<(), RegexError> {
        let op = match part {
            Part::Bytes(bytes) => {
                if !bytes.is_empty() {
                    pieces.push(Piece::Bytes(bytes.into()));
                }
                return Ok(());
            }
            Part::Frame(frame) => return self.parts(&frame.payload, pieces),
            Part::Raw(parts) => return self.parts(parts, pieces),
            Part::Sized(size, parts) => {
                let mut body = Vec::new();
                self.parts(parts, &mut body)?;
                let bytes = longest(&body);
                if bytes > size.most() {
                    self.too_long = Some((bytes, size.most()));
                }
                let head = Head::Size(*size);
                pieces.push(Piece::Frame { head, body });
                return Ok(());
            }
            Part::Uid { modulo } => Op::Uid(modulo.as_slice().into()),
            Part::Pointer { modulo } => Op::Pointer(modulo.as_slice().into()),
            Part::Marker => Op::Marker,
            Part::MessageId => Op::MessageId,
            Part::Number => Op::Number,
            Part::Random { scope, regex } => {
                let regex = Regex::new(regex)?;
                if regex.longest() == 0 {
                    return Ok(());
                }
                let regex = Box::new(regex);
                match scope {
                    Scope::Message => Op::Random { regex, some: false },
                    Scope::Connection => {
                        self.places += 1;
                        Op::OfConnection {
                            regex,
                            place: self.places,
                            some: false,
                        }
                    }
                    Scope::Global => {
                        self.globals += 1;
                        let mut dice = Dice::of(self.seed, &[GLOBAL, self.globals]);
                        let mut bytes = Vec::new();
                        if self.some {
                            regex.draw_some(&mut dice, &mut bytes);
                        } else {
                            regex.draw(&mut dice, &mut bytes);
                        }
                        if !bytes.is_empty() {
                            pieces.push(Piece::Bytes(bytes.into()));
                        }
                        return Ok(());
                    }
                }
            }
        };
        pieces.push(Piece::Op(op));
        Ok(())
    }

    /// Joins adjacent bytes, and encodes frames that consist of bytes alone. Their mask is drawn here, once for all
    /// sends.
    fn folded<'a>(&mut self, pieces: Vec<Piece<'a>>) -> Vec<Piece<'a>> {
        let mut all: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let piece = match piece {
                Piece::Frame { head, body } => self.folded_frame(head, body),
                piece => piece,
            };
            match (all.last_mut(), piece) {
                (Some(Piece::Bytes(before)), Piece::Bytes(more)) => {
                    before.to_mut().extend_from_slice(&more);
                }
                (_, piece) => all.push(piece),
            }
        }
        all
    }

    fn folded_frame<'a>(&mut self, head: Head, body: Vec<Piece<'a>>) -> Piece<'a> {
        let mut body = self.folded(body);
        match body.as_mut_slice() {
            [] => Piece::Bytes(self.encoded(head, &[]).into()),
            [Piece::Bytes(bytes)] => Piece::Bytes(self.encoded(head, bytes).into()),
            _ => Piece::Frame { head, body },
        }
    }

    fn encoded(&mut self, head: Head, payload: &[u8]) -> Vec<u8> {
        let key = self.dice.mask();
        let (header, n) = head.encode(payload.len() as u64, key);
        let mut frame = [&header[..n], payload].concat();
        if head.is_masked() {
            mask(&mut frame[n..], key);
        }
        frame
    }
}

/// The greatest size of a message in bytes.
pub(super) fn longest(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::longest).sum()
}
