//! The command line as results have it, and the program that was called.

use crate::Failure;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The words of the command line. Bytes that are not UTF-8 are escaped, and there is no password of a NATS server among them.
pub(crate) fn words() -> Vec<String> {
    std::env::args_os()
        .map(|word| without_login(printable(word.as_bytes())))
        .collect()
}

/// A URL of a NATS server (`nats://USER:PASSWORD@HOST`, alone or behind `--nats=`) without the login; other words as they are.
fn without_login(word: String) -> String {
    for scheme in ["nats://", "tls://"] {
        if let Some((option, url)) = word.split_once(scheme)
            && (option.is_empty() || option == "--nats=")
            && let Some((_, host)) = url.rsplit_once('@')
        {
            return format!("{option}{scheme}***@{host}");
        }
    }
    word
}

/// The file of this program, which other processes are to run.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|e| Failure::fault(format!("can't find throng's own program: {e}")))
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
    fn passwords_of_servers_are_left_out() {
        for (word, shown) in [
            ("nats://me:se@cret@h:1", "nats://***@h:1"),
            ("--nats=tls://token@h", "--nats=tls://***@h"),
            ("tls://h", "tls://h"),
            ("me@h", "me@h"),
            ("x nats://a@b", "x nats://a@b"),
        ] {
            assert_eq!(without_login(word.into()), shown);
        }
    }

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
