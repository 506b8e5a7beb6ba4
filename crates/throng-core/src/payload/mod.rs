//! The messages that are sent.
//!
//! [`parse`](parse()) reads a message as the user wrote it into a [`Message`], plain data: text, files, and the
//! [parts](Part) that differ between messages or connections. A [`Script`] lays messages out for sending. Constant
//! bytes are in memory once, and every connection of every worker sends from there. Other bytes are rendered into the
//! sender's buffer when they are due. A connection keeps a [`Cursor`], four bytes.

mod compile;
mod dice;
mod error;
mod escape;
mod first;
mod frame;
mod parse;
mod portion;
mod regex;
mod render;
mod script;
mod template;
mod track;
pub mod written;

pub use dice::Dice;
pub use error::{ParseError, ScriptError};
pub use escape::{EscapeError, unescape};
pub use first::FirstMessage;
pub use parse::{ParseOptions, parse};
pub use portion::{Cursor, MAX_MESSAGE, Portion, What};
pub use regex::{LONGEST as LONGEST_RANDOM, Regex, RegexError};
pub use render::Speaker;
pub use script::Script;
pub use template::{Frame, FrameKind, Framing, Message, Messages, Part, Scope, Size};
