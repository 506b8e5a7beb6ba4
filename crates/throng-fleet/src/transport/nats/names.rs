//! Names of agents, runs and subjects. A name is one part of a subject, so it has no dots, blanks and wildcards.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// The longest name.
const MOST: usize = 64;

/// Whether `text` can be the name of an agent or a run: 1 to 64 letters, digits, `-` and `_`.
pub fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=MOST).contains(&text.len()) && text.chars().all(is_plain)
}

/// `text` as a name: what can't be in one becomes `-`.
pub(super) fn as_name(text: &str) -> String {
    let plain = |c: char| match is_name(c.encode_utf8(&mut [0; 4])) {
        true => c,
        false => '-',
    };
    text.chars().take(MOST - 8).map(plain).collect()
}

/// A number that no other process has drawn, in hex.
pub(super) fn unique() -> String {
    // A hasher's seed is the system's.
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// What all subjects of a fleet begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Default for Prefix {
    fn default() -> Prefix {
        Prefix("throng".into())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        match text.split('.').all(is_name) {
            true => Ok(Prefix(text.to_owned())),
            false => Err(format!(
                "'{text}': write letters, digits, '-' and '_', with dots in between, as throng or lab.throng"
            )),
        }
    }
}

impl Prefix {
    /// Where coordinators ask which agents are there.
    pub(super) fn find(&self) -> String {
        format!("{self}.find")
    }

    /// Where an agent takes orders.
    pub(super) fn orders(&self, instance: &str) -> String {
        format!("{self}.agent.{instance}")
    }

    /// Where an agent reports on a run what is worth keeping.
    pub(super) fn reports(&self, run: &str, instance: &str) -> String {
        format!("{self}.run.{run}.{instance}")
    }

    /// Where it reports what matters only at the moment.
    pub(super) fn passing(&self, run: &str, instance: &str) -> String {
        format!("{}.now", self.reports(run, instance))
    }

    /// Where a coordinator says what it has decided about a run.
    pub(super) fn decisions(&self, run: &str) -> String {
        format!("{self}.plan.{run}")
    }

    /// Where coordinators are asked which runs go on.
    pub(super) fn runs(&self) -> String {
        format!("{self}.runs")
    }

    /// Where the coordinator of a run is asked about it.
    pub(super) fn coordinator(&self, run: &str) -> String {
        format!("{self}.runs.{run}")
    }

    /// Where an agent says what it was ordered and has refused.
    pub(super) fn log(&self, name: &str, instance: &str) -> String {
        format!("{self}.log.{name}.{instance}")
    }

    /// The name of a stream, in which there are no dots.
    pub(super) fn stream(&self, what: &str) -> String {
        format!("{}-{what}", self.0.replace('.', "+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_subjects() {
        for (text, is) in [
            ("a-B_9", true),
            ("", false),
            ("a.b", false),
            ("a b", false),
            ("*", false),
            (">", false),
            ("ä", false),
        ] {
            assert_eq!(is_name(text), is, "{text}");
        }
        assert!(!is_name(&"x".repeat(MOST + 1)));
        assert_eq!(as_name("host.example.org"), "host-example-org");
        assert!(is_name(&unique()) && unique() != unique());
    }

    #[test]
    fn a_prefix_has_parts() {
        let prefix: Prefix = "lab.throng".parse().unwrap();
        assert_eq!(prefix.reports("r", "i"), "lab.throng.run.r.i");
        assert_eq!(prefix.passing("r", "i"), "lab.throng.run.r.i.now");
        assert_eq!(prefix.stream("plans"), "lab+throng-plans");
        assert_eq!(Prefix::default().orders("i"), "throng.agent.i");
        for wrong in ["", "a..b", ".a", "a.>", "a b"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }
}
