//! Reads messages, markers and headers from the command line or from files.

use crate::Failure;
use crate::cli::{MessageArgs, MessageSource, When};
use crate::files::{self, Named};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use throng_core::payload::{Message, Messages, ParseOptions, Part, parse};
use throng_core::protocol::OptionFile;

/// How many characters of a text an error message repeats.
const SHOWN: usize = 60;

/// Every message, in the order of the command line.
pub(super) fn messages(args: &MessageArgs) -> Result<Messages, Failure> {
    let mut all = Messages::default();
    for one in &args.given {
        let message = match &one.from {
            MessageSource::Inline(text) => read(&shown(one.option, text), text, args.unescape)?,
            MessageSource::File(path) => {
                let origin = format!("{} {}", one.option, path.display());
                let text =
                    files::read(path).map_err(|e| Failure::usage(format!("{origin}: {e}")))?;
                read(&origin, &text, args.unescape)?
            }
        };
        match one.when {
            When::First => all.first.push(message),
            When::Repeated => all.repeated.push(message),
        }
    }
    Ok(all)
}

/// The files that messages are read from, those that they name in `\{<…>}` included.
pub(crate) fn inputs(args: &MessageArgs) -> Vec<Named> {
    let all = RefCell::new(Vec::new());
    for one in &args.given {
        let note = |path: &Path| all.borrow_mut().push(Named::new(one.option, path));
        let text = match &one.from {
            MessageSource::Inline(text) => text.clone(),
            MessageSource::File(path) => {
                note(path);
                files::read(path).unwrap_or_default()
            }
        };
        let options = ParseOptions {
            unescape: args.unescape,
            files: &|path| {
                note(Path::new(path));
                files::read(path)
            },
        };
        // What is wrong with a message was reported when it was read.
        let _ = parse(&text, &options);
    }
    all.into_inner()
}

/// The option and its text for an error message: on one line, and cut if it is long.
fn shown(option: &str, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut cut: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '·' } else { c })
        .collect();
    if text.chars().count() > SHOWN {
        cut += "…";
    }
    format!("{option} '{cut}'")
}

fn read(origin: &str, text: &[u8], unescape: bool) -> Result<Message, Failure> {
    let options = ParseOptions {
        unescape,
        files: &|path| files::read(path),
    };
    parse(text, &options).map_err(|e| Failure::usage(format!("{origin}: {e}")))
}

/// Joins several messages into one, in which each has a frame of its own if they are `framed`.
pub(super) fn join(messages: &mut Vec<Message>, framed: bool) {
    if messages.len() > 1 {
        let parts = messages.drain(..).flat_map(|m| match framed {
            true => m.framed().parts,
            false => m.parts,
        });
        let joined = Message::joined(parts);
        messages.push(joined);
    }
}

/// A text to look for in received data. It must not be empty.
pub(super) fn marker(option: &str, value: &OsStr, unescape: bool) -> Result<Message, Failure> {
    let message = read(&shown(option, value.as_bytes()), value.as_bytes(), unescape)?;
    match message.says_something() {
        true => Ok(message),
        false => Err(Failure::usage(format!("{option} needs a text to look for"))),
    }
}

/// A text to look for that must be the same on each connection.
pub(super) fn fixed(option: &str, value: &OsStr, unescape: bool) -> Result<Vec<u8>, Failure> {
    let varies = || {
        let origin = shown(option, value.as_bytes());
        Failure::usage(format!(
            "{origin} must be the same on each connection: it can't contain \\{{…}}"
        ))
    };
    marker(option, value, unescape)?
        .constant()
        .ok_or_else(varies)
}

/// A text with expressions, as a protocol reads it: escapes in it are interpreted, if they are to be.
pub(super) fn template(option: &str, value: &OsStr, unescape: bool) -> Result<String, Failure> {
    let origin = shown(option, value.as_bytes());
    let no_text = || Failure::usage(format!("{origin}: is no text"));
    let message = read(&origin, value.as_bytes(), unescape)?;
    if !unescape {
        return value.to_str().map(str::to_owned).ok_or_else(no_text);
    }
    let mut text = String::new();
    for part in message.parts {
        match part {
            Part::Bytes(bytes) => text += str::from_utf8(&bytes).map_err(|_| no_text())?,
            part => {
                let one = Message { parts: vec![part] };
                text += &one.written().ok_or_else(no_text)?;
            }
        }
    }
    Ok(text)
}

/// Passes a file that is the value of an option to `then`. Files that it names are beside it.
pub(super) fn with_file<E: std::fmt::Display>(
    name: &OsStr,
    then: impl FnOnce(&OptionFile) -> Result<(), E>,
) -> Result<(), String> {
    let path = Path::new(name);
    let content = files::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    let file = OptionFile {
        name: &path.display().to_string(),
        content: &content,
        files: &|name| files::read(beside.join(name)),
    };
    then(&file).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_seen_wherever_they_stand() {
        for (text, marked) in [
            ("x", false),
            (r"a\{message.marker}", true),
            (r"\{ message.marker }", true),
            (r#"\{ws.ping "a"}"#, false),
            (r"\{raw {message.marker}}", true),
            (r"\{connection.uid}", false),
        ] {
            let message = marker("--message", OsStr::new(text), false).unwrap();
            assert_eq!(message.has_marker(), marked, "{text}");
        }
    }
}
