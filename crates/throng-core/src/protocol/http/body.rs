//! The body of a message: how long it is, and its pieces (RFC 9112, sections 6 and 7).

use super::malformed::Malformed;

/// The longest line of a chunk's size with its extensions, in bytes.
const MAX_CHUNK_LINE: u16 = 4096;
/// The longest trailer section, in bytes.
const MAX_TRAILERS: u16 = 16 * 1024;

/// A body as it is read: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// Bytes still to come: of a body whose length is known, or of a chunk.
    left: u64,
    /// Bytes of the chunk line, or of the trailers, so far.
    line: u16,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing: the body is over.
    #[default]
    Over,
    /// Bytes of a body whose length is known.
    Sized,
    /// Bytes, until the peer closes the connection.
    UntilClose,
    /// The first digit of a chunk's size.
    Size,
    /// Further digits.
    Digits,
    /// Blanks behind them.
    Blank,
    /// Extensions, up to the end of the line.
    Extension,
    /// LF after the size.
    SizeEnd,
    /// Bytes of a chunk.
    Chunk,
    /// CR, then LF, after a chunk.
    ChunkCr,
    ChunkLf,
    /// The first byte of a line of the trailers.
    Trailer,
    /// The rest of such a line.
    TrailerLine,
    /// LF at its end.
    TrailerLf,
    /// LF of the empty line at the end.
    LastLf,
}

/// A step in reading a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Bytes of it.
    Data(&'a [u8]),
    /// It is over.
    End,
    /// The input is used up.
    More,
}

impl Body {
    /// None at all.
    pub(crate) const NONE: Body = Body::of(0, Stage::Over);
    /// Chunks (RFC 9112, section 7.1).
    pub(crate) const CHUNKED: Body = Body::of(0, Stage::Size);
    /// Everything until the peer closes.
    pub(crate) const UNTIL_CLOSE: Body = Body::of(0, Stage::UntilClose);

    const fn of(left: u64, stage: Stage) -> Body {
        Body {
            left,
            line: 0,
            stage,
        }
    }

    /// This many bytes.
    pub(crate) const fn sized(bytes: u64) -> Body {
        match bytes {
            0 => Body::NONE,
            left => Body::of(left, Stage::Sized),
        }
    }

    /// Whether nothing of it is to come.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether it ends when the peer closes.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.stage == Stage::UntilClose
    }

    /// Its length, if that is known and nothing of it was read yet; `None` of chunks.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.stage {
            Stage::Over => Some(0),
            Stage::Sized => Some(self.left),
            _ => None,
        }
    }

    /// How many bytes of data come next, without the last one of the body or the chunk.
    #[inline]
    pub(crate) fn before_last_byte(&self) -> u64 {
        match self.stage {
            Stage::Sized | Stage::Chunk => self.left - 1,
            Stage::UntilClose => u64::MAX,
            _ => 0,
        }
    }

    /// Passes over `bytes` of them.
    pub(crate) fn skip(&mut self, bytes: u64) {
        if self.stage != Stage::UntilClose {
            self.left -= bytes;
        }
    }

    /// Takes the next piece from `input`.
    ///
    /// # Errors
    /// The chunks are wrong.
    #[inline]
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, Malformed> {
        match self.stage {
            Stage::Over => Ok(Piece::End),
            _ if input.is_empty() => Ok(Piece::More),
            Stage::Sized => Ok(self.data(input, Stage::Over)),
            Stage::UntilClose => Ok(Piece::Data(std::mem::take(input))),
            Stage::Chunk => Ok(self.data(input, Stage::ChunkCr)),
            _ => self.between_chunks(input),
        }
    }

    /// As much of what is left as `input` has; `then` comes behind it.
    fn data<'a>(&mut self, input: &mut &'a [u8], then: Stage) -> Piece<'a> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (data, rest) = input.split_at(input.len().min(most));
        *input = rest;
        self.left -= data.len() as u64;
        if self.left == 0 {
            self.stage = then;
        }
        Piece::Data(data)
    }

    /// What surrounds chunks, byte by byte, until a chunk or the end of the body.
    fn between_chunks<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, Malformed> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            self.stage = self.after(*byte)?;
            match self.stage {
                Stage::Over => return Ok(Piece::End),
                Stage::Chunk if rest.is_empty() => return Ok(Piece::More),
                Stage::Chunk => return Ok(self.data(input, Stage::ChunkCr)),
                _ => {}
            }
        }
        Ok(Piece::More)
    }

    /// The stage after `byte`.
    fn after(&mut self, byte: u8) -> Result<Stage, Malformed> {
        let line = |body: &mut Body, most, wrong| {
            body.line += 1;
            match body.line > most {
                true => Err(wrong),
                false => Ok(()),
            }
        };
        Ok(match (self.stage, byte) {
            (Stage::Size, _) => {
                self.left = hex(byte)?;
                self.line = 1;
                Stage::Digits
            }
            (Stage::Digits | Stage::Blank | Stage::Extension, b'\r') => Stage::SizeEnd,
            (Stage::Digits | Stage::Blank, b';') => Stage::Extension,
            // Blanks before an extension are bad, and to be accepted (RFC 9112, section 7.1.1).
            (Stage::Digits | Stage::Blank, b' ' | b'\t') => {
                line(self, MAX_CHUNK_LINE, Malformed::BadChunk)?;
                Stage::Blank
            }
            (Stage::Digits, _) => {
                line(self, MAX_CHUNK_LINE, Malformed::BadChunk)?;
                if self.left >> 60 != 0 {
                    return Err(Malformed::BadChunk);
                }
                self.left = self.left << 4 | hex(byte)?;
                Stage::Digits
            }
            (Stage::Extension, b'\n' | 0) => return Err(Malformed::BadChunk),
            (Stage::Extension, _) => {
                line(self, MAX_CHUNK_LINE, Malformed::BadChunk)?;
                Stage::Extension
            }
            (Stage::SizeEnd, b'\n') if self.left == 0 => {
                self.line = 0;
                Stage::Trailer
            }
            (Stage::SizeEnd, b'\n') => Stage::Chunk,
            (Stage::ChunkCr, b'\r') => Stage::ChunkLf,
            (Stage::ChunkLf, b'\n') => Stage::Size,
            (Stage::Trailer, b'\r') => Stage::LastLf,
            // A line that is folded, or that has no name (RFC 9112, section 5).
            (Stage::Trailer, b' ' | b'\t' | b':' | b'\n') => return Err(Malformed::BadTrailer),
            (Stage::TrailerLine, b'\r') => Stage::TrailerLf,
            (Stage::Trailer | Stage::TrailerLine, b'\n' | 0) => return Err(Malformed::BadTrailer),
            (Stage::Trailer | Stage::TrailerLine, _) => {
                line(self, MAX_TRAILERS, Malformed::BadTrailer)?;
                Stage::TrailerLine
            }
            (Stage::TrailerLf, b'\n') => Stage::Trailer,
            (Stage::LastLf, b'\n') => Stage::Over,
            (Stage::TrailerLf | Stage::LastLf, _) => return Err(Malformed::BadTrailer),
            _ => return Err(Malformed::BadChunk),
        })
    }
}

fn hex(digit: u8) -> Result<u64, Malformed> {
    let value = char::from(digit).to_digit(16);
    value.map(u64::from).ok_or(Malformed::BadChunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All bytes of `body` in `input`, and how much of the input is behind it; `None` if it is not over.
    fn read(mut body: Body, pieces: &[&[u8]]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let mut all = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match body.next(&mut input)? {
                    Piece::Data(data) => all.extend_from_slice(data),
                    Piece::End => return Ok(Some((all, input.len()))),
                    Piece::More => break,
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn a_body_takes_16_bytes() {
        assert_eq!(size_of::<Body>(), 16);
    }

    #[test]
    fn bodies_end_where_they_say() {
        let chunks = b"4\r\nWiki\r\n6;x=\"a\"\r\npedia \r\nE \r\nin \r\n\r\nchunks.\r\n0\r\nExpires: x\r\n\r\nrest";
        for (body, input, data, behind) in [
            (Body::NONE, &b"rest"[..], "", 4),
            (Body::sized(0), b"rest", "", 4),
            (Body::sized(3), b"abcrest", "abc", 4),
            (Body::CHUNKED, chunks, "Wikipedia in \r\n\r\nchunks.", 4),
            (Body::CHUNKED, b"0\r\n\r\n", "", 0),
            (
                Body::CHUNKED,
                b"0000a\r\n0123456789\r\n00\r\n\r\n",
                "0123456789",
                0,
            ),
        ] {
            assert_eq!(read(body, &[input]), Ok(Some((data.into(), behind))));
            // Cut anywhere.
            for at in 0..=input.len() - behind {
                let (a, b) = input.split_at(at);
                let (all, _) = read(body, &[a, b]).unwrap().unwrap();
                assert_eq!(all, data.as_bytes());
            }
        }
        let mut body = Body::UNTIL_CLOSE;
        assert_eq!(body.next(&mut &b"x"[..]), Ok(Piece::Data(b"x")));
        assert_eq!(body.next(&mut &b""[..]), Ok(Piece::More));
    }

    #[test]
    fn wrong_chunks_are_refused() {
        for (input, wrong) in [
            (&b"g\r\n"[..], Malformed::BadChunk),
            (b"\r\n", Malformed::BadChunk),
            (b"-1\r\n", Malformed::BadChunk),
            (b"+1\r\n", Malformed::BadChunk),
            (b"0x1\r\n", Malformed::BadChunk),
            (b"1\n", Malformed::BadChunk),
            (b"1\rx", Malformed::BadChunk),
            (b"1;a\nb\r\n", Malformed::BadChunk),
            (b"1\r\nab", Malformed::BadChunk),
            (b"1\r\na\n", Malformed::BadChunk),
            (b"10000000000000000\r\n", Malformed::BadChunk),
            (b"0\r\nx\n", Malformed::BadTrailer),
            (b"0\r\n\n", Malformed::BadTrailer),
            (b"0\r\n: x", Malformed::BadTrailer),
            (b"0\r\na: b\r\n folded", Malformed::BadTrailer),
            (b"0\r\n\rx", Malformed::BadTrailer),
        ] {
            assert_eq!(read(Body::CHUNKED, &[input]), Err(wrong), "{input:?}");
        }
        let endless = [b"1;".as_slice(), &[b'x'; 5000]].concat();
        assert_eq!(read(Body::CHUNKED, &[&endless]), Err(Malformed::BadChunk));
        let endless = [b"0\r\n".as_slice(), &[b'x'; 20000]].concat();
        assert_eq!(read(Body::CHUNKED, &[&endless]), Err(Malformed::BadTrailer));
        // The largest size is no overflow.
        assert_eq!(read(Body::CHUNKED, &[b"ffffffffffffffff\r\nx"]), Ok(None));
    }

    proptest! {
        #[test]
        fn what_was_cut_into_chunks_is_put_together_again(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n\r\n");
            let (a, b) = wire.split_at(cut.index(wire.len()));
            prop_assert_eq!(read(Body::CHUNKED, &[a, b]), Ok(Some((chunks.concat(), 0))));
        }

        #[test]
        fn any_bytes_are_read_or_refused(input: Vec<u8>, body in 0..3) {
            let body = [Body::CHUNKED, Body::sized(9), Body::UNTIL_CLOSE][body as usize];
            let whole = read(body, &[&input]);
            let singly: Vec<&[u8]> = input.chunks(1).collect();
            // The end of a body that ended before is at another input.
            let strip = |r: Result<Option<(Vec<u8>, usize)>, Malformed>| r.map(|r| r.map(|r| r.0));
            prop_assert_eq!(strip(whole), strip(read(body, &singly)));
        }
    }
}
