//! Results inside a page: data that no browser runs, and that throng reads back.

use maud::{Markup, PreEscaped, html};

/// What an element begins with, up to what is in it.
const OPENING: &str = r#"<script type="application/json" id="throng-"#;
const CLOSING: &[u8] = b"</script>";

/// What an element has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The result of a run.
    Result,
    /// The result of a sweep.
    Sweep,
    /// Which results of the page are compared.
    Comparison,
    /// Sweeps that are compared, and which results of the page are their trials.
    ByPoint,
}

impl Kind {
    /// What the `id` of its elements has after `throng-`, before a number.
    fn id(self) -> &'static str {
        match self {
            Kind::Result => "result",
            Kind::Sweep => "sweep",
            Kind::Comparison => "comparison",
            Kind::ByPoint => "by-point",
        }
    }

    fn opening(self) -> String {
        format!("{OPENING}{}", self.id())
    }
}

/// The element with this number among those of its kind on its page, from 1. Its text is JSON in which nothing ends the
/// element: `<` occurs in strings only, and is written as an escape there.
pub(super) fn element(kind: Kind, json: &str, number: usize) -> Markup {
    let safe = json.replace('<', "\\u003c");
    let nth = match number {
        1 => String::new(),
        n => format!("-{n}"),
    };
    html! { (PreEscaped(format!("{}{nth}\">{safe}</script>", kind.opening()))) }
}

/// Whether `bytes` are a page, and not JSON.
pub(crate) fn is_page(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"<")
}

/// The JSON of each element of a kind in a page, in the order of the page.
pub(crate) fn found(kind: Kind, page: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = page;
    let opening = kind.opening();
    std::iter::from_fn(move || {
        let begins = find(rest, opening.as_bytes())? + opening.len();
        rest = &rest[begins..];
        let begins = find(rest, b">")? + 1;
        rest = &rest[begins..];
        // A page that is cut off has no end: what reads the JSON says so.
        let ends = find(rest, CLOSING).unwrap_or(rest.len());
        let (json, after) = rest.split_at(ends);
        rest = after;
        Some(json)
    })
}

fn find(all: &[u8], wanted: &[u8]) -> Option<usize> {
    all.windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_into_a_page_is_what_is_read_back() {
        let first = r#"{"command":["</script><script>alert(1)</script>","<!--"]}"#;
        let page = html! {
            p { (first) }
            (element(Kind::Result, first, 1))
            (element(Kind::Sweep, "[]", 1))
            (element(Kind::Result, "{}", 2))
        };
        let page = page.into_string();
        assert_eq!(page.matches("<script").count(), 3, "{page}");
        let results = |page| found(Kind::Result, page);
        let read: Vec<&[u8]> = results(page.as_bytes()).collect();
        let value = |bytes| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        assert_eq!(value(read[0]), value(first.as_bytes()));
        assert_eq!((read[1], read.len()), (&b"{}"[..], 2));
        let sweeps: Vec<&[u8]> = found(Kind::Sweep, page.as_bytes()).collect();
        assert_eq!(sweeps, [b"[]"]);
        assert!(is_page(b"\n<!DOCTYPE html>") && !is_page(b" {}"));
        assert_eq!(results(b"<html></html>").count(), 0);
        let cut = &page.as_bytes()[..page.rfind("alert").unwrap()];
        assert_eq!(results(cut).count(), 1);
    }
}
