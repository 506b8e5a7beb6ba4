//! Reads the small text files of `/proc` and `/sys`. Errors name the file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

/// The size of the first read, in bytes: nearly all of these files are smaller.
const FIRST_READ: usize = 4096;

/// The whole file. An error keeps its kind and gains the path.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    read_plainly(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// The whole file, with errors as they are.
pub(crate) fn read_plainly(path: &Path) -> io::Result<String> {
    let mut first = FIRST_READ;
    loop {
        let mut file = File::open(path)?;
        let mut bytes = vec![0; first];
        let length = file.read(&mut bytes)?;
        // The kernel returns a list of ports (`ip_local_reserved_ports`) to the first read only, cut to that read's
        // length. A read that was filled is repeated with a longer buffer.
        if length == first {
            first *= 8;
            continue;
        }
        bytes.truncate(length);
        file.read_to_end(&mut bytes)?;
        return String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"));
    }
}

/// A file that holds one number.
pub(crate) fn read_number<T: FromStr>(path: impl AsRef<Path>) -> io::Result<T> {
    let path = path.as_ref();
    let text = read(path)?;
    text.trim().parse().map_err(|_| malformed(path, &text))
}

/// The error for a file whose content is not as the kernel documents it.
pub(crate) fn malformed(path: impl AsRef<Path>, content: &str) -> io::Error {
    let shown: String = content.trim().chars().take(80).collect();
    let path = path.as_ref().display();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{path}: unexpected content {shown:?}"),
    )
}
