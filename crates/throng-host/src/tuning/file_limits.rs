//! Applies and reverts the file limits of running processes.

use std::io;

use serde::{Deserialize, Serialize};
use throng_core::tune::{Did, Setting};

use super::process_limits as process;
use super::session::Session;

/// The file limit of a running process that throng has set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OldLimit {
    pid: u32,
    /// When the process was started, in clock ticks after boot: a pid may be reused.
    started: u64,
    boot: String,
    /// Soft and hard, before.
    old: (u64, u64),
    /// What throng has set since.
    written: Vec<(u64, u64)>,
}

impl OldLimit {
    /// A limit that no process can have, if there is one: the process, and the limit in words.
    pub(super) fn damaged(&self) -> Option<(String, String)> {
        let mut limits = self.written.iter().chain([&self.old]);
        let (soft, hard) = limits.find(|(soft, hard)| soft > hard)?;
        Some((name(self.pid), format!("{soft} {hard}")))
    }
}

/// A limit whose old value is noted, and which is about to be set.
pub(super) struct Planned<'a> {
    pid: u32,
    limit: &'a Setting,
    new: (u64, u64),
    before: Vec<OldLimit>,
}

/// Notes the present limit of process `pid`; `None` if it can't be read, which is then an outcome.
pub(super) fn remember<'a>(
    session: &mut Session,
    all: &mut Vec<OldLimit>,
    pid: u32,
    limit: &'a Setting,
) -> Option<Planned<'a>> {
    let read = || io::Result::Ok((process::started(pid)?, process::file_limits_of(pid)?));
    let (started, old) = match read() {
        Ok(found) => found,
        Err(e) => {
            let detail = format!("can't be read: {e}");
            session.did(&name(pid), Did::Failed, detail);
            return None;
        }
    };
    let new = parse(&limit.wanted)?;
    let boot = &session.here.boot;
    let before = all.clone();
    let is = |p: &&mut OldLimit| p.pid == pid && p.started == started && p.boot == *boot;
    match all.iter_mut().find(is) {
        Some(noted) => noted.written.push(new),
        None => all.push(OldLimit {
            pid,
            started,
            boot: boot.clone(),
            old,
            written: vec![new],
        }),
    }
    Some(Planned {
        pid,
        limit,
        new,
        before,
    })
}

/// Sets the limit, and checks that it holds.
pub(super) fn set(session: &mut Session, all: &mut Vec<OldLimit>, planned: Planned) {
    let Planned {
        pid, limit, new, ..
    } = planned;
    let what = name(pid);
    match session.change(|| process::set_file_limits(pid, new)) {
        Ok(()) if process::file_limits_of(pid).is_ok_and(|now| now == new) => {
            let detail = format!("file limit {} -> {}", limit.now, limit.wanted);
            session.did(&what, Did::Changed, detail);
        }
        Ok(()) => {
            session.did(&what, Did::Failed, "its file limit did not change");
        }
        Err(why) => {
            *all = planned.before;
            session.did(&what, Did::Failed, why);
        }
    }
}

/// Restores the old limit. Returns whether it must stay in the state file.
pub(super) fn put_back(session: &mut Session, limit: &OldLimit, force: bool) -> bool {
    let what = name(limit.pid);
    let same = limit.boot == session.here.boot
        && process::started(limit.pid).is_ok_and(|s| s == limit.started);
    if !same {
        return session.did(&what, Did::AsItWas, "it has ended, and its limit with it");
    }
    let now = match process::file_limits_of(limit.pid) {
        Ok(now) => now,
        Err(e) => return session.did(&what, Did::Failed, format!("can't be read: {e}")),
    };
    if now == limit.old {
        return session.did(&what, Did::AsItWas, "its file limit is as it was");
    }
    if !limit.written.contains(&now) && !force {
        let detail = format!(
            "file limit set to {} {} by somebody else since, so left alone",
            now.0, now.1
        );
        return session.did(&what, Did::Foreign, detail);
    }
    match session.change(|| process::set_file_limits(limit.pid, limit.old)) {
        Ok(()) => session.did(&what, Did::Changed, "its file limit is as it was"),
        Err(why) => session.did(&what, Did::Failed, why),
    }
}

fn name(pid: u32) -> String {
    format!("process {pid}")
}

/// `1024 unlimited` as numbers.
fn parse(text: &str) -> Option<(u64, u64)> {
    let number = |word: &str| match word {
        "unlimited" => Some(u64::MAX),
        n => n.parse().ok(),
    };
    let (soft, hard) = text.split_once(' ')?;
    Some((number(soft)?, number(hard)?))
}
