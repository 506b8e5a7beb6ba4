//! Raises what is insufficient: each kind of setting in turn, its old value on disk before it is changed.

use std::path::{Path, PathBuf};

use throng_core::tune::{Did, FILE_LIMIT, NOTRACK, Outcome, Setting, Status, words};

use super::fault::Fault;
use super::session::Session;
use super::state_file::StateFile;
use super::system::System;
use super::{etc, file_limits, files, firewall, proc_sys, sysctls};

/// What to set.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The system to change.
    pub system: &'a System,
    /// The file that remembers the old values.
    pub state_file: &'a Path,
    /// The settings; insufficient ones are set, in this order.
    pub settings: &'a [Setting],
    /// Also write the files that keep the settings over a reboot.
    pub persist: bool,
    /// A running process whose file limit is to be raised.
    pub pid: Option<u32>,
}

impl<'a> Request<'a> {
    /// The setting `name`, if it is insufficient.
    fn short(&self, name: &str) -> Option<&'a Setting> {
        let is_short = |s: &&Setting| s.name == name && s.status == Status::Short;
        self.settings.iter().find(is_short)
    }
}

/// The outcomes, and the state file, if there is one now.
pub type Done = (Vec<Outcome>, Option<PathBuf>);

/// Raises what is insufficient.
///
/// # Errors
/// The old values can't be saved, or no longer: then nothing, or nothing more, was changed. A setting that could not be
/// changed is an [`Outcome`] instead.
pub fn apply(request: &Request) -> Result<Done, Fault> {
    apply_in_steps(request, &mut || ())
}

/// The same, with [`Session`]'s `step`.
pub(super) fn apply_in_steps(request: &Request, step: &mut dyn FnMut()) -> Result<Done, Fault> {
    let session = &mut Session::on(request.system, step);
    let possible = sysctls::possible(session, request.settings);
    let (rules, limit) = (request.short(NOTRACK), request.short(FILE_LIMIT));
    if possible.is_empty() && rules.is_none() && request.pid.is_none() && !request.persist {
        limit_of_nobody(session, request);
        let state_file = request.state_file;
        let there = match state_file.exists() {
            // A damaged one is reported now, not when it is needed.
            true => StateFile::open(state_file)?.close(),
            false => None,
        };
        return Ok((std::mem::take(&mut session.outcomes), there));
    }

    let mut state = StateFile::open(request.state_file)?;
    let planned = sysctls::remember(session, &mut state.old.sysctls, &possible);
    if !planned.is_empty() {
        session.change(|| state.save())?;
        sysctls::set(session, &mut state.old.sysctls, planned);
    }
    if let Some(setting) = rules
        && let Some(planned) = firewall::remember(session, &mut state.old.notrack, setting)
    {
        session.change(|| state.save())?;
        firewall::set(session, &mut state.old.notrack, planned);
    }
    if let (Some(pid), Some(limit)) = (request.pid, limit)
        && let Some(planned) = file_limits::remember(session, &mut state.old.processes, pid, limit)
    {
        session.change(|| state.save())?;
        file_limits::set(session, &mut state.old.processes, planned);
    }
    if request.persist {
        persist(session, &mut state, request, limit)?;
    }
    limit_of_nobody(session, request);
    session.change(|| state.save())?;
    Ok((std::mem::take(&mut session.outcomes), state.close()))
}

/// The outcome of an insufficient file limit if no process was named: a limit ends with its process, so raising
/// throng's own would achieve nothing.
fn limit_of_nobody(session: &mut Session, request: &Request) {
    let Some(limit) = request.short(FILE_LIMIT) else {
        return;
    };
    if request.persist || request.pid.is_some() {
        return;
    }
    let detail = format!(
        "{} is short of {}, but a limit belongs to a process and ends with it. --persist sets it for future logins \
         and services, --pid N for a running process (--pid $$ for your shell)",
        limit.now, limit.wanted
    );
    session.did(FILE_LIMIT, Did::Failed, detail);
}

/// Writes the files that keep the settings over a reboot.
fn persist(
    session: &mut Session,
    state: &mut StateFile,
    request: &Request,
    limit: Option<&Setting>,
) -> Result<(), Fault> {
    let mut lasting = sysctls::lasting(&state.old.sysctls, &session.here);
    let order = |name: &str| request.settings.iter().position(|s| s.name == name);
    lasting.sort_by_key(|(name, _)| order(name));
    let mut wanted = etc::sysctl_files(&lasting);
    if let Some((soft, hard)) = limit.and_then(|l| l.wanted.split_once(' ')) {
        match nr_open_allows(session.system, hard) {
            Ok(()) => wanted.extend(etc::limit_files(soft, hard)),
            Err(why) => {
                session.did(FILE_LIMIT, Did::Failed, why);
            }
        }
    }
    for (path, content) in wanted {
        let (own, directories) = (&mut state.old.files, &mut state.old.directories);
        if let Some(planned) = files::remember(session, own, directories, path, content) {
            session.change(|| state.save())?;
            let (own, directories) = (&mut state.old.files, &mut state.old.directories);
            files::set(session, own, directories, planned);
        }
    }
    if firewall::any(&state.old.notrack, &session.here) {
        let detail = "its rules end with a reboot: throng does not edit /etc/nftables.conf; add the output of 'nft \
                      list table inet throng_notrack' there yourself";
        session.did(NOTRACK, Did::AsItWas, detail);
    }
    Ok(())
}

/// With a limit above fs.nr_open pam_limits refuses the login, and systemd starts no service.
fn nr_open_allows(system: &System, hard: &str) -> Result<(), String> {
    let now = proc_sys::read(system, "fs.nr_open").unwrap_or_default();
    match (now.trim().parse::<u64>(), hard.parse::<u64>()) {
        (Ok(now), Ok(hard)) if now >= hard => Ok(()),
        _ => Err(format!(
            "not written for logins and services: fs.nr_open is {}, and nobody could log in with a limit of {hard}",
            words(&now)
        )),
    }
}
