//! Reading the small text files of `/proc` and `/sys`, with errors that name the file.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// The whole file; an error keeps its kind and gains the path.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// A file that holds one number.
pub(crate) fn read_number<T: FromStr>(path: impl AsRef<Path>) -> io::Result<T> {
    let path = path.as_ref();
    let text = read(path)?;
    text.trim().parse().map_err(|_| malformed(path, &text))
}

/// The error for a file whose content isn't what the kernel documents.
pub(crate) fn malformed(path: impl AsRef<Path>, content: &str) -> io::Error {
    let shown: String = content.trim().chars().take(80).collect();
    let path = path.as_ref().display();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{path}: unexpected content {shown:?}"),
    )
}
