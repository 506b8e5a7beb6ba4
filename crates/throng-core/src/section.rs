//! A section of a report as plain data: a title and rows. Protocols with counts of their own state them in such a
//! section; reports draw it.

/// A title and the rows under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The title.
    pub title: &'static str,
    /// Its rows, from top to bottom; a section without any is left out.
    pub rows: Vec<Row>,
}

/// One number of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its label; empty if it is that of the row above.
    pub label: &'static str,
    /// The number, as people read it.
    pub value: String,
    /// A remark on it; may be empty.
    pub note: String,
    /// Its tone.
    pub tone: Tone,
}

/// How good a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neutral.
    Plain,
    /// Worth a look.
    Odd,
    /// A failure.
    Bad,
}

impl Row {
    /// A row of this tone.
    pub fn new(
        tone: Tone,
        label: &'static str,
        value: impl Into<String>,
        note: impl Into<String>,
    ) -> Row {
        Row {
            label,
            value: value.into(),
            note: note.into(),
            tone,
        }
    }
}
