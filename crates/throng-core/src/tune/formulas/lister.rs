//! What the formulas share: makes a setting from its present and its wanted value.

use crate::tune::setting::{
    Ask, Current, Extra, Kind, Now, Rule, Scope, Setting, Status, numbers, words,
};

/// Works out one setting after the other.
pub(super) struct Lister<'a> {
    pub(super) ask: &'a Ask,
    pub(super) now: &'a Now,
}

/// The status of a setting whose value is `now`, as `judge` decides. `None` from `judge` means that the value is not as
/// the kernel documents it; the setting then counts as unread.
pub(super) fn status(now: &mut Current, judge: impl FnOnce(&str) -> Option<Status>) -> Status {
    let text = match now {
        Current::Value(text) => text,
        Current::Absent(_) => return Status::Absent,
        Current::Unread(_) => return Status::Unread,
    };
    if let Some(status) = judge(text) {
        return status;
    }
    let shown: String = words(text).chars().take(60).collect();
    *now = Current::Unread(format!("unexpected content '{shown}'"));
    Status::Unread
}

/// The status of a setting that must be at least `enough`.
pub(super) fn short_unless(enough: bool) -> Status {
    match enough {
        true => Status::Enough,
        false => Status::Short,
    }
}

impl Lister<'_> {
    /// How many connections.
    pub(super) fn n(&self) -> u64 {
        self.ask.connections.into()
    }

    /// The status of a setting that is not as wanted and is only changed on request.
    pub(super) fn requested(&self, extra: Extra) -> Status {
        match self.ask.with.contains(&extra) {
            true => Status::Short,
            false => Status::OnRequest,
        }
    }

    /// A sysctl of as many numbers as `target`, each of which should be at least that.
    pub(super) fn at_least(
        &self,
        name: &str,
        scope: Scope,
        target: &[u64],
        why: impl Into<String>,
        risk: impl Into<String>,
    ) -> Setting {
        let mut now = self.now.sysctl(name);
        let mut wanted = target.to_vec();
        let status = status(&mut now, |text| {
            let values = numbers(text).filter(|v| v.len() == target.len())?;
            wanted = target.iter().zip(&values).map(|(t, v)| *t.max(v)).collect();
            Some(short_unless(wanted == values))
        });
        let wanted: Vec<String> = wanted.iter().map(u64::to_string).collect();
        Setting {
            name: name.into(),
            kind: Kind::Sysctl,
            scope,
            rule: Rule::AtLeast,
            now,
            wanted: wanted.join(" "),
            status,
            why: why.into(),
            risk: risk.into(),
            with: None,
        }
    }

    pub(super) fn number(
        &self,
        name: &str,
        scope: Scope,
        target: u64,
        why: &str,
        risk: &str,
    ) -> Setting {
        self.at_least(name, scope, &[target], why, risk)
    }
}
