//! A file below `/proc/sys`, read and written as a whole. Errors are texts for people.

use std::fs::File;
use std::io::{self, Write};

use rustix::process::geteuid;
use throng_core::tune::{Current, words};

use super::session::shown;
use super::system::System;
use crate::proc_text;

fn path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// Whether `name` is one that throng may read from a state file and then write to.
pub(super) fn is_name(name: &str) -> bool {
    throng_core::tune::SYSCTLS.contains(&name)
}

/// The value, to the last byte.
pub(super) fn read(system: &System, name: &str) -> io::Result<String> {
    proc_text::read_plainly(&system.path(&path(name)))
}

/// The value for the table.
pub(super) fn current(system: &System, name: &str) -> Current {
    match read(system, name) {
        Ok(text) => Current::Value(text.trim_end_matches('\n').to_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Current::Absent(absent(name)),
        Err(e) => Current::Unread(match e.kind() {
            io::ErrorKind::PermissionDenied => "only root may read it".into(),
            _ => e.to_string(),
        }),
    }
}

fn absent(name: &str) -> String {
    match name {
        _ if name.starts_with("net.netfilter.") => "connection tracking is not loaded".into(),
        _ if name.starts_with("net.") => "the host's; not visible in this network namespace".into(),
        _ => "this kernel has none".into(),
    }
}

/// Whether it could be written, without writing it; otherwise why not, and the remedy.
pub(super) fn can_write(system: &System, name: &str) -> Result<(), String> {
    let opened = File::options().write(true).open(system.path(&path(name)));
    opened.map(drop).map_err(|e| why_not(&e, name))
}

/// Writes `value` just as it is.
pub(super) fn write(system: &System, name: &str, value: &str) -> Result<(), String> {
    let path = system.path(&path(name));
    let written = (|| {
        let mut file = File::options().write(true).open(path)?;
        file.write_all(value.as_bytes())?;
        // In a copy of /proc/sys the rest of a longer value would stay. A file of /proc itself is
        // always 0 bytes long.
        match file.metadata()?.len() {
            0 => Ok(()),
            _ => file.set_len(value.len() as u64),
        }
    })();
    written.map_err(|e| match e.kind() {
        io::ErrorKind::InvalidInput => format!("the kernel refuses {}", shown(&words(value))),
        _ => why_not(&e, name),
    })
}

fn why_not(e: &io::Error, name: &str) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => absent(name),
        io::ErrorKind::ReadOnlyFilesystem => {
            "/proc/sys is read-only here, as in a container; set it on the host, or when the container is made \
             (throng tune --container)"
                .into()
        }
        io::ErrorKind::PermissionDenied if !geteuid().is_root() => "not root; run it with sudo".into(),
        io::ErrorKind::PermissionDenied => {
            "root may not either: it is the host's, and this is a container or a network namespace; set it on the \
             host"
                .into()
        }
        _ => e.to_string(),
    }
}
