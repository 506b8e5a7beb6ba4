//! Redirects that are followed (RFC 9110, section 15.4): where an answer sends its request, and the request that goes there.

use super::answer::ReadFields;
use super::events::is_event_stream;
use super::head::{self, MAX_HEAD};
use crate::behaviour::starts_at;
use crate::payload::{Dice, Script, Speaker, What};
use crate::stats::kinds;
use std::num::NonZeroU16;

kinds! {
    /// What became of a redirect, where redirects are followed.
    pub enum Redirect {
        /// The request was sent where it says, on the same connection.
        Followed: "followed", "followed";
        /// The request had been redirected as often as is allowed.
        TooMany: "too_many", "not followed: the request was redirected too often (--follow)";
        /// It says another origin. What is sent goes to what the user named.
        Elsewhere: "elsewhere", "not followed: to another origin";
        /// It says no place that can be read.
        BadLocation: "bad_location", "not followed: no Location that can be read";
        /// The connection is closed after it.
        Closed: "closed", "not followed: the server closed the connection with it";
    }
}

impl Redirect {
    /// What to do about it; empty if nothing.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Redirect::Followed => "",
            Redirect::TooMany => "raise --follow, unless they go round in a circle",
            Redirect::Elsewhere => {
                "throng sends to what its user names alone: request the URL that they lead to"
            }
            Redirect::BadLocation => "the server answers without a Location that is a URL",
            Redirect::Closed => {
                "a redirect is followed on its connection: have the server keep it open"
            }
        }
    }
}

/// How redirects are followed.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The most redirects of a request.
    pub most: NonZeroU16,
    /// Whether connections speak TLS.
    pub secure: bool,
    /// What connections send.
    pub script: Script,
}

/// What the head of an answer says besides where the answer ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whether its body is a stream of events.
    pub streams: bool,
    /// Where it redirects the request to; empty if nowhere that can be read.
    pub location: Option<Vec<u8>>,
}

impl ReadFields for Fields {
    fn read(&mut self, status: u16, fields: &[httparse::Header]) {
        self.streams = head::values(fields, "Content-Type").any(is_event_stream);
        self.location = is_redirect(status).then(|| {
            let mut all = head::values(fields, "Location");
            match (all.next(), all.next()) {
                (Some(one), None) => one.to_vec(),
                _ => Vec::new(),
            }
        });
    }
}

/// Whether an answer with this status sends the request to another place.
fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The redirects of a request so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// How many were followed.
    followed: u16,
    /// Path and query of the last one; `None` before the first one.
    path: Option<Vec<u8>>,
    /// Whether the method is GET from now on, without a body.
    get: bool,
}

impl Chain {
    /// The request goes where an answer with this `status` and `location` says. `sent` is the request as it was sent first.
    ///
    /// # Errors
    /// Why the redirect is not followed.
    pub fn go(
        &mut self,
        follow: &Follow,
        sent: &[u8],
        status: u16,
        location: &[u8],
    ) -> Result<(), Redirect> {
        let sent = Request::of(sent).ok_or(Redirect::BadLocation)?;
        let base = Base {
            scheme: match follow.secure && !sent.is_absolute() {
                true => "https",
                false => "http",
            },
            authority: sent.host().unwrap_or_default(),
            path: self.path.as_deref().unwrap_or(sent.path()),
        };
        let path = base.resolve(location)?;
        if self.followed >= follow.most.get() {
            return Err(Redirect::TooMany);
        }
        self.followed += 1;
        self.path = Some(path);
        // The latter as browsers do.
        self.get |= status == 303 && sent.method != b"HEAD"
            || matches!(status, 301 | 302) && sent.method == b"POST";
        Ok(())
    }

    /// Writes the request that goes where the last redirect says.
    pub fn write(&self, sent: &[u8], out: &mut Vec<u8>) {
        let (Some(sent), Some(path)) = (Request::of(sent), &self.path) else {
            return;
        };
        out.extend_from_slice(if self.get { b"GET" } else { sent.method });
        out.push(b' ');
        if sent.is_absolute() {
            out.extend_from_slice(b"http://");
            out.extend_from_slice(sent.authority());
        }
        out.extend_from_slice(path);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        for line in sent.fields() {
            let of_body = line
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
            if !(self.get && of_body) {
                out.extend_from_slice(line);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        if !self.get {
            out.extend_from_slice(sent.body);
        }
    }
}

/// A request that this side wrote, taken apart.
struct Request<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// The lines of its fields, without the end of the last one.
    fields: &'a [u8],
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn of(bytes: &'a [u8]) -> Option<Request<'a>> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        let (head, body) = (&bytes[..end], &bytes[end + 4..]);
        let line = memchr::memmem::find(head, b"\r\n").unwrap_or(head.len());
        let mut words = head[..line].split(|b| *b == b' ');
        Some(Request {
            method: words.next()?,
            target: words.next()?,
            fields: head.get(line + 2..).unwrap_or_default(),
            body,
        })
    }

    fn fields(&self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.fields.split(|b| *b == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
    }

    /// The authority that it is for.
    fn host(&self) -> Option<&'a [u8]> {
        self.fields().find_map(|line| {
            let at = memchr::memchr(b':', line)?;
            let (name, value) = (&line[..at], &line[at + 1..]);
            name.eq_ignore_ascii_case(b"host")
                .then(|| value.trim_ascii())
        })
    }

    /// Whether it is sent to a proxy.
    fn is_absolute(&self) -> bool {
        self.target.starts_with(b"http://")
    }

    /// Where the path begins in the target.
    fn path_at(&self) -> usize {
        let Some(rest) = self.target.strip_prefix(b"http://") else {
            return 0;
        };
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?'));
        self.target.len() - rest.len() + end.unwrap_or(rest.len())
    }

    /// The authority of a target that is absolute.
    fn authority(&self) -> &'a [u8] {
        let from = if self.is_absolute() { 7 } else { 0 };
        &self.target[from..self.path_at()]
    }

    /// Path and query.
    fn path(&self) -> &'a [u8] {
        &self.target[self.path_at()..]
    }
}

/// What a reference is relative to.
struct Base<'a> {
    scheme: &'a str,
    authority: &'a [u8],
    /// Path and query.
    path: &'a [u8],
}

impl Base<'_> {
    /// Path and query of the place that `reference` says (RFC 3986, section 5.2). Bytes that a URI has not are written with
    /// percent signs.
    ///
    /// # Errors
    /// It is no reference, or one to another origin.
    fn resolve(&self, reference: &[u8]) -> Result<Vec<u8>, Redirect> {
        let bad = Redirect::BadLocation;
        if reference.is_empty() || reference.iter().any(u8::is_ascii_control) {
            return Err(bad);
        }
        let end = memchr::memchr(b'#', reference).unwrap_or(reference.len());
        let mut rest = &reference[..end];
        let scheme = rest
            .iter()
            .position(|b| matches!(b, b':' | b'/' | b'?'))
            .filter(|at| rest[*at] == b':');
        if let Some(at) = scheme {
            let (name, after) = (&rest[..at], &rest[at + 1..]);
            let [first, others @ ..] = name else {
                return Err(bad);
            };
            let valid = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
            if !first.is_ascii_alphabetic() || !others.iter().all(valid) {
                return Err(bad);
            }
            if !name.eq_ignore_ascii_case(self.scheme.as_bytes()) {
                return Err(Redirect::Elsewhere);
            }
            if !after.starts_with(b"//") {
                return Err(bad);
            }
            rest = after;
        }
        let named = rest.strip_prefix(b"//").map(|after| {
            let end = after.iter().position(|b| matches!(b, b'/' | b'?'));
            after.split_at(end.unwrap_or(after.len()))
        });
        if let Some((authority, after)) = named {
            if authority.is_empty() {
                return Err(bad);
            }
            if self.plain(authority) != self.plain(self.authority) {
                return Err(Redirect::Elsewhere);
            }
            rest = after;
        }
        let (path, query) = cut(rest);
        let (base, base_query) = cut(self.path);
        let (path, query) = match path {
            [] if named.is_none() => (base.to_vec(), query.or(base_query)),
            [] => (Vec::new(), query),
            [b'/', ..] => (without_dots(path), query),
            // Behind the last slash of the base (section 5.2.3).
            _ => {
                let until = memchr::memrchr(b'/', base).map_or(0, |at| at + 1);
                (without_dots(&[&base[..until], path].concat()), query)
            }
        };
        let mut all = path;
        if !all.starts_with(b"/") {
            all.insert(0, b'/');
        }
        if let Some(query) = query {
            all.push(b'?');
            all.extend_from_slice(query);
        }
        let all = written(&all);
        match all.len() > MAX_HEAD {
            true => Err(bad),
            false => Ok(all),
        }
    }

    /// An authority in the form in which equal ones are the same bytes (RFC 3986, sections 6.2.2.1 and 6.2.3).
    fn plain(&self, authority: &[u8]) -> Vec<u8> {
        let mut all = authority.to_ascii_lowercase();
        let usual: &[u8] = if self.scheme == "https" {
            b":443"
        } else {
            b":80"
        };
        for port in [usual, b":"] {
            if all.ends_with(port) {
                all.truncate(all.len() - port.len());
                break;
            }
        }
        all
    }
}

/// A path, and the query behind it.
fn cut(all: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', all) {
        Some(at) => (&all[..at], Some(&all[at + 1..])),
        None => (all, None),
    }
}

/// A path without its `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut steps = path
        .strip_prefix(b"/")
        .unwrap_or(path)
        .split(|b| *b == b'/')
        .peekable();
    while let Some(step) = steps.next() {
        let dots = matches!(step, b"." | b"..");
        if step == b".." {
            kept.pop();
        }
        if !dots {
            kept.push(step);
        } else if steps.peek().is_none() {
            // What is left is a directory.
            kept.push(b"");
        }
    }
    let mut all = vec![b'/'];
    all.extend(kept.join(&b'/'));
    all
}

/// `text` with percent signs for what a URI can't have.
fn written(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(text.len());
    for byte in text {
        match byte.is_ascii_graphic() {
            true => all.push(*byte),
            false => all.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    all
}

impl Follow {
    /// The request that connection `uid` sent behind `before` others: the bytes of the message of `cycle`, if all messages are
    /// constant.
    pub(super) fn constant(&self, cycle: usize, uid: u64, before: u32) -> Vec<u8> {
        let script = &self.script;
        let cycle = if script.cycles() == 1 { 0 } else { cycle };
        let mut at = script.start(cycle, |n| (starts_at(uid, n) + before as usize) % n.max(1));
        let (memory, mut all) = (script.memory(), Vec::new());
        let (speaker, mut dice, mut rendered) = (Speaker::default(), Dice::new(0), Vec::new());
        while let Some(portion) = script.repeated(cycle, at, 1, &speaker, &mut dice, &mut rendered)
        {
            if let What::Memory(range) = &portion.what {
                all.extend_from_slice(&memory[range.start as usize..range.end as usize]);
            }
            if portion.ends_message {
                break;
            }
            at = portion.next;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Framing, Messages};
    use proptest::prelude::*;

    fn resolved(base: &str, reference: &str) -> Result<String, Redirect> {
        let base = Base {
            scheme: "http",
            authority: b"a",
            path: base.as_bytes(),
        };
        let path = base.resolve(reference.as_bytes());
        path.map(|path| String::from_utf8(path).unwrap())
    }

    /// The examples of RFC 3986, sections 5.4.1 and 5.4.2, whose base is http://a/b/c/d;p?q.
    #[test]
    fn references_are_resolved_as_the_rfc_says() {
        for (reference, expected) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            // The same origin, in whole.
            ("http://a/x?y", "/x?y"),
            ("HTTP://A:80/x", "/x"),
            ("http://a:", "/"),
            ("//a?z", "/?z"),
            // What no URI has.
            ("/ä b", "/%C3%A4%20b"),
        ] {
            assert_eq!(
                resolved("/b/c/d;p?q", reference).as_deref(),
                Ok(expected),
                "{reference}"
            );
        }
        assert_eq!(resolved("/", "x").as_deref(), Ok("/x"));
        assert_eq!(resolved("?q", "x").as_deref(), Ok("/x"));
    }

    #[test]
    fn another_origin_and_what_is_no_reference_are_not_followed() {
        for (reference, why) in [
            ("https://a/", Redirect::Elsewhere),
            ("http://b/", Redirect::Elsewhere),
            ("//a:8080/", Redirect::Elsewhere),
            ("http://u@a/", Redirect::Elsewhere),
            ("mailto:a@b", Redirect::Elsewhere),
            ("", Redirect::BadLocation),
            ("http:/x", Redirect::BadLocation),
            ("http:", Redirect::BadLocation),
            ("http:///x", Redirect::BadLocation),
            (":x", Redirect::BadLocation),
            ("1a:x", Redirect::BadLocation),
            ("/a\tb", Redirect::BadLocation),
        ] {
            assert_eq!(resolved("/", reference), Err(why), "{reference:?}");
        }
    }

    const POST: &str = "POST /a/b?c HTTP/1.1\r\nHost: h:81\r\nX: y\r\nContent-Type: t\r\n\
        Content-Length: 2\r\n\r\nhi";

    /// What is sent for `sent` once it was redirected in this way.
    fn next(sent: &str, hops: &[(u16, &str)]) -> Result<String, Redirect> {
        let follow = Follow {
            most: NonZeroU16::new(2).unwrap(),
            secure: false,
            script: Script::new(&Messages::default(), Framing::Raw, 1, 1).unwrap(),
        };
        let mut chain = Chain::default();
        for (status, location) in hops {
            chain.go(&follow, sent.as_bytes(), *status, location.as_bytes())?;
        }
        let mut out = Vec::new();
        chain.write(sent.as_bytes(), &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn methods_and_bodies_are_kept_or_not_as_the_status_says() {
        let with = |target: &str| POST.replace("/a/b?c", target);
        let get = "GET /a/x HTTP/1.1\r\nHost: h:81\r\nX: y\r\n\r\n";
        for status in [301, 302, 303] {
            assert_eq!(next(POST, &[(status, "x")]).unwrap(), get, "{status}");
        }
        for status in [307, 308] {
            assert_eq!(
                next(POST, &[(status, "x")]).unwrap(),
                with("/a/x"),
                "{status}"
            );
        }
        // Once it is GET, it stays so.
        let two = [(302, "/q/"), (307, "r")];
        assert_eq!(next(POST, &two).unwrap(), get.replace("/a/x", "/q/r"));
        let put = POST.replace("POST", "PUT");
        let kept = put.replace("/a/b?c", "/z");
        assert_eq!(next(&put, &[(301, "/z")]).unwrap(), kept);
        assert!(next(&put, &[(303, "/z")]).unwrap().starts_with("GET /z "));
        let head = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
        assert!(next(head, &[(303, "/z")]).unwrap().starts_with("HEAD /z "));
        let again = [(302, "/"), (302, "/"), (302, "/")];
        assert_eq!(next(head, &again), Err(Redirect::TooMany));
        // The host is what the request says, not the connection's.
        assert!(next(head, &[(302, "http://h/y")]).is_ok());
        assert_eq!(
            next(head, &[(302, "http://h:81/y")]),
            Err(Redirect::Elsewhere)
        );
    }

    #[test]
    fn a_proxy_is_asked_for_the_whole_url() {
        let sent = "GET http://h/a/b HTTP/1.1\r\nHost: h\r\n\r\n";
        let next = |to| next(sent, &[(302, to)]).unwrap();
        assert!(next("c").starts_with("GET http://h/a/c HTTP/1.1\r\n"));
        assert!(next("http://h/").starts_with("GET http://h/ HTTP/1.1\r\n"));
    }

    proptest! {
        #[test]
        fn any_location_is_a_path_or_an_error(
            base in "/[a-z/]{0,20}(\\?[a-z/]{0,5})?",
            location in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let base = Base { scheme: "http", authority: b"a", path: base.as_bytes() };
            if let Ok(path) = base.resolve(&location) {
                prop_assert!(path.starts_with(b"/") && path.iter().all(u8::is_ascii_graphic));
                let (path, _) = cut(&path);
                prop_assert!(path.split(|b| *b == b'/').all(|step| step != b"." && step != b".."), "{path:?}");
            }
        }
    }
}
