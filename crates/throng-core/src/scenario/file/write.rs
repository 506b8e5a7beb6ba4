//! A scenario as a file's text.

use super::error::VERSION;
use crate::scenario::{Listening, LoadScenario, Scenario, ServeScenario, TlsClient, TlsServer};
use serde::Serialize;
use std::fmt::Write;
use toml::{Table, Value};

/// A scenario that has no text: a path in it that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scenario can't be written: {0}")]
pub struct WriteError(String);

/// The text of `scenario`, which reads back as the same. What is as it is anyway is left out.
///
/// # Errors
/// Paths that are not UTF-8.
pub fn write(scenario: &Scenario) -> Result<String, WriteError> {
    let mut out = format!("version = {VERSION}\n");
    match scenario {
        Scenario::Load(load) => {
            let default = LoadScenario::default();
            let full = LoadScenario {
                tls: Some(TlsClient::default()),
                listen: Some(Listening::default()),
                tls_server: Some(TlsServer::default()),
                protocol: load.protocol.by_default(),
                ..default.clone()
            };
            section(
                "load",
                &said(load.as_ref(), &default, &full)?,
                true,
                &mut out,
            );
        }
        Scenario::Serve(serve) => {
            let default = ServeScenario::default();
            let full = ServeScenario {
                tls: Some(TlsServer::default()),
                ..default.clone()
            };
            section(
                "serve",
                &said(serve.as_ref(), &default, &full)?,
                true,
                &mut out,
            );
        }
    }
    Ok(out)
}

/// What `asked` says that is not so by default. `full` is the default with the sections that it does not have.
fn said<T: Serialize>(asked: &T, default: &T, full: &T) -> Result<Table, WriteError> {
    let table = |of: &T| Table::try_from(of).map_err(|e| WriteError(e.to_string()));
    let mut all = table(asked)?;
    prune(&mut all, Some(&table(default)?), &table(full)?);
    Ok(all)
}

/// Removes what is as in `default`, or as in `full` in a section that there is not by default.
fn prune(table: &mut Table, default: Option<&Table>, full: &Table) {
    table.retain(|key, value| {
        let Value::Table(inner) = value else {
            return default.unwrap_or(full).get(key) != Some(value);
        };
        let there = default.and_then(|d| d.get(key)?.as_table());
        let none = Table::new();
        let full = full.get(key).and_then(Value::as_table).unwrap_or(&none);
        prune(inner, there, full);
        // A section that is there by default says nothing if it is empty.
        there.is_none() || !inner.is_empty()
    });
}

/// Writes a section: first its own keys, then the sections in it.
fn section(path: &str, table: &Table, always: bool, out: &mut String) {
    let (sections, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, v)| v.is_table());
    // A String takes everything.
    if always || !values.is_empty() || sections.is_empty() {
        let _ = write!(out, "\n[{path}]\n");
    }
    for (key, value) in values {
        let _ = match value {
            // Certificates, and whatever else has lines.
            Value::String(text) if text.contains('\n') && !text.contains("'''") => {
                writeln!(out, "{key} = '''\n{text}'''")
            }
            other => writeln!(out, "{key} = {other}"),
        };
    }
    for (key, value) in sections {
        if let Value::Table(inner) = value {
            section(&format!("{path}.{key}"), inner, false, out);
        }
    }
}
