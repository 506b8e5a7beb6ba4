//! What is wrong with a message that can't be read.

use crate::stats::kinds;

kinds! {
    /// Why the framing of a message can't be trusted. Nothing behind it on its connection is read.
    pub enum Malformed {
        /// Something else than a start line of HTTP/1.0 or 1.1, or than header fields (RFC 9112, sections 3 to 5).
        NotHttp: "not_http", "not HTTP/1.1";
        /// A line of the head ends in LF without CR: a recipient may accept it (RFC 9112, section 2.2), and those that do and those
        /// that don't see different messages.
        BareLf: "bare_lf", "a line that ends in LF alone";
        /// A head of more bytes or fields than are accepted.
        LongHead: "long_head", "a head that is too long";
        /// A `Content-Length` that is no number (RFC 9112, section 6.3).
        BadLength: "bad_length", "a Content-Length that is no number";
        /// Two different lengths (RFC 9112, section 6.3).
        TwoLengths: "two_lengths", "two different Content-Lengths";
        /// A length, and a transfer coding that makes it void (RFC 9112, section 6.1).
        LengthAndCoding: "length_and_coding", "both Content-Length and Transfer-Encoding";
        /// A transfer coding in HTTP/1.0, or one that can't be read (RFC 9112, section 6.1).
        BadCoding: "bad_coding", "a Transfer-Encoding that can't be read";
        /// A chunk's size, extension or end that is wrong or too long (RFC 9112, section 7.1).
        BadChunk: "bad_chunk", "a wrong chunk";
        /// Trailers that are too long or no header fields.
        BadTrailer: "bad_trailer", "wrong trailers";
        /// 101 although nobody asked for another protocol (RFC 9110, section 15.2.2).
        Switched: "switched", "a switch to another protocol that nobody asked for";
        /// An answer to nothing.
        Unasked: "unasked", "an answer to no request";
    }
}
