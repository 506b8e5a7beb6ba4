//! The frame of every page: style and script are in it, and nothing is fetched from elsewhere. That of a page that is served
//! has them beside it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style of all pages.
pub(super) const STYLE: &str = include_str!("page.css");
/// What all pages do where there is JavaScript.
pub(super) const SCRIPT: &str = include_str!("page.js");
/// What a browser may load for a page that is a file: nothing but what is in it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A page of its own.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let head = html! {
        meta http-equiv="Content-Security-Policy" content=(POLICY);
        style { (PreEscaped(STYLE)) }
    };
    let body = html! {
        main { (body) }
        script { (PreEscaped(SCRIPT)) }
    };
    framed(title, &head, &body)
}

/// A page with this in its `<head>` and its `<body>`.
pub(super) fn framed(title: &str, head: &Markup, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // Without one, browsers ask the server for an icon.
                link rel="icon" href="data:,";
                (head)
            }
            body { (body) }
        }
    };
    page.into_string()
}
