//! The URL of requests that are sent through a proxy.

use crate::protocol::facts::Authority;
use crate::target;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// An `http://` URL that is requested of the targets, which are proxies: in absolute form (RFC 9112, section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    authority: String,
    /// The whole URL.
    url: String,
}

impl Origin {
    /// As requests name it.
    pub(super) fn authority(&self) -> Authority<'_> {
        Authority {
            authority: &self.authority,
            path: &self.url,
        }
    }
}

/// A URL that can't be requested of a proxy. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no URL for a proxy; write it like http://example.com/hello")]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Origin, OriginError> {
        let wrong = || OriginError(text.to_owned());
        let spec = target::parse(text).map_err(|_| wrong())?;
        match spec.scheme {
            Some(scheme) if scheme.name == "http" => Ok(Origin {
                url: format!("http://{}{}", spec.authority_sent(), spec.path),
                authority: spec.authority_sent(),
            }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Origin, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_url_of_http() {
        let origin: Origin = "http://a.example:8080/x?y=1".parse().unwrap();
        let authority = origin.authority();
        assert_eq!(
            (authority.authority, authority.path),
            ("a.example:8080", "http://a.example:8080/x?y=1")
        );
        let bare: Origin = "http://a.example".parse().unwrap();
        assert_eq!(String::from(bare), "http://a.example/");
        for text in ["", "a:80", "https://a/", "ws://a/", "http://"] {
            assert!(text.parse::<Origin>().is_err(), "{text:?}");
        }
    }
}
