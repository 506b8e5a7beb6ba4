//! Messages that are longer than the server takes go in pieces, each with a header that says which one it is. A piece that got lost
//! takes its message along: what matters is sent again until it is answered.

use crate::message::MessageError;
use std::fmt;
use std::str::FromStr;

/// The header that says which piece of a message this is. A message in one piece has none.
pub(super) const HEADER: &str = "Throng-Piece";

/// Which piece of which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The message's number.
    message: u64,
    /// From 0.
    nth: u32,
    /// How many there are.
    of: u32,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} {}", self.message, self.nth, self.of)
    }
}

impl FromStr for Piece {
    type Err = ();

    fn from_str(text: &str) -> Result<Piece, ()> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(());
        let (message, nth, of) = (next()?, next()?, next()?);
        let piece = Piece {
            message: message.parse().map_err(|_| ())?,
            nth: nth.parse().map_err(|_| ())?,
            of: of.parse().map_err(|_| ())?,
        };
        match words.next() {
            None if piece.nth < piece.of => Ok(piece),
            _ => Err(()),
        }
    }
}

/// Message number `message` in pieces of at most `most` bytes. One that is short enough stays whole, and has no header.
pub(super) fn split(bytes: Vec<u8>, most: usize, message: u64) -> Vec<(Option<Piece>, Vec<u8>)> {
    if bytes.len() <= most {
        return vec![(None, bytes)];
    }
    let pieces = bytes.chunks(most.max(1));
    let of = pieces.len() as u32;
    let numbered = pieces.zip(0..).map(|(bytes, nth)| {
        let piece = Piece { message, nth, of };
        (Some(piece), bytes.to_vec())
    });
    numbered.collect()
}

/// Puts pieces from one sender together.
pub(super) struct Joined {
    /// The longest message, in bytes.
    most: usize,
    /// The piece that is next, and what there is before it.
    next: Option<Piece>,
    bytes: Vec<u8>,
}

impl Joined {
    /// Messages have at most this many bytes.
    pub fn new(most: usize) -> Joined {
        Joined {
            most,
            next: None,
            bytes: Vec::new(),
        }
    }

    /// A piece, with the text of its header. Returns a message that is complete, or one that is refused.
    pub fn take(
        &mut self,
        header: Option<&str>,
        bytes: &[u8],
    ) -> Option<Result<Vec<u8>, MessageError>> {
        let Some(header) = header else {
            return Some(match bytes.len() > self.most {
                true => Err(MessageError::TooLong(self.most)),
                false => Ok(bytes.to_vec()),
            });
        };
        let Ok(piece) = header.parse::<Piece>() else {
            let why = "its header says of no piece which one it is";
            return Some(Err(MessageError::Malformed(why.into())));
        };
        if piece.nth == 0 {
            self.bytes.clear();
        } else if self.next != Some(piece) {
            // One before it is missing.
            self.next = None;
            return None;
        }
        self.next = None;
        if self.bytes.len() + bytes.len() > self.most {
            self.bytes = Vec::new();
            return Some(Err(MessageError::TooLong(self.most)));
        }
        self.bytes.extend_from_slice(bytes);
        let next = Piece {
            nth: piece.nth + 1,
            ..piece
        };
        if next.nth == next.of {
            return Some(Ok(std::mem::take(&mut self.bytes)));
        }
        self.next = Some(next);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `joined` makes of these pieces.
    fn join(
        joined: &mut Joined,
        pieces: &[(Option<Piece>, Vec<u8>)],
    ) -> Vec<Result<Vec<u8>, MessageError>> {
        let taken = pieces.iter().filter_map(|(piece, bytes)| {
            joined.take(piece.map(|p| p.to_string()).as_deref(), bytes)
        });
        taken.collect()
    }

    proptest! {
        #[test]
        fn messages_are_whole_again_and_one_without_a_piece_is_nothing(
            message in prop::collection::vec(any::<u8>(), 0..200),
            most in 1..50usize,
            lost in any::<prop::sample::Index>(),
        ) {
            let pieces = split(message.clone(), most, 7);
            prop_assert!(pieces.iter().all(|(_, bytes)| bytes.len() <= most));
            let mut joined = Joined::new(200);
            prop_assert_eq!(join(&mut joined, &pieces), vec![Ok(message.clone())]);
            let mut some = pieces.clone();
            some.remove(lost.index(pieces.len()));
            prop_assert_eq!(join(&mut joined, &some), vec![]);
            prop_assert_eq!(join(&mut joined, &pieces), vec![Ok(message)]);
        }
    }

    #[test]
    fn what_is_too_long_or_no_piece_is_refused_once() {
        let mut joined = Joined::new(10);
        let too_long = Err(MessageError::TooLong(10));
        assert_eq!(
            join(&mut joined, &split(vec![0; 25], 4, 1)),
            std::slice::from_ref(&too_long)
        );
        assert_eq!(join(&mut joined, &split(vec![0; 11], 20, 1)), [too_long]);
        for header in ["", "1 2", "1 2 2", "1 0 2 3", "x 0 1"] {
            let taken = joined.take(Some(header), b"x");
            assert!(
                matches!(taken, Some(Err(MessageError::Malformed(_)))),
                "{header}"
            );
        }
    }
}
