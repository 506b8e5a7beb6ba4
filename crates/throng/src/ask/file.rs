//! Reads scenarios from files, with the files that they name, and writes them.

use crate::Failure;
use crate::files::{self, Named};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use throng_core::scenario::file::{self, Set};
use throng_core::scenario::{LoadScenario, ProxyScenario, Scenario, ServeScenario};

/// Reads the scenario from the file at `path`, or from stdin if that is `-`, and applies `sets` to it. Relative paths
/// in it start at the file's directory.
///
/// Also returns the files that were read.
pub(crate) fn read(path: &Path, sets: &[Set]) -> Result<(Scenario, Vec<Named>), Failure> {
    let stdin = path == Path::new("-");
    let origin = match stdin {
        true => "stdin".to_owned(),
        false => path.display().to_string(),
    };
    let bytes = match stdin {
        true => files::read_to_end(io::stdin().lock()),
        false => files::read(path),
    };
    let bytes = bytes.map_err(|e| Failure::usage(format!("{origin}: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Failure::usage(format!(
            "{origin}: byte {at} is not UTF-8; TOML files must be"
        ))
    })?;
    let directory = match (stdin, path.parent()) {
        (false, Some(parent)) => parent,
        _ => Path::new(""),
    };
    let read = RefCell::new(Vec::new());
    if !stdin {
        read.borrow_mut().push(Named::new("the scenario", path));
    }
    let reading = |name: &str| {
        let path = directory.join(name);
        let bytes = files::read(&path);
        read.borrow_mut().push(Named::new(origin.as_str(), path));
        bytes
    };
    let mut scenario =
        file::read(&text, &origin, sets, &reading).map_err(|e| Failure::usage(e.to_string()))?;
    let join = |(_, path): (_, &mut PathBuf)| *path = directory.join(&*path);
    match &mut scenario {
        Scenario::Load(load) => load.files_mut().for_each(join),
        Scenario::Serve(serve) => serve.files_mut().for_each(join),
        Scenario::Proxy(proxy) => proxy.files_mut().for_each(join),
    }
    Ok((scenario, read.into_inner()))
}

/// The text of a scenario file for `scenario`. Paths in it are absolute, so the file may be anywhere.
pub(crate) fn text_of_load(scenario: &LoadScenario) -> Result<String, Failure> {
    let mut scenario = scenario.clone();
    absolute(scenario.files_mut())?;
    text(&Scenario::Load(Box::new(scenario)))
}

/// The same for showing it: without private keys.
pub(crate) fn shown_load(scenario: &LoadScenario) -> Result<String, Failure> {
    let mut scenario = scenario.clone();
    scenario.pems_mut().for_each(|(_, pem)| pem.hide_keys());
    text_of_load(&scenario)
}

/// The text of a scenario file for `scenario`. Paths in it are absolute, so the file may be anywhere.
pub(crate) fn text_of_serve(scenario: &ServeScenario) -> Result<String, Failure> {
    let mut scenario = scenario.clone();
    absolute(scenario.files_mut())?;
    text(&Scenario::Serve(Box::new(scenario)))
}

/// The same for showing it: without private keys.
pub(crate) fn shown_serve(scenario: &ServeScenario) -> Result<String, Failure> {
    let mut scenario = scenario.clone();
    scenario.pems_mut().for_each(|(_, pem)| pem.hide_keys());
    text_of_serve(&scenario)
}

/// The text of a scenario file for `scenario`. Paths in it are absolute, so the file may be anywhere.
pub(crate) fn text_of_proxy(scenario: &ProxyScenario) -> Result<String, Failure> {
    let mut scenario = scenario.clone();
    absolute(scenario.files_mut())?;
    text(&Scenario::Proxy(Box::new(scenario)))
}

/// The same for showing it: without private keys.
pub(crate) fn shown_proxy(scenario: &ProxyScenario) -> Result<String, Failure> {
    let mut scenario = scenario.clone();
    scenario.pems_mut().for_each(|(_, pem)| pem.hide_keys());
    text_of_proxy(&scenario)
}

fn absolute<'a>(
    files: impl Iterator<Item = (&'static str, &'a mut PathBuf)>,
) -> Result<(), Failure> {
    for (option, path) in files {
        *path = std::path::absolute(&*path)
            .map_err(|e| Failure::usage(format!("{option} {}: {e}", path.display())))?;
    }
    Ok(())
}

fn text(scenario: &Scenario) -> Result<String, Failure> {
    file::write(scenario).map_err(|e| Failure::usage(e.to_string()))
}

/// Refuses, before the run begins, files that it could not read.
pub(crate) fn check<'a>(
    files: impl Iterator<Item = (&'static str, &'a mut PathBuf)>,
) -> Result<(), Failure> {
    for (option, path) in files {
        std::fs::File::open(&*path)
            .map_err(|e| Failure::usage(format!("{option} {}: {e}", path.display())))?;
    }
    Ok(())
}
