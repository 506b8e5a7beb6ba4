//! A target as users write it: `HOST:PORT`, with a path behind it, or a WebSocket URI.

use crate::address::AddressError;
use crate::protocol::{Protocol, Scheme};
use crate::unix_socket::UnixAddress;
use std::fmt;

/// What a target begins with that is a Unix socket. A path or a name follows.
const UNIX: &str = "unix:";

/// A port, or the name of the service that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// Its number, above 0.
    Number(u16),
    /// A service's name (RFC 6335 section 5.1), to be looked up.
    Service(String),
}

/// A target, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What was before `://`.
    pub scheme: Option<&'static Scheme>,
    /// A name or an address, without brackets; a link-local address with its interface: `fe80::1%eth0`.
    pub host: String,
    /// The port.
    pub port: Port,
    /// Host and port as written, brackets included.
    pub authority: String,
    /// From the first slash on; `/` if there is none.
    pub path: String,
    /// The Unix socket, if it is one. The host is then `localhost`, and the port 0.
    pub unix: Option<UnixAddress>,
}

impl Spec {
    /// The host as a peer may know it: without the interface of a link-local address, which means nothing to
    /// others (RFC 6874 section 1).
    pub fn host_sent(&self) -> &str {
        self.host
            .split_once('%')
            .map_or(&self.host, |(host, _)| host)
    }

    /// The port that its scheme stands for, if none was written.
    pub fn default_port(&self) -> Option<u16> {
        let written = split_port(&self.authority).1.is_some();
        self.scheme.filter(|_| !written).map(|scheme| scheme.port)
    }

    /// Host and port as they are sent in a request, without the interface of a link-local address.
    pub fn authority_sent(&self) -> String {
        match (self.authority.split_once('%'), self.authority.rfind(']')) {
            (Some((host, _)), Some(end)) => format!("{host}{}", &self.authority[end..]),
            _ => self.authority.clone(),
        }
    }
}

/// A form that [`parse()`] reads back as the same target.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unix) = &self.unix {
            return write!(f, "{UNIX}{unix}");
        }
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.name)?;
        }
        f.write_str(&self.authority)?;
        match self.path.as_str() {
            "/" => Ok(()),
            path => f.write_str(path),
        }
    }
}

/// Takes `text` apart. Names are not resolved here.
///
/// # Errors
/// Another scheme, no port where no scheme says one, port 0, an empty host, an IPv6 address without
/// brackets.
pub fn parse(text: &str) -> Result<Spec, AddressError> {
    let wrong = || AddressError::Target(text.to_owned());
    // A host may be called unix, too.
    if let Some(at) = text
        .strip_prefix(UNIX)
        .filter(|at| at.starts_with(['/', '.', '@']))
    {
        return Ok(Spec {
            scheme: None,
            host: "localhost".to_owned(),
            port: Port::Number(0),
            authority: "localhost".to_owned(),
            path: "/".to_owned(),
            unix: Some(at.parse().map_err(AddressError::Unix)?),
        });
    }
    let (scheme, rest) = match text.split_once("://") {
        None => (None, text),
        // In any case of letters (RFC 3986, section 3.1).
        Some((name, rest)) => match Protocol::of_scheme(&name.to_ascii_lowercase()) {
            Some((_, scheme)) => (Some(scheme), rest),
            None => {
                return Err(AddressError::Scheme {
                    text: text.to_owned(),
                    scheme: name.escape_debug().to_string(),
                    known: Protocol::schemes_in_words("and"),
                });
            }
        },
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if scheme.is_some() && authority.contains('@') {
        return Err(AddressError::User(text.to_owned()));
    }
    if scheme.is_some() && text.trim().contains(' ') {
        return Err(AddressError::Blank(text.to_owned()));
    }
    let (host, port) = match (split_port(authority), scheme) {
        ((host, Some(port)), _) => match port_of(port) {
            Some(known) => (host, known),
            None if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(AddressError::Port {
                    text: text.to_owned(),
                    port: port.to_owned(),
                });
            }
            None => return Err(wrong()),
        },
        ((host, None), Some(scheme)) => (host, Port::Number(scheme.port)),
        ((_, None), None) => return Err(wrong()),
    };
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner,
        None if host.contains([':', '[', ']']) => return Err(wrong()),
        None => host,
    };
    // What would end up in a request line or a header must not end it.
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if host.is_empty() || text.contains(odd) {
        return Err(wrong());
    }
    Ok(Spec {
        scheme,
        host: match scheme {
            // In a URI, the percent sign before an interface is written as any other (RFC 6874 section 2).
            Some(_) => host.replacen("%25", "%", 1),
            None => host.to_owned(),
        },
        port,
        authority: authority.to_owned(),
        path: path.to_owned(),
        unix: None,
    })
}

/// Host and port of an authority; brackets keep an IPv6 address's colons.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn port_of(text: &str) -> Option<Port> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|p| *p != 0).map(Port::Number);
    }
    let named = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'.'));
    named.then(|| Port::Service(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_are_host_and_port_or_a_websocket_uri() {
        for (text, scheme, host, port, authority, path) in [
            ("127.1:80", None, "127.1", 80, "127.1:80", "/"),
            ("[::1]:9000", None, "::1", 9000, "[::1]:9000", "/"),
            (
                "a.example:80/chat?x=1",
                None,
                "a.example",
                80,
                "a.example:80",
                "/chat?x=1",
            ),
            (
                "ws://a.example/chat",
                Some("ws"),
                "a.example",
                80,
                "a.example",
                "/chat",
            ),
            ("ws://a:8080/x:y", Some("ws"), "a", 8080, "a:8080", "/x:y"),
            ("wss://[::1]", Some("wss"), "::1", 443, "[::1]", "/"),
        ] {
            let spec = parse(text).unwrap();
            let expected = Spec {
                scheme: scheme.map(|name| Protocol::of_scheme(name).unwrap().1),
                host: host.into(),
                port: Port::Number(port),
                authority: authority.into(),
                path: path.into(),
                unix: None,
            };
            assert_eq!(spec, expected, "{text}");
        }
        let smtp = parse("nonexistent.org:smtp").unwrap();
        assert_eq!(smtp.port, Port::Service("smtp".into()));
    }

    #[test]
    fn a_unix_socket_is_a_target_without_a_port() {
        for at in ["/run/a.sock", "./a.sock", "@name", "/run/a b"] {
            let spec = parse(&format!("unix:{at}")).unwrap();
            assert_eq!(spec.unix, Some(at.parse().unwrap()));
            assert_eq!(
                (spec.authority_sent().as_str(), spec.path.as_str()),
                ("localhost", "/")
            );
            assert_eq!(spec.to_string(), format!("unix:{at}"));
        }
        assert_eq!(parse("unix:80").unwrap().unix, None);
        for text in ["unix:@", "unix:/a\nb", "unix:"] {
            assert_eq!(parse(text).unwrap_err().to_string().lines().count(), 1);
        }
    }

    #[test]
    fn an_interface_is_part_of_an_address_and_is_never_sent() {
        for text in [
            "[fe80::1%eth0]:80",
            "ws://[fe80::1%eth0]:80/x",
            "ws://[fe80::1%25eth0]:80/x",
        ] {
            let spec = parse(text).unwrap();
            assert_eq!(spec.host, "fe80::1%eth0", "{text}");
            assert_eq!(spec.host_sent(), "fe80::1", "{text}");
            assert_eq!(spec.authority_sent(), "[fe80::1]:80", "{text}");
            assert_eq!(spec.to_string(), text);
        }
        let without = parse("ws://[fe80::1%eth0]/").unwrap();
        assert_eq!(without.authority_sent(), "[fe80::1]");
        let name = parse("a.example:80").unwrap();
        let sent = (name.host_sent(), name.authority_sent());
        assert_eq!(sent, ("a.example", "a.example:80".into()));
    }

    #[test]
    fn what_is_no_target_is_reported_in_one_line() {
        for text in [
            "",
            "example.com",
            ":80",
            "::1:80",
            "[::1:80",
            "[]:80",
            "host:0",
            "host:99999",
            "host:",
            "a b:80",
            "host:80/a\nb",
            "ftp://example.com:80",
            "ws://",
            "ws://:80/",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn schemes_are_of_any_case_and_errors_name_what_is_wrong() {
        let spec = parse("HTTPS://a.example/").unwrap();
        assert_eq!(spec.scheme.map(|scheme| scheme.name), Some("https"));
        for (text, says) in [
            ("http://user:word@a.example/", "user name"),
            ("http://a.example/b c", "%20"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        // Where it is no part of the authority, it is a letter as any other.
        assert!(parse("http://a.example/@b").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_a_target_or_an_error(text: String) {
            if let Ok(spec) = parse(&text) {
                prop_assert!(!spec.host.is_empty() && spec.path.starts_with('/'));
                prop_assert_eq!(parse(&spec.to_string()), Ok(spec));
            }
        }
    }
}
