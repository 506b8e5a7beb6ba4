//! Applies and reverts sysctls.

use std::io;

use serde::{Deserialize, Serialize};
use throng_core::tune::{Did, Kind, Scope, Setting, Status, words};

use super::proc_sys;
use super::session::{Session, shown};
use super::system::Origin;
use crate::here::Here;

/// The kernel takes a longer value in pieces of this many bytes, or a few less (proc_do_large_bitmap).
const PIECE: usize = 4096 - 8;

/// A sysctl that throng has set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OldSysctl {
    pub(super) name: String,
    #[serde(flatten)]
    origin: Origin,
    /// The value before, to the byte.
    old: String,
    /// What throng has written, or was about to, since. The last one counts.
    written: Vec<String>,
}

impl OldSysctl {
    /// A value that neither the kernel nor throng can have written, if there is one.
    pub(super) fn damaged(&self) -> Option<&str> {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let range = |text: &str| match text.split_once('-') {
            Some((from, to)) => number(from) && number(to),
            None => number(text),
        };
        let is_list = |text: &str| {
            let words = text.split([',', ' ', '\t', '\n']);
            words.filter(|word| !word.is_empty()).all(range)
        };
        let mut values = self.written.iter().chain([&self.old]);
        values.find(|value| !is_list(value)).map(String::as_str)
    }

    /// Whether it is `name` as this process sees it.
    fn is(&self, name: &str, here: &Here) -> bool {
        self.name == name && self.origin.is(here)
    }

    /// Whether `value` is the old one, one that throng wrote, or the first part of a list so long that
    /// the kernel took it piece by piece.
    fn wrote(&self, value: &str) -> bool {
        let now = words(value);
        self.written.iter().chain([&self.old]).any(|whole| {
            let whole = words(whole);
            whole == now || (whole.len() >= PIECE && !now.is_empty() && whole.starts_with(&now))
        })
    }
}

/// A value that is noted and about to be set.
pub(super) struct Planned<'a> {
    setting: &'a Setting,
    old: String,
    /// The note before this one.
    before: Option<OldSysctl>,
}

/// The insufficient sysctls that this process may write; the others have their outcome already.
pub(super) fn possible<'a>(session: &mut Session, settings: &'a [Setting]) -> Vec<&'a Setting> {
    let mut possible = Vec::new();
    for setting in settings.iter().filter(|s| s.kind == Kind::Sysctl) {
        match setting.status {
            Status::Unread => {
                let why = format!("can't be read: {}", setting.now);
                session.did(&setting.name, Did::Failed, why);
            }
            Status::Short => match proc_sys::can_write(session.system, &setting.name) {
                Ok(()) => possible.push(setting),
                Err(why) => {
                    session.did(&setting.name, Did::Failed, why);
                }
            },
            _ => {}
        }
    }
    possible
}

/// Notes the values before, so that one write to the disk keeps them all.
pub(super) fn remember<'a>(
    session: &mut Session,
    all: &mut Vec<OldSysctl>,
    settings: &[&'a Setting],
) -> Vec<Planned<'a>> {
    let mut planned = Vec::new();
    for setting in settings {
        match proc_sys::read(session.system, &setting.name) {
            Ok(old) => planned.push(Planned {
                setting,
                before: note(all, &session.here, setting, &old),
                old,
            }),
            Err(e) => {
                session.did(&setting.name, Did::Failed, format!("can't be read: {e}"));
            }
        }
    }
    planned
}

/// Notes what is about to be written; the value before only the first time. Returns the note as it was.
fn note(all: &mut Vec<OldSysctl>, here: &Here, setting: &Setting, now: &str) -> Option<OldSysctl> {
    let origin = Origin::of(here, setting.scope != Scope::Machine);
    if let Some(noted) = all.iter_mut().find(|s| s.is(&setting.name, here)) {
        let before = noted.clone();
        noted.origin = origin;
        noted.written.retain(|w| *w != setting.wanted);
        noted.written.push(setting.wanted.clone());
        return Some(before);
    }
    all.push(OldSysctl {
        name: setting.name.clone(),
        origin,
        old: now.to_owned(),
        written: vec![setting.wanted.clone()],
    });
    None
}

/// Withdraws a note, because nothing was written.
fn forget(all: &mut Vec<OldSysctl>, here: &Here, name: &str, before: Option<OldSysctl>) {
    match (before, all.iter().position(|s| s.is(name, here))) {
        (Some(before), Some(i)) => all[i] = before,
        (None, Some(i)) => {
            all.remove(i);
        }
        (_, None) => {}
    }
}

/// Sets what is planned, and checks that the kernel took it.
pub(super) fn set(session: &mut Session, all: &mut Vec<OldSysctl>, planned: Vec<Planned>) {
    for Planned {
        setting,
        old,
        before,
    } in planned
    {
        let (system, name) = (session.system, &setting.name);
        let written = session.change(|| proc_sys::write(system, name, &setting.wanted));
        let now = proc_sys::read(system, name).unwrap_or_default();
        let (old_words, now_words) = (words(&old), words(&now));
        match written {
            Ok(()) if now_words == words(&setting.wanted) => {
                let detail = format!("{} -> {}", shown(&old_words), shown(&now_words));
                session.did(name, Did::Changed, detail);
            }
            Ok(()) => {
                if let Some(noted) = all.iter_mut().find(|s| s.is(name, &session.here)) {
                    noted.written.push(now);
                }
                session.did(name, Did::Failed, refused(&setting.wanted, &now_words));
            }
            Err(why) => {
                if now == old {
                    forget(all, &session.here, name, before);
                }
                session.did(name, Did::Failed, why);
            }
        }
    }
}

fn refused(asked: &str, now: &str) -> String {
    format!(
        "asked for {}, the kernel made it {}",
        shown(asked),
        shown(now)
    )
}

/// Names and values that throng has set here, as files under /etc keep them.
pub(super) fn lasting(all: &[OldSysctl], here: &Here) -> Vec<(String, String)> {
    all.iter()
        .filter(|s| s.origin.is(here))
        .filter_map(|s| Some((s.name.clone(), s.written.last()?.clone())))
        .collect()
}

/// Restores the old value. Returns whether it must stay in the state file.
pub(super) fn put_back(session: &mut Session, sysctl: &OldSysctl, force: bool) -> bool {
    let (system, name, old) = (session.system, &sysctl.name, &sysctl.old);
    if !sysctl.origin.is(&session.here) {
        return session.elsewhere(name, sysctl.origin.namespace(), force);
    }
    let now = match proc_sys::read(system, name) {
        Ok(now) => now,
        // Conntrack's values exist only while it is loaded; all others always exist.
        Err(e) if e.kind() == io::ErrorKind::NotFound && name.starts_with("net.netfilter.") => {
            let detail = "connection tracking is no longer loaded";
            return session.did(name, Did::AsItWas, detail);
        }
        Err(e) => return session.did(name, Did::Failed, format!("can't be read: {e}")),
    };
    if now == *old {
        return session.did(name, Did::AsItWas, shown(&words(&now)));
    }
    if !sysctl.wrote(&now) && !force {
        let detail = format!(
            "set to {} by somebody else since, so left alone; it was {} before throng. --revert --force puts that \
             back",
            shown(&words(&now)),
            shown(&words(old))
        );
        return session.did(name, Did::Foreign, detail);
    }
    if let Err(why) = session.change(|| proc_sys::write(system, name, old)) {
        return session.did(name, Did::Failed, why);
    }
    match proc_sys::read(system, name) {
        Ok(then) if then == *old => {
            let detail = format!("{} -> {}", shown(&words(&now)), shown(&words(&then)));
            session.did(name, Did::Changed, detail)
        }
        Ok(then) => session.did(name, Did::Failed, refused(&words(old), &words(&then))),
        Err(e) => session.did(name, Did::Failed, format!("can't be read: {e}")),
    }
}
