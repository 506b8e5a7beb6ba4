//! Writes a scenario as the text of a file.

use super::error::VERSION;
use crate::scenario::{
    Listening, LoadScenario, ProxyScenario, Scenario, ServeScenario, TlsClient, TlsServer,
};
use serde::Serialize;
use std::fmt::Write;
use toml::{Table, Value};

/// Why a scenario can't be written as a file: a path in it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scenario can't be written: {0}")]
pub struct WriteError(#[from] toml::ser::Error);

/// The text of a file for `scenario`, which reads back as the same scenario. Defaults are left out.
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
                protocol: load.protocol.kind().by_default(),
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
        Scenario::Proxy(proxy) => {
            let default = ProxyScenario::default();
            let full = ProxyScenario {
                tls: Some(TlsServer::default()),
                backend_tls: Some(TlsClient::default()),
                ..default.clone()
            };
            let said = said(proxy.as_ref(), &default, &full)?;
            section("proxy", &said, true, &mut out);
        }
    }
    Ok(out)
}

/// The values of `asked` that differ from the default. `full` is the default with the sections that it lacks.
fn said<T: Serialize>(asked: &T, default: &T, full: &T) -> Result<Table, WriteError> {
    let mut all = Table::try_from(asked)?;
    prune(
        &mut all,
        Some(&Table::try_from(default)?),
        &Table::try_from(full)?,
    );
    Ok(all)
}

/// Removes values equal to those of `default` or, in a section that the default lacks, to those of `full`.
fn prune(table: &mut Table, default: Option<&Table>, full: &Table) {
    table.retain(|key, value| {
        let Value::Table(inner) = value else {
            return default.unwrap_or(full).get(key) != Some(value);
        };
        let there = default.and_then(|d| d.get(key)?.as_table());
        let none = Table::new();
        let full = full.get(key).and_then(Value::as_table).unwrap_or(&none);
        prune(inner, there, full);
        // An empty section that the default has says nothing.
        there.is_none() || !inner.is_empty()
    });
}

/// Writes a section: its own keys, then its subsections.
fn section(path: &str, table: &Table, always: bool, out: &mut String) {
    let (sections, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, v)| v.is_table());
    // Writing to a String never fails.
    if always || !values.is_empty() || sections.is_empty() {
        let _ = write!(out, "\n[{path}]\n");
    }
    for (key, value) in values {
        let _ = match value {
            // Text of several lines, such as certificates.
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
