//! A header field that the user adds to requests.

use crate::protocol::options::{Flag, Takes};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A header field that the user adds to requests: `Name: value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Field {
    name: String,
    value: String,
}

impl Field {
    /// The option that adds one.
    pub(crate) const FLAG: Flag = Flag {
        long: "header",
        alias: None,
        short: Some('H'),
        takes: Takes::Template("NAME: VALUE"),
        help: "Header to add to HTTP requests or to the WebSocket handshake; repeatable",
        asks: false,
    };

    /// Reads one that is the same on each connection.
    ///
    /// # Errors
    /// It is not valid, or has an expression in its value.
    pub(crate) fn fixed(text: &str) -> Result<Field, FieldError> {
        let field: Field = text.parse()?;
        match field.value.contains("\\{") {
            true => Err(FieldError {
                text: text.into(),
                fault: FieldFault::Varies,
            }),
            false => Ok(field),
        }
    }

    /// Its name, as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, without blanks around it.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it has this name, in any case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Why a header field is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// There is no colon.
    #[error("has no colon between name and value")]
    NoColon,
    /// The name before the colon is empty.
    #[error("has no name before its colon")]
    NoName,
    /// The name has a character that is not allowed (RFC 9110, section 5.6.2).
    #[error("has {0:?} in its name")]
    InName(char),
    /// The value has a control character.
    #[error("has {0:?} in its value")]
    InValue(char),
    /// The value has an expression, and must be the same on each connection.
    #[error("must be the same on each connection: it can't contain \\{{…}}")]
    Varies,
}

/// A header field that is not valid. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {text:?} {fault}; write it like 'Origin: http://example.com'")]
pub struct FieldError {
    /// The field as written.
    pub text: String,
    /// What is wrong with it.
    pub fault: FieldFault,
}

/// Whether `c` is allowed in the name of a header field (RFC 9110, section 5.6.2).
pub(crate) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Reads `Name: value` (RFC 9112, section 5).
impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Field, FieldError> {
        let wrong = |fault| FieldError {
            text: text.into(),
            fault,
        };
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| wrong(FieldFault::NoColon))?;
        if name.is_empty() {
            return Err(wrong(FieldFault::NoName));
        }
        if let Some(c) = name.chars().find(|c| !is_token(*c)) {
            return Err(wrong(FieldFault::InName(c)));
        }
        if let Some(c) = value.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(wrong(FieldFault::InValue(c)));
        }
        Ok(Field {
            name: name.into(),
            value: value.trim_matches([' ', '\t']).into(),
        })
    }
}

impl TryFrom<String> for Field {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Field, FieldError> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> String {
        format!("{}: {}", field.name, field.value)
    }
}
