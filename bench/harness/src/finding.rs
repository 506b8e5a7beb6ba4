//! What throng found worth knowing, whichever version of it is measured.

use serde::Deserialize;

/// A finding of throng's summary.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Finding {
    /// Up to version 1 of the summary: a sentence.
    Sentence(String),
    /// From version 2 on: a sentence beside its kind.
    Kind {
        /// The sentence.
        text: String,
    },
}

impl Finding {
    /// The sentence.
    pub fn text(&self) -> &str {
        match self {
            Finding::Sentence(text) | Finding::Kind { text } => text,
        }
    }
}
