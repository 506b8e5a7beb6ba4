//! Setting what is short. Each step first puts on disk what it is about to change, then changes it,
//! then looks whether it took.

use std::path::{Path, PathBuf};

use throng_core::tune::{
    Did, FILE_LIMIT, Kind, NOTRACK, Outcome, PortSet, Scope, Setting, Status, words,
};

use super::state::{OldLimit, OldSysctl, OwnFile, OwnRules, Place, Store};
use super::{Fault, Here, System, notrack, persist, process, sysctl};

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Where.
    pub system: &'a System,
    /// What remembers the old values.
    pub state_file: &'a Path,
    /// The settings; those that are short are set, in this order.
    pub settings: &'a [Setting],
    /// Also write the files that make it last.
    pub persist: bool,
    /// A running process whose file limit is to be raised.
    pub pid: Option<u32>,
}

/// What came of it, and the state file that there is now.
pub type Done = (Vec<Outcome>, Option<PathBuf>);

/// Sets what is short.
///
/// # Errors
/// Only if nothing was done because old values could not be kept (no state file), or if they can no longer be. What
/// could not be set is an [`Outcome`].
pub fn apply(order: &Order) -> Result<Done, Fault> {
    apply_in_steps(order, &mut || ())
}

/// The same; `step` is called before and after everything that changes the system or the state file. A
/// test that panics in there is a kill at that instant.
pub(super) fn apply_in_steps(order: &Order, step: &mut dyn FnMut()) -> Result<Done, Fault> {
    let mut outcomes = Vec::new();
    let sysctls = possible_sysctls(order, &mut outcomes);
    let is_short = |name: &str| {
        order
            .settings
            .iter()
            .find(|s| s.name == name && s.status == Status::Short)
    };
    let firewall = is_short(NOTRACK);
    let limit = is_short(FILE_LIMIT);
    if sysctls.is_empty() && firewall.is_none() && order.pid.is_none() && !order.persist {
        if let Some(limit) = limit {
            outcomes.push(limit_of_nobody(limit));
        }
        let state = order
            .state_file
            .exists()
            .then(|| order.state_file.to_owned());
        return Ok((outcomes, state));
    }

    let mut work = Work {
        order,
        here: Here::read(),
        store: Store::open(order.state_file)?,
        step,
        outcomes,
    };
    work.sysctls(&sysctls)?;
    if let Some(setting) = firewall {
        work.firewall(setting)?;
    }
    if let (Some(pid), Some(limit)) = (order.pid, limit) {
        work.process(pid, limit)?;
    }
    if order.persist {
        work.persist(limit)?;
    } else if let (Some(limit), None) = (limit, order.pid) {
        work.outcomes.push(limit_of_nobody(limit));
    }
    (work.step)();
    work.store.save()?;
    (work.step)();
    Ok((work.outcomes, work.store.close()))
}

/// The sysctls that are short and that we may write; the others have their outcome already.
fn possible_sysctls<'a>(order: &Order<'a>, outcomes: &mut Vec<Outcome>) -> Vec<&'a Setting> {
    let mut possible = Vec::new();
    for setting in order.settings.iter().filter(|s| s.kind == Kind::Sysctl) {
        match setting.status {
            Status::Unread => {
                let why = format!("can't be read: {}", setting.now);
                outcomes.push(Outcome::new(&setting.name, Did::Failed, why));
            }
            Status::Short => match sysctl::can_write(order.system, &setting.name) {
                Ok(()) => possible.push(setting),
                Err(why) => outcomes.push(Outcome::new(&setting.name, Did::Failed, why)),
            },
            _ => {}
        }
    }
    possible
}

/// A limit ends with the process that has it, so that setting our own would be for nothing.
fn limit_of_nobody(limit: &Setting) -> Outcome {
    Outcome::new(
        FILE_LIMIT,
        Did::Failed,
        format!(
            "{} is short of {}, but a limit belongs to a process and ends with it. --persist sets it for logins and \
             services to come, --pid N for a process that runs (--pid $$ for your shell)",
            limit.now, limit.wanted
        ),
    )
}

struct Work<'a> {
    order: &'a Order<'a>,
    here: Here,
    store: Store,
    step: &'a mut dyn FnMut(),
    outcomes: Vec<Outcome>,
}

impl Work<'_> {
    fn did(&mut self, what: &str, did: Did, detail: impl Into<String>) {
        self.outcomes.push(Outcome::new(what, did, detail));
    }

    /// Puts the state on disk.
    fn save(&mut self) -> Result<(), Fault> {
        (self.step)();
        self.store.save()?;
        (self.step)();
        Ok(())
    }

    /// All old values first, with one write to the disk; then the new ones.
    fn sysctls(&mut self, settings: &[&Setting]) -> Result<(), Fault> {
        let mut planned = Vec::new();
        for setting in settings {
            match sysctl::read(self.order.system, &setting.name) {
                Ok(value) => {
                    let before = self.remember(setting, value.clone());
                    planned.push((*setting, value, before));
                }
                Err(e) => self.did(&setting.name, Did::Failed, format!("can't be read: {e}")),
            }
        }
        if planned.is_empty() {
            return Ok(());
        }
        self.save()?;
        for (setting, old, before) in planned {
            (self.step)();
            let written = sysctl::write(self.order.system, &setting.name, &setting.wanted);
            (self.step)();
            let now = sysctl::read(self.order.system, &setting.name).unwrap_or_default();
            let (old_words, now_words) = (words(&old), words(&now));
            match written {
                Ok(()) if now_words == words(&setting.wanted) => {
                    let detail = format!("{} -> {}", shown(&old_words), shown(&now_words));
                    self.did(&setting.name, Did::Changed, detail);
                }
                Ok(()) => {
                    if let Some(entry) = self.store.state.sysctl(&setting.name, &self.here) {
                        entry.written.push(now);
                    }
                    let detail = format!(
                        "asked for {}, the kernel made it {}",
                        shown(&setting.wanted),
                        shown(&now_words)
                    );
                    self.did(&setting.name, Did::Failed, detail);
                }
                Err(why) => {
                    if now == old {
                        self.forget(&setting.name, before);
                    }
                    self.did(&setting.name, Did::Failed, why);
                }
            }
        }
        Ok(())
    }

    /// Notes what is about to be written; the value before only the first time. Returns the note as it
    /// was.
    fn remember(&mut self, setting: &Setting, now: String) -> Option<OldSysctl> {
        let place = Place::of(&self.here, setting.scope != Scope::Machine);
        let state = &mut self.store.state;
        if let Some(entry) = state.sysctl(&setting.name, &self.here) {
            let before = entry.clone();
            entry.place = place;
            entry.written.retain(|w| *w != setting.wanted);
            entry.written.push(setting.wanted.clone());
            return Some(before);
        }
        state.sysctls.push(OldSysctl {
            name: setting.name.clone(),
            place,
            old: now,
            written: vec![setting.wanted.clone()],
        });
        None
    }

    /// Takes the note back: nothing was written.
    fn forget(&mut self, name: &str, before: Option<OldSysctl>) {
        match (before, self.store.state.sysctl(name, &self.here)) {
            (Some(before), Some(entry)) => *entry = before,
            (None, Some(_)) => {
                let here = &self.here;
                let is = |s: &OldSysctl| s.name == name && s.place.is(here);
                self.store.state.sysctls.retain(|s| !is(s));
            }
            (_, None) => {}
        }
    }

    fn firewall(&mut self, setting: &Setting) -> Result<(), Fault> {
        let (tool, there) = match notrack::choose().and_then(|t| Ok((t, notrack::untracked(t)?))) {
            Ok(found) => found,
            Err(why) => {
                self.did(NOTRACK, Did::Failed, why);
                return Ok(());
            }
        };
        let Ok(ports) = setting.wanted.parse::<PortSet>() else {
            self.did(NOTRACK, Did::Failed, "no ports; name them with --port");
            return Ok(());
        };
        let here = &self.here;
        let ours = |r: &&mut OwnRules| r.place.is(here);
        let before = self.store.state.notrack.clone();
        match self.store.state.notrack.iter_mut().find(ours) {
            Some(rules) if rules.tool != tool => {
                let with = rules.tool.name();
                self.did(
                    NOTRACK,
                    Did::Failed,
                    format!("throng's rules were made with {with}; --revert them first"),
                );
                return Ok(());
            }
            Some(rules) => rules.ports = ports.clone(),
            None if there.is_some() => {
                self.did(
                    NOTRACK,
                    Did::Foreign,
                    format!(
                        "there are rules named throng_notrack ({}) that the state file knows nothing of; remove them, \
                         or give the state file that does with --state",
                        tool.name()
                    ),
                );
                return Ok(());
            }
            None => self.store.state.notrack.push(OwnRules {
                place: Place::of(&self.here, true),
                tool,
                ports: ports.clone(),
            }),
        }
        self.save()?;
        (self.step)();
        let set = notrack::set(tool, &ports);
        (self.step)();
        match set.and_then(|()| notrack::untracked(tool)) {
            Ok(Some(now)) if now == ports => {
                let detail = format!(
                    "TCP ports {ports} are not tracked any more ({})",
                    tool.name()
                );
                self.did(NOTRACK, Did::Changed, detail);
            }
            Ok(now) => {
                let now = now.unwrap_or_default();
                self.did(
                    NOTRACK,
                    Did::Failed,
                    format!("asked for {ports}, the rules say '{now}'"),
                );
            }
            Err(why) => {
                if matches!(notrack::untracked(tool), Ok(now) if now == there) {
                    self.store.state.notrack = before;
                }
                self.did(NOTRACK, Did::Failed, why);
            }
        }
        Ok(())
    }

    fn process(&mut self, pid: u32, limit: &Setting) -> Result<(), Fault> {
        let what = format!("process {pid}");
        let read = || Ok((process::started(pid)?, process::file_limits_of(pid)?));
        let (started, old) = match read() {
            Ok(found) => found,
            Err(e) => {
                let e: std::io::Error = e;
                self.did(&what, Did::Failed, format!("can't be read: {e}"));
                return Ok(());
            }
        };
        let Some(new) = limits(&limit.wanted) else {
            return Ok(());
        };
        let boot = self.here.boot.clone();
        let before = self.store.state.processes.clone();
        let is = |p: &&mut OldLimit| p.pid == pid && p.started == started && p.boot == boot;
        match self.store.state.processes.iter_mut().find(is) {
            Some(entry) => entry.written.push(new),
            None => self.store.state.processes.push(OldLimit {
                pid,
                started,
                boot,
                old,
                written: vec![new],
            }),
        }
        self.save()?;
        (self.step)();
        let set = process::set_file_limits(pid, new);
        (self.step)();
        match set {
            Ok(()) if process::file_limits_of(pid).is_ok_and(|now| now == new) => {
                let detail = format!("file limit {} -> {}", limit.now, limit.wanted);
                self.did(&what, Did::Changed, detail);
            }
            Ok(()) => self.did(&what, Did::Failed, "its file limit did not change"),
            Err(why) => {
                self.store.state.processes = before;
                self.did(&what, Did::Failed, why);
            }
        }
        Ok(())
    }

    fn persist(&mut self, limit: Option<&Setting>) -> Result<(), Fault> {
        let here = &self.here;
        let ours = self.store.state.sysctls.iter().filter(|s| s.place.is(here));
        let mut lasting: Vec<(String, String)> = ours
            .filter_map(|s| Some((s.name.clone(), s.written.last()?.clone())))
            .collect();
        let place = |name: &str| self.order.settings.iter().position(|s| s.name == name);
        lasting.sort_by_key(|(name, _)| place(name));
        let mut files = persist::sysctl_files(&lasting);
        if let Some((soft, hard)) = limit.and_then(|l| l.wanted.split_once(' ')) {
            match self.nr_open_allows(hard) {
                Ok(()) => files.extend(persist::limit_files(soft, hard)),
                Err(why) => self.did(FILE_LIMIT, Did::Failed, why),
            }
        }
        for (path, content) in files {
            self.file(path, content)?;
        }
        if self
            .store
            .state
            .notrack
            .iter()
            .any(|r| r.place.is(&self.here))
        {
            let why = "its rules end with a reboot: throng does not edit /etc/nftables.conf; add the output of \
                       'nft list table inet throng_notrack' there yourself";
            self.did(NOTRACK, Did::AsItWas, why);
        }
        Ok(())
    }

    /// With a limit above fs.nr_open pam_limits refuses the login, and systemd starts no service.
    fn nr_open_allows(&self, hard: &str) -> Result<(), String> {
        let now = sysctl::read(self.order.system, "fs.nr_open").unwrap_or_default();
        match (now.trim().parse::<u64>(), hard.parse::<u64>()) {
            (Ok(now), Ok(hard)) if now >= hard => Ok(()),
            _ => Err(format!(
                "not written for logins and services: fs.nr_open is {}, and nobody could log in with a limit of {hard}",
                words(&now)
            )),
        }
    }

    fn file(&mut self, path: &str, content: String) -> Result<(), Fault> {
        let system = self.order.system;
        let there = match persist::read(system, path) {
            Ok(there) => there,
            Err(e) => {
                self.did(path, Did::Failed, format!("can't be read: {e}"));
                return Ok(());
            }
        };
        let before = (
            self.store.state.files.clone(),
            self.store.state.directories.clone(),
        );
        let ours = self.store.state.files.iter_mut().find(|f| f.path == path);
        match (ours, &there) {
            (Some(ours), Some(text)) if !ours.contents.contains(text) => {
                self.did(
                    path,
                    Did::Foreign,
                    "somebody has edited it since; left as it is",
                );
                return Ok(());
            }
            (Some(_), Some(text)) if *text == content => {
                self.did(path, Did::AsItWas, "as it should be");
                return Ok(());
            }
            (None, Some(_)) => {
                self.did(
                    path,
                    Did::Foreign,
                    "it is there already and not throng's, so it stays as it is; move it away first",
                );
                return Ok(());
            }
            (Some(ours), _) => ours.contents.push(content.clone()),
            (None, None) => self.store.state.files.push(OwnFile {
                path: path.to_owned(),
                contents: vec![content.clone()],
            }),
        }
        let missing = persist::missing_directories(system, path);
        for directory in &missing {
            if !self.store.state.directories.contains(directory) {
                self.store.state.directories.push(directory.clone());
            }
        }
        self.save()?;
        (self.step)();
        let made = missing
            .iter()
            .try_for_each(|d| std::fs::create_dir(system.path(d)));
        (self.step)();
        let written = made.and_then(|()| persist::write(system, path, &content));
        (self.step)();
        match written {
            Ok(()) => self.did(path, Did::Changed, "written"),
            Err(e) => {
                if there.is_none() && persist::remove(system, path).is_ok() {
                    for directory in missing.iter().rev() {
                        // Not there, or not empty: then it is not ours to remove.
                        let _ = std::fs::remove_dir(system.path(directory));
                    }
                    (self.store.state.files, self.store.state.directories) = before;
                }
                self.did(path, Did::Failed, format!("can't be written: {e}"));
            }
        }
        Ok(())
    }
}

/// `1024 unlimited` as numbers.
fn limits(text: &str) -> Option<(u64, u64)> {
    let number = |word: &str| match word {
        "unlimited" => Some(u64::MAX),
        n => n.parse().ok(),
    };
    let (soft, hard) = text.split_once(' ')?;
    Some((number(soft)?, number(hard)?))
}

/// Longer values (lists of reserved ports) are cut where they are told.
const LONGEST_SHOWN: usize = 80;

/// A value for people.
pub(super) fn shown(value: &str) -> String {
    match value.chars().count() {
        0 => "(empty)".into(),
        1..=LONGEST_SHOWN => value.into(),
        _ => value.chars().take(LONGEST_SHOWN).chain(['…']).collect(),
    }
}
