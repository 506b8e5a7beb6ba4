//! Requests that a user lists: what connections send in turn.

use super::field::Field;
use super::request::{self, Method, RequestError};
use crate::payload::{Message, ParseOptions, parse};
use crate::protocol::facts::Authority;
use crate::protocol::options::OptionFile;
use serde::{Deserialize, Serialize};
use std::str;

/// One of the requests that a user lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Listed {
    /// The method.
    pub method: Method,
    /// Its path, or a whole URL: then only connections to that server send it.
    pub url: String,
    /// Header fields besides those of all requests, or in place of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<Field>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Message>,
}

/// Why a list of requests can't be used. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line of the file.
    #[error("{file}:{line}: {error}")]
    Line {
        /// The file as the user named it.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: String,
    },
    /// The file has no request.
    #[error("{0} has no request; write lines like GET /path")]
    Empty(String),
    /// A request to a server that is no target.
    #[error("the listed request to {0} is for no target: write its path alone, or add that target")]
    NoTarget(String),
    /// A request over TLS to targets without, or the other way round.
    #[error("the listed request to {0} is for no target: targets are all {1}://")]
    Scheme(String, &'static str),
    /// A target to which no request goes.
    #[error("no listed request is for the target {0}: write paths alone, or leave that target out")]
    NoRequest(String),
}

impl Listed {
    /// The server that its URL names, if it names one, with the port that need not be written, and the path.
    fn parts(&self) -> (Option<(&str, &'static str)>, &str) {
        let schemes = [("http://", ":80"), ("https://", ":443")];
        let named = schemes.into_iter().find_map(|(scheme, port)| {
            let rest = self.url.strip_prefix(scheme)?;
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            Some((
                Some((authority, port)),
                if path.is_empty() { "/" } else { path },
            ))
        });
        named.unwrap_or((None, &self.url))
    }

    /// Whether connections to `target` send it.
    pub(super) fn is_for(&self, target: &Authority) -> bool {
        let (server, _) = self.parts();
        server.is_none_or(|(authority, port)| {
            let [one, other] =
                [authority, target.authority].map(|a| a.strip_suffix(port).unwrap_or(a));
            one.eq_ignore_ascii_case(other)
        })
    }

    /// It as a message to `target`. `usual` is what all requests have.
    ///
    /// # Errors
    /// It can't be sent.
    pub(super) fn message(
        &self,
        target: &Authority,
        usual: &[Field],
        user_agent: bool,
        last: bool,
    ) -> Result<Message, RequestError> {
        let others = usual
            .iter()
            .filter(|field| self.header.iter().all(|own| !own.is(field.name())));
        let fields: Vec<Field> = others.chain(&self.header).cloned().collect();
        request::message(&request::Request {
            method: self.method.as_str(),
            target: &Authority {
                authority: target.authority,
                path: self.parts().1,
            },
            user_agent,
            fields: &fields,
            last,
            body: self.body.as_ref(),
        })
    }
}

/// Which of `listed` each of `targets` is sent.
///
/// # Errors
/// A request is for no target, or a target has no request.
pub(super) fn check(listed: &[Listed], targets: &[Authority]) -> Result<(), ListError> {
    let lost = |one: &&Listed| !targets.iter().any(|target| one.is_for(target));
    if let Some(one) = listed.iter().find(lost) {
        return Err(ListError::NoTarget(one.url.clone()));
    }
    let idle = |target: &&Authority| !listed.iter().any(|one| one.is_for(target));
    match targets.iter().find(idle) {
        Some(target) if !listed.is_empty() => {
            Err(ListError::NoRequest(target.authority.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether requests that name a scheme name that of connections, which speak TLS if they are `secure`.
///
/// # Errors
/// A request is for another scheme.
pub(super) fn check_schemes(listed: &[Listed], secure: bool) -> Result<(), ListError> {
    let (own, other) = match secure {
        true => ("https", "http://"),
        false => ("http", "https://"),
    };
    match listed.iter().find(|one| one.url.starts_with(other)) {
        Some(one) => Err(ListError::Scheme(one.url.clone(), own)),
        None => Ok(()),
    }
}

/// Reads the requests of a file. A request is a line `METHOD URL`; lines `Name: value` behind it are header fields, and lines
/// `=TEXT` are its body, as `@FILE` is the content of a file. Empty lines and those that begin with `#` say nothing.
///
/// # Errors
/// The first line that can't be read.
pub(super) fn read(file: &OptionFile) -> Result<Vec<Listed>, ListError> {
    let mut all: Vec<Listed> = Vec::new();
    for (n, line) in file.content.split(|b| *b == b'\n').enumerate() {
        let wrong = |error: String| ListError::Line {
            file: file.name.to_owned(),
            line: n + 1,
            error,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = str::from_utf8(line).map_err(|_| wrong("is no text".into()))?;
        add(&mut all, line, file).map_err(wrong)?;
    }
    match all.is_empty() {
        true => Err(ListError::Empty(file.name.to_owned())),
        false => Ok(all),
    }
}

/// Adds what a line says.
fn add(all: &mut Vec<Listed>, line: &str, file: &OptionFile) -> Result<(), String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    if let Some(text) = line.strip_prefix('=') {
        let last = all.last_mut().ok_or("a body, but no request before it")?;
        let text = expressions(text.as_bytes(), file)?;
        last.body = Some(match last.body.take() {
            None => text,
            Some(before) => Message::joined(
                [before, b"\n".to_vec().into(), text]
                    .into_iter()
                    .flat_map(|m| m.parts),
            ),
        });
        return Ok(());
    }
    if let Some(name) = line.strip_prefix('@') {
        let last = all.last_mut().ok_or("a body, but no request before it")?;
        if last.body.is_some() {
            return Err("a second body".into());
        }
        let content = (file.files)(name).map_err(|e| format!("{name}: {e}"))?;
        last.body = Some(expressions(&content, file)?);
        return Ok(());
    }
    let (first, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if first.contains(':') {
        let last = all.last_mut().ok_or("a header, but no request before it")?;
        let field = line.parse::<Field>().map_err(|e| e.to_string())?;
        last.header.push(field);
    } else if rest.trim().is_empty() {
        return Err(format!("{first:?} alone is no request; write METHOD URL"));
    } else {
        all.push(Listed {
            method: first.parse().map_err(|e: RequestError| e.to_string())?,
            url: rest.trim().to_owned(),
            header: Vec::new(),
            body: None,
        });
    }
    // Refuses what can't be sent where it stands.
    let last = all.last().ok_or("no request")?;
    let target = Authority {
        authority: "localhost",
        path: "/",
    };
    last.message(&target, &[], false, false)
        .map(|_| ())
        .map_err(|e| e.to_string())
}

/// A body with its expressions.
fn expressions(text: &[u8], file: &OptionFile) -> Result<Message, String> {
    let options = ParseOptions {
        unescape: false,
        files: file.files,
    };
    parse(text, &options).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn listed(content: &str) -> Result<Vec<Listed>, ListError> {
        let files = |name: &str| match name {
            "body.json" => Ok(b"{\"a\": 1}\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        read(&OptionFile {
            name: "list",
            content: content.as_bytes(),
            files: &files,
        })
    }

    #[test]
    fn requests_have_headers_and_bodies_where_lines_say_so() {
        let all = listed(
            "# two\nGET /a?q=1\nX: y\n\nPOST http://a.example:80/b\r\nContent-Type: text/plain\r\n=one\n=\\{connection.uid}\n\
             \nPUT /c\n@body.json\nHEAD https://a.example",
        );
        let all = all.unwrap();
        let said: Vec<(&str, Option<&str>, &str, usize, bool)> = all
            .iter()
            .map(|one| {
                let (server, path) = one.parts();
                let authority = server.map(|(authority, _)| authority);
                let method = one.method.as_str();
                (
                    method,
                    authority,
                    path,
                    one.header.len(),
                    one.body.is_some(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("GET", None, "/a?q=1", 1, false),
                ("POST", Some("a.example:80"), "/b", 1, true),
                ("PUT", None, "/c", 0, true),
                ("HEAD", Some("a.example"), "/", 0, false),
            ]
        );
        assert_eq!(
            all[1].body.as_ref().unwrap().written().unwrap(),
            r"one\n\{connection.uid}"
        );
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Listed>>(&json).unwrap(), all);
    }

    #[test]
    fn what_can_not_be_read_is_refused_where_it_stands() {
        for (content, begins) in [
            ("", "list has no request"),
            ("# nothing\n\n", "list has no request"),
            ("GET", "list:1: \"GET\" alone is no request"),
            ("GET /a\nGET b", "list:2: "),
            ("G{T /a", "list:1: "),
            ("GET /a b", "list:1: "),
            ("X: y", "list:1: a header"),
            ("GET /\n: y", "list:2: "),
            ("GET /\nX: \u{1}", "list:2: "),
            ("GET /\nContent-Length: 5", "list:2: "),
            ("=x", "list:1: a body"),
            ("POST /\n\n@nothing", "list:3: nothing: "),
            ("POST /\n@body.json\n@body.json", "list:3: a second body"),
            ("POST /\n=\\{nothing}", "list:2: "),
            ("GET ftp://a/b", "list:1: "),
        ] {
            let error = listed(content).unwrap_err().to_string();
            assert!(error.starts_with(begins), "{content:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_request_that_names_a_scheme_is_for_targets_of_that_scheme() {
        let all = listed("GET /a\nGET https://one/b").unwrap();
        assert_eq!(check_schemes(&all, true), Ok(()));
        assert!(matches!(
            check_schemes(&all, false),
            Err(ListError::Scheme(url, "http")) if url == "https://one/b"
        ));
    }

    #[test]
    fn a_request_with_a_server_is_sent_to_that_target_alone() {
        let all =
            listed("GET /a\nGET http://one/b\nGET http://TWO:8080/c\nGET http://one:80").unwrap();
        let target = |authority| Authority {
            authority,
            path: "/",
        };
        let [one, two] = [target("one"), target("two:8080")];
        let of =
            |target: &Authority| -> Vec<bool> { all.iter().map(|l| l.is_for(target)).collect() };
        assert_eq!(of(&one), [true, true, false, true]);
        assert_eq!(of(&target("one:80")), [true, true, false, true]);
        assert_eq!(of(&two), [true, false, true, false]);
        assert_eq!(check(&all, &[one, two]), Ok(()));
        assert!(matches!(check(&all, &[one]), Err(ListError::NoTarget(_))));
        let other = target("three");
        assert!(matches!(
            check(&all[1..], &[one, two, other]),
            Err(ListError::NoRequest(_))
        ));
    }
}
