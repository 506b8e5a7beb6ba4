//! How a message is read.

use std::io;

/// How a message is read.
#[derive(Clone, Copy)]
pub struct ParseOptions<'a> {
    /// Whether C escapes in the text are read (`-e`). Expressions, and escapes in their quoted data, always
    /// are.
    pub unescape: bool,
    /// Returns the bytes of the file named in `<FILE>`.
    pub files: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
}
