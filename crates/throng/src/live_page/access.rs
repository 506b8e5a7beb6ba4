//! Who may see a page: on loopback whoever is on this machine, elsewhere whoever has the token.
//!
//! Any site that a browser shows may have the browser ask this machine's ports. On loopback the name that the browser asked
//! for must be one that no site can have (DNS rebinding). Elsewhere the token is in the address that throng prints; once
//! that was opened, it is in a cookie.

use crate::responder::Request;
use std::fs::File;
use std::hint;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use throng_host::kernel::Kernel;

/// Bytes of randomness in a token.
const BYTES: usize = 16;

const OTHER_NAME: &str =
    "This page is at a name of this machine alone: open it as http://127.0.0.1 or http://localhost";
const OTHER_SITE: &str = "Another site asks for this";
const NO_TOKEN: &str =
    "Open the address that throng printed: it ends in a token, and this one is missing or wrong";

/// Who may see a page at an address.
pub(super) struct Access {
    at: SocketAddr,
    /// What opens it, where it is not on loopback.
    token: Option<String>,
}

impl Access {
    /// To a page at `at`.
    ///
    /// # Errors
    /// There is no randomness for a token.
    pub fn to(at: SocketAddr) -> io::Result<Access> {
        let token = match is_loopback(at.ip()) {
            true => None,
            false => Some(token()?),
        };
        Ok(Access { at, token })
    }

    /// Where to open the page.
    pub fn url(&self) -> String {
        let Some(token) = &self.token else {
            return format!("http://{}/", self.at);
        };
        let name = match self.at.ip().is_unspecified() {
            true => Kernel::read().ok().map(|kernel| kernel.hostname),
            false => None,
        };
        let host = name.map(|name| format!("{name}:{}", self.at.port()));
        let host = host.unwrap_or_else(|| self.at.to_string());
        format!("http://{host}/?token={token}")
    }

    /// Refuses a request for the page, or for what is new on it, by somebody who may not see it. Returns the cookie to set.
    ///
    /// # Errors
    /// What would be right.
    pub fn check(&self, request: &Request) -> Result<Option<String>, &'static str> {
        // A site may lead here, but not ask by itself.
        let leads = request.field("sec-fetch-mode") == Some("navigate");
        let site = request.field("sec-fetch-site");
        if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) && !leads {
            return Err(OTHER_SITE);
        }
        let Some(token) = &self.token else {
            let host = request.field("host");
            return match host.is_some_and(is_local) {
                true => Ok(None),
                false => Err(OTHER_NAME),
            };
        };
        let name = format!("throng-{}", self.at.port());
        let cookies = request.field("cookie").unwrap_or_default().split(';');
        let cookies = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let mut cookies = cookies.filter(|(of, _)| *of == name);
        if let Some(given) = request.parameter("token") {
            return match is_same(given, token) {
                true => Ok(Some(format!(
                    "{name}={token}; HttpOnly; SameSite=Strict; Path=/"
                ))),
                false => Err(NO_TOKEN),
            };
        }
        match cookies.any(|(_, given)| is_same(given, token)) {
            true => Ok(None),
            false => Err(NO_TOKEN),
        }
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether a `Host` field names this machine alone, with any port: a tunnel may lead from another one.
fn is_local(host: &str) -> bool {
    if let Ok(at) = host.parse::<SocketAddr>() {
        return is_loopback(at.ip());
    }
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(host).parse() {
        return is_loopback(ip);
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
}

fn token() -> io::Result<String> {
    let mut random = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether `given` is `right`. How long that takes says nothing about where they differ.
fn is_same(given: &str, right: &str) -> bool {
    let bytes = given.bytes().zip(right.bytes());
    let differing = bytes.fold(0, |all, (a, b)| hint::black_box(all | (a ^ b)));
    given.len() == right.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_no_site_can_have_are_local() {
        for (host, local) in [
            ("127.0.0.1:9465", true),
            ("127.0.0.1", true),
            ("127.9.9.9:80", true),
            ("localhost:9465", true),
            ("LOCALHOST", true),
            ("[::1]:9465", true),
            ("[::1]", true),
            ("", false),
            ("example.com:9465", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com:9465", false),
            ("10.0.0.1:9465", false),
            ("0.0.0.0:9465", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }

    #[test]
    fn a_token_is_the_same_or_it_is_not() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 2 * BYTES);
        assert_ne!(one, other);
        assert!(is_same(&one, &one));
        for wrong in ["", &other, &one[1..], &format!("{one}0")] {
            assert!(!is_same(wrong, &one), "{wrong}");
        }
    }

    #[test]
    fn loopback_needs_no_token_and_other_addresses_do() {
        for (at, begins, with_token) in [
            ("127.0.0.1:9465", "http://127.0.0.1:9465/", false),
            ("[::1]:80", "http://[::1]:80/", false),
            ("10.0.0.1:9465", "http://10.0.0.1:9465/?token=", true),
            ("0.0.0.0:9465", "http://", true),
        ] {
            let access = Access::to(at.parse().unwrap()).unwrap();
            let url = access.url();
            assert!(url.starts_with(begins), "{url}");
            assert_eq!(url.contains("?token="), with_token, "{url}");
            assert!(!url.contains("0.0.0.0"), "{url}");
        }
    }
}
