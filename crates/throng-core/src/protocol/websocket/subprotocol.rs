//! Subprotocols (RFC 6455, section 1.9): what is asked for, and which one a server chose.

use crate::stats::kinds;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The name of a subprotocol: a token (RFC 9110, section 5.6.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subprotocol(String);

/// A text is no [`Subprotocol`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a subprotocol; write names without blanks, such as chat,superchat")]
pub struct SubprotocolError(String);

impl Subprotocol {
    /// Reads names with commas between them.
    ///
    /// # Errors
    /// One of them is no name.
    pub fn list(text: &str) -> Result<Vec<Subprotocol>, SubprotocolError> {
        text.split(',').map(|name| name.trim().parse()).collect()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subprotocol {
    type Err = SubprotocolError;

    fn from_str(text: &str) -> Result<Subprotocol, SubprotocolError> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        match !text.is_empty() && text.chars().all(token) {
            true => Ok(Subprotocol(text.into())),
            false => Err(SubprotocolError(text.into())),
        }
    }
}

impl TryFrom<String> for Subprotocol {
    type Error = SubprotocolError;
    fn try_from(text: String) -> Result<Subprotocol, SubprotocolError> {
        text.parse()
    }
}

impl From<Subprotocol> for String {
    fn from(name: Subprotocol) -> String {
        name.0
    }
}

impl fmt::Display for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

kinds! {
    /// Which subprotocol the server chose on a connection: the place of its name among those that this side asked for,
    /// or serves.
    pub enum Choice {
        /// None.
        None: "none";
        /// The first one.
        First: "1";
        /// The second one.
        Second: "2";
        /// The third one.
        Third: "3";
        /// The fourth one.
        Fourth: "4";
        /// The fifth one.
        Fifth: "5";
        /// The sixth one.
        Sixth: "6";
        /// The seventh one.
        Seventh: "7";
        /// The eighth one.
        Eighth: "8";
        /// A later one.
        Later: "later";
    }
}

impl Choice {
    /// The choice of the name at `place`, counted from 0; `None` for no subprotocol.
    pub fn of(place: Option<usize>) -> Choice {
        match place {
            None => Choice::None,
            Some(place) => *Choice::ALL.get(place + 1).unwrap_or(&Choice::Later),
        }
    }
}

/// Counts of choices by the names that were asked for. Places without a name keep their number.
pub(super) fn by_name(
    counts: &BTreeMap<String, u64>,
    names: &[Subprotocol],
) -> BTreeMap<String, u64> {
    let named = |key: &String| {
        let place = key.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let name = place.and_then(|place| names.get(place));
        name.map_or_else(|| key.clone(), |name| name.0.clone())
    };
    let mut all = BTreeMap::new();
    for (key, n) in counts {
        *all.entry(named(key)).or_default() += n;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_with_commas_between_them() {
        let names = Subprotocol::list("graphql-transport-ws, v12.stomp").unwrap();
        let names: Vec<&str> = names.iter().map(Subprotocol::name).collect();
        assert_eq!(names, ["graphql-transport-ws", "v12.stomp"]);
        for wrong in ["", "a,", "a b", "a;q=1", "ä", "a\r\nX: y"] {
            let error = Subprotocol::list(wrong).unwrap_err().to_string();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn choices_are_counted_by_place_and_told_by_name() {
        assert_eq!(Choice::of(None).name(), "none");
        for place in 0..8 {
            assert_eq!(Choice::of(Some(place)).name(), (place + 1).to_string());
        }
        assert_eq!(Choice::of(Some(8)), Choice::Later);
        let counts = BTreeMap::from([("none", 1), ("1", 2), ("3", 4), ("later", 5)]);
        let counts = counts.into_iter().map(|(k, n)| (k.to_owned(), n)).collect();
        let names = Subprotocol::list("chat,superchat").unwrap();
        let told: Vec<_> = by_name(&counts, &names).into_iter().collect();
        let expected = [("3", 4), ("chat", 2), ("later", 5), ("none", 1)];
        assert_eq!(told, expected.map(|(k, n)| (k.to_owned(), n)));
    }
}
