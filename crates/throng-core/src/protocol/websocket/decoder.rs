//! Decodes received bytes into events.
//!
//! A [`Decoder`] is the state of one connection, 20 bytes. It takes each received slice and returns the payload as
//! parts of that slice, so that a message of any length needs no buffer. Only an incomplete header or control frame
//! waits, in the worker's [`Partials`].

use super::close;
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, Mask, Opcode, Role};
use super::utf8::Utf8;
use super::violation::Violation;
use crate::partials::{Partials, Slot};

/// The longest message accepted by default, in bytes.
pub const MAX_MESSAGE: u32 = 64 << 20;

/// The rules for all connections of a worker.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The role of this side, which decides whether received frames must be masked.
    pub role: Role,
    /// The longest message accepted, in bytes, all fragments together.
    pub max_message: u32,
    /// Whether text must be UTF-8, as RFC 6455 (8.1) requires.
    pub check_text: bool,
}

impl Rules {
    /// The rules of RFC 6455 for this role, with messages of up to [`MAX_MESSAGE`].
    pub fn new(role: Role) -> Rules {
        Rules {
            role,
            max_message: MAX_MESSAGE,
            check_text: true,
        }
    }
}

/// A decoded event.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A data frame begins. Its payload, if any, follows in pieces, and then its end.
    Start(Start),
    /// The next piece of the frame's payload; never empty.
    Payload(Payload<'a>),
    /// The frame has ended, and if `message` is true, the message, too.
    End {
        /// Whether this was the message's last frame.
        message: bool,
    },
    /// A ping. The answer is a pong with the same payload.
    Ping(Control),
    /// A pong.
    Pong(Control),
    /// The peer closes. What follows is discarded.
    Close(Control),
}

/// The start of a data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Text, binary or continuation.
    pub opcode: Opcode,
    /// Whether the message is text, also in a continuation.
    pub text: bool,
    /// Whether the message ends with this frame.
    pub fin: bool,
    /// The frame's payload in bytes.
    pub length: u32,
}

/// A piece of a frame's payload, as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    bytes: &'a [u8],
    mask: Option<Mask>,
}

impl<'a> Payload<'a> {
    /// Its length in bytes, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the unmasked piece to `out`.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self.mask {
            None => out.extend_from_slice(self.bytes),
            Some(mask) => {
                mask.append(self.bytes, out);
            }
        }
    }

    /// The unmasked piece: in place, or in `scratch` if it was masked.
    #[inline]
    pub fn plain<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        match self.mask {
            None => self.bytes,
            Some(mask) => {
                scratch.clear();
                mask.append(self.bytes, scratch);
                scratch
            }
        }
    }
}

/// The payload of a control frame, complete and unmasked.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    length: u8,
    bytes: [u8; MAX_CONTROL],
}

impl Control {
    fn new(payload: &[u8], mask: Option<Mask>) -> Control {
        let mut bytes = [0; MAX_CONTROL];
        let length = payload.len().min(MAX_CONTROL);
        bytes[..length].copy_from_slice(&payload[..length]);
        if let Some(mask) = mask {
            mask.apply(&mut bytes[..length]);
        }
        Control {
            length: length as u8,
            bytes,
        }
    }

    /// The payload.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The code of a close frame; `None` if it has none.
    pub fn close_code(&self) -> Option<u16> {
        self.bytes()
            .first_chunk()
            .map(|code| u16::from_be_bytes(*code))
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({:02x?})", self.bytes())
    }
}

/// The decoder's state of one connection.
///
/// A new one is before the handshake. The handshake keeps an incomplete head in the slot that frames later use for an
/// incomplete header, and calls [`upgrade`](Decoder::upgrade) when it is done.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes of the current frame's payload that are still to come.
    left: u32,
    /// Bytes of payload of the message under way, in all frames so far.
    message: u32,
    /// The key for the next byte of the current frame, if it is masked.
    mask: Mask,
    half: Slot,
    utf8: Utf8,
    flags: u8,
}

/// Flag: a message is under way, so the next data frame must be a continuation.
const IN_MESSAGE: u8 = 1;
/// Flag: the message under way is text.
const TEXT: u8 = 2;
/// Flag: the current frame is the last one of its message.
const LAST: u8 = 4;
/// Flag: a data frame is under way.
const IN_FRAME: u8 = 8;
/// Flag: the peer has closed or violated the protocol, so nothing more is read.
const OVER: u8 = 16;
/// Flag: the handshake is done.
const UPGRADED: u8 = 32;

/// The block of text that is unmasked at a time to check it: small enough for the stack and the first-level cache.
const LOOK: usize = 1024;
/// The block for short payloads, as most are.
const LOOK_SHORT: usize = 128;

impl Decoder {
    /// Whether the handshake is done.
    #[inline]
    pub fn is_upgraded(&self) -> bool {
        self.has(UPGRADED)
    }

    /// Ends the handshake: frames follow.
    pub fn upgrade(&mut self) {
        self.flags |= UPGRADED;
    }

    /// Whether nothing more is read, because the peer closed or violated the protocol.
    pub fn is_over(&self) -> bool {
        self.has(OVER)
    }

    /// Discards everything that is received from now on.
    pub fn end(&mut self, partials: &mut Partials) {
        partials.drop_at(&mut self.half);
        self.flags = (self.flags | OVER) & !IN_FRAME;
    }

    /// Bytes of the current data frame's payload that are still to come.
    #[inline]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// The slot for incomplete input, which the handshake uses before frames do.
    pub(super) fn half(&mut self) -> &mut Slot {
        &mut self.half
    }

    /// Frees the incomplete input of a connection that is gone, and resets the decoder.
    pub fn reset(&mut self, partials: &mut Partials) {
        partials.drop_at(&mut self.half);
        *self = Decoder::default();
    }

    /// Decodes the next event from `input`, the received bytes, and removes what it has read. `None` when all is read.
    ///
    /// # Errors
    /// The peer violated the protocol. Nothing more is read after that.
    #[inline]
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        rules: &Rules,
        partials: &mut Partials,
    ) -> Result<Option<Event<'a>>, Violation> {
        let event = if self.has(IN_FRAME) {
            self.payload(input, rules)
        } else if self.has(OVER) {
            *input = &[];
            return Ok(None);
        } else if self.half.is_empty() {
            self.header(input, rules, partials)
        } else {
            self.second_half(input, rules, partials)
        };
        if event.is_err() {
            self.end(partials);
        }
        event
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The next piece of the frame under way, or its end.
    #[inline]
    fn payload<'a>(
        &mut self,
        input: &mut &'a [u8],
        rules: &Rules,
    ) -> Result<Option<Event<'a>>, Violation> {
        if self.left == 0 {
            let message = self.has(LAST);
            self.flags &= !IN_FRAME;
            if message {
                self.flags &= !IN_MESSAGE;
            }
            return Ok(Some(Event::End { message }));
        }
        let n = input.len().min(self.left as usize);
        if n == 0 {
            return Ok(None);
        }
        let (bytes, rest) = input.split_at(n);
        *input = rest;
        self.left -= n as u32;
        let mask = (rules.role == Role::Server).then_some(self.mask);
        if rules.check_text
            && self.has(TEXT)
            && !(self.is_text(bytes, mask) && self.may_pause_here())
        {
            return Err(Violation::Text);
        }
        self.mask = self.mask.after(n);
        Ok(Some(Event::Payload(Payload { bytes, mask })))
    }

    fn is_text(&mut self, bytes: &[u8], mask: Option<Mask>) -> bool {
        let Some(mut mask) = mask else {
            return self.utf8.push(bytes);
        };
        if bytes.len() <= LOOK_SHORT {
            // Clearing the larger block would cost more than all the rest.
            let mut block = [0; LOOK_SHORT];
            let block = &mut block[..bytes.len()];
            block.copy_from_slice(bytes);
            mask.apply(block);
            return self.utf8.push(block);
        }
        let mut block = [0; LOOK];
        bytes.chunks(LOOK).all(|bytes| {
            let block = &mut block[..bytes.len()];
            block.copy_from_slice(bytes);
            mask = mask.apply(block);
            self.utf8.push(block)
        })
    }

    /// Whether a text message does not end within a character here. This is checked with its last piece, not after it,
    /// so that a caller that passes pieces on passes on nothing invalid.
    fn may_pause_here(&self) -> bool {
        self.left > 0 || !self.has(LAST) || self.utf8.is_whole()
    }

    /// Decodes the start of the frame at the start of `input`.
    #[inline]
    fn header<'a>(
        &mut self,
        input: &mut &'a [u8],
        rules: &Rules,
        partials: &mut Partials,
    ) -> Result<Option<Event<'a>>, Violation> {
        let Some((header, size)) = checked(input, rules)? else {
            partials.append(&mut self.half, input);
            *input = &[];
            return Ok(None);
        };
        if !header.opcode.is_control() {
            *input = &input[size..];
            return self.data(&header, rules).map(Some);
        }
        let end = size + header.length as usize;
        let Some(payload) = input.get(size..end) else {
            partials.append(&mut self.half, input);
            *input = &[];
            return Ok(None);
        };
        *input = &input[end..];
        self.control(&header, payload).map(Some)
    }

    /// Decodes the start of a frame whose first bytes are in the slot.
    #[cold]
    fn second_half<'a>(
        &mut self,
        input: &mut &'a [u8],
        rules: &Rules,
        partials: &mut Partials,
    ) -> Result<Option<Event<'a>>, Violation> {
        let mut whole = [0; MAX_HEADER + MAX_CONTROL];
        let first = partials.at(&self.half);
        let had = first.len().min(whole.len());
        let add = input.len().min(whole.len() - had);
        whole[..had].copy_from_slice(&first[..had]);
        whole[had..had + add].copy_from_slice(&input[..add]);
        let mut rest = &whole[..had + add];
        let (header, size) = match checked(rest, rules)? {
            Some((header, size)) if !header.opcode.is_control() => (header, size),
            Some((header, size)) if rest.len() >= size + header.length as usize => (header, size),
            _ => {
                partials.append(&mut self.half, input);
                *input = &[];
                return Ok(None);
            }
        };
        partials.drop_at(&mut self.half);
        rest = &rest[size..];
        if header.opcode.is_control() {
            let payload = &rest[..header.length as usize];
            // The slot held too little for the frame, so its end is in `input`.
            *input = &input[size + payload.len() - had..];
            self.control(&header, payload).map(Some)
        } else {
            *input = &input[size - had..];
            self.data(&header, rules).map(Some)
        }
    }

    /// A data frame begins.
    #[inline]
    fn data<'a>(&mut self, header: &Header, rules: &Rules) -> Result<Event<'a>, Violation> {
        if header.opcode == Opcode::Continuation {
            if !self.has(IN_MESSAGE) {
                return Err(Violation::Continuation);
            }
        } else {
            if self.has(IN_MESSAGE) {
                return Err(Violation::Interrupted);
            }
            self.message = 0;
            self.utf8 = Utf8::default();
            self.flags &= !TEXT;
            if header.opcode == Opcode::Text {
                self.flags |= TEXT;
            }
        }
        let room = rules.max_message.saturating_sub(self.message);
        let length = u32::try_from(header.length)
            .ok()
            .filter(|n| *n <= room)
            .ok_or(Violation::TooBig)?;
        self.message += length;
        self.left = length;
        self.mask = header.mask.unwrap_or_default();
        self.flags = (self.flags & !LAST) | IN_MESSAGE | IN_FRAME;
        if header.fin {
            self.flags |= LAST;
        }
        if rules.check_text && self.has(TEXT) && !self.may_pause_here() {
            return Err(Violation::Text);
        }
        Ok(Event::Start(Start {
            opcode: header.opcode,
            text: self.has(TEXT),
            fin: header.fin,
            length,
        }))
    }

    /// A control frame is complete.
    #[cold]
    fn control<'a>(&mut self, header: &Header, payload: &[u8]) -> Result<Event<'a>, Violation> {
        let control = Control::new(payload, header.mask);
        Ok(match header.opcode {
            Opcode::Ping => Event::Ping(control),
            Opcode::Pong => Event::Pong(control),
            _ => {
                match control.bytes() {
                    [] => {}
                    [_] => return Err(Violation::CloseLength),
                    [a, b, reason @ ..] => {
                        if !close::may_be_sent(u16::from_be_bytes([*a, *b])) {
                            return Err(Violation::CloseCode);
                        }
                        if std::str::from_utf8(reason).is_err() {
                            return Err(Violation::CloseReason);
                        }
                    }
                }
                self.flags |= OVER;
                Event::Close(control)
            }
        })
    }
}

/// Decodes the header at the start of `bytes`, and checks what does not depend on earlier frames.
#[inline]
fn checked(bytes: &[u8], rules: &Rules) -> Result<Option<(Header, usize)>, Violation> {
    if let [first, second, ..] = bytes {
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        match (rules.role, second & 0x80 != 0) {
            (Role::Server, false) => return Err(Violation::Unmasked),
            (Role::Client, true) => return Err(Violation::Masked),
            _ => {}
        }
    }
    Header::decode(bytes)
}

#[cfg(test)]
mod tests;
