//! Places that values come from: the file, or a `--set`.

use std::fmt;
use std::str::FromStr;

/// Where a value or a key was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file, at this byte.
    File(usize),
    /// In the `--set` with this index.
    Set(usize),
}

/// A value that replaces the file's: `--set KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The path of keys.
    pub(super) path: Vec<String>,
    /// TOML, or else text without quotes.
    pub(super) value: String,
}

/// Why the text of a [`Set`] could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not KEY=VALUE; write it like load.connections=10k", crate::units::quoted(.0))]
pub struct SetError(
    /// The text.
    String,
);

impl FromStr for Set {
    type Err = SetError;
    fn from_str(text: &str) -> Result<Set, SetError> {
        let wrong = || SetError(text.to_owned());
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let path: Vec<String> = path.split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Set {
            path,
            value: value.trim().to_owned(),
        })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace(char::is_control, "·");
        write!(f, "--set {}={value}", self.path.join("."))
    }
}
