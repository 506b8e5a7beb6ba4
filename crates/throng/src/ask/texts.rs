//! Messages, markers and headers: read from the command line and from files, in their order.

use crate::Failure;
use crate::cli::{MessageArgs, MessageFrom};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use throng_core::payload::unescape;
use throng_core::scenario::{MessageSource, Text, When};

/// The largest message: offsets in a template are 32 bits wide.
const MAX_MESSAGE: usize = 1 << 30;

/// What follows an option in an error message; longer texts are cut.
const SHOWN: usize = 60;

/// Every message, in the order of the command line. Escapes are tried, so that a wrong one is told
/// before anything else happens.
pub(super) fn messages(args: &MessageArgs) -> Result<Vec<MessageSource>, Failure> {
    let mut all = Vec::with_capacity(args.given.len());
    for one in &args.given {
        let text = match &one.from {
            MessageFrom::Inline(bytes) => inline(one.option, bytes.clone(), args.unescape)?,
            MessageFrom::File(path) => {
                let origin = format!("{} {}", one.option, path.display());
                let bytes =
                    std::fs::read(path).map_err(|e| Failure::usage(format!("{origin}: {e}")))?;
                checked(bytes, args.unescape, origin)?
            }
        };
        all.push(MessageSource {
            when: one.when,
            text,
        });
    }
    for when in [When::First, When::Repeated] {
        let bytes: usize = of(&all, when).map(|text| text.bytes.len()).sum();
        if bytes > MAX_MESSAGE {
            return Err(Failure::usage(format!(
                "the messages are {bytes} bytes long together; at most 1 GiB is possible"
            )));
        }
    }
    Ok(all)
}

/// The texts that are sent then.
pub(super) fn of(all: &[MessageSource], when: When) -> impl Iterator<Item = &Text> {
    let wanted = move |source: &&MessageSource| source.when == when;
    all.iter().filter(wanted).map(|source| &source.text)
}

/// A marker, something to stop at: an option's value that must not be empty.
pub(super) fn needed(option: &str, value: &OsStr, unescape: bool) -> Result<Text, Failure> {
    let text = inline(option, value.as_bytes().to_vec(), unescape)?;
    if text.bytes.is_empty() {
        return Err(Failure::usage(format!("{option} needs a text to look for")));
    }
    Ok(text)
}

/// A header of an HTTP request: one line, a name and a colon (RFC 9112 section 5).
pub(super) fn header(value: &OsStr, unescape_it: bool) -> Result<Text, Failure> {
    let text = inline("--header", value.as_bytes().to_vec(), unescape_it)?;
    let plain = match unescape_it {
        true => unescape(&text.bytes).unwrap_or_default(),
        false => text.bytes.clone(),
    };
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let name = plain.split(|b| *b == b':').next().unwrap_or_default();
    let named = !name.is_empty() && name.len() < plain.len() && name.iter().all(token);
    if !named || plain.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Err(Failure::usage(format!(
            "{} is not a header; write one line like 'Origin: https://example.com'",
            text.origin
        )));
    }
    Ok(text)
}

fn inline(option: &str, bytes: Vec<u8>, unescape: bool) -> Result<Text, Failure> {
    let shown = String::from_utf8_lossy(&bytes);
    // One line, whatever is in it.
    let mut cut: String = shown
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '·' } else { c })
        .collect();
    if shown.chars().count() > SHOWN {
        cut += "…";
    }
    let origin = format!("{option} '{cut}'");
    checked(bytes, unescape, origin)
}

fn checked(bytes: Vec<u8>, unescape_it: bool, origin: String) -> Result<Text, Failure> {
    if unescape_it {
        unescape(&bytes).map_err(|e| Failure::usage(format!("{origin}: {e}")))?;
    }
    Ok(Text {
        bytes,
        unescape: unescape_it,
        origin,
    })
}
