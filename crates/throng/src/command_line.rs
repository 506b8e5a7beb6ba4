//! The command line as results have it.

use std::os::unix::ffi::OsStrExt;

/// The words of the command line. Bytes that are not UTF-8 are escaped.
pub(crate) fn words() -> Vec<String> {
    std::env::args_os()
        .map(|word| printable(word.as_bytes()))
        .collect()
}

/// `bytes` as text, `\xHH` for each that is not UTF-8.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_not_utf_8_are_escaped() {
        for (bytes, text) in [
            (&b"-m"[..], "-m"),
            ("Grüße\n".as_bytes(), "Grüße\n"),
            (b"a\xffb\xc3", r"a\xffb\xc3"),
        ] {
            assert_eq!(printable(bytes), text);
        }
    }
}
