//! The plan of a sweep: what varies, how often each point is tried, in which order, and against what. It is written to disk
//! before the first trial, so that a sweep that was interrupted goes on as it began.

use super::mlr::Terms;
use super::objective::Objective;
use super::order::{Due, Order, schedule};
use crate::expect::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the plan and of the result.
pub const VERSION: u32 = 1;

/// The most trials of a sweep.
pub const MOST_TRIALS: usize = 100_000;

/// The plan of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// `throng` and its version.
    pub tool: String,
    /// The command line.
    pub command: Vec<String>,
    /// The words of a trial: a command line of throng without its name.
    pub trial: Vec<String>,
    /// What a trial runs, as text of a scenario file: of each point, or one for all.
    pub scenarios: Vec<String>,
    /// What varies; the first variable varies fastest from point to point. In a search it is the load, without values, and there is
    /// a search for each value of the others.
    pub variables: Vec<Variable>,
    /// The search for the highest load at which the objective holds; `None` for a sweep of given points. A point is a load then, at
    /// the values of the other variables.
    pub find: Option<Terms>,
    /// Trials of each point; 0 in a search.
    pub repeat: u32,
    /// Their order.
    pub order: Order,
    /// The seed of the order, and of confidence intervals.
    pub seed: u64,
    /// How many of the best and of the worst trials of a point its trimmed mean leaves out.
    pub trim: u32,
    /// What counts as throughput.
    pub metric: Metric,
    /// What a point has to keep.
    pub objective: Option<Objective>,
    /// The system under test; `None` if the sweep does not start it.
    pub system: Option<System>,
    /// How a trial is kept apart from the one before.
    pub between: Between,
    /// The length of a trial after each start of the system, whose result is not kept, seconds.
    pub warm_up_s: Option<f64>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name, as the user wrote it.
    pub name: String,
    /// What it sets.
    #[serde(flatten)]
    pub sets: Sets,
    /// Its values.
    pub values: Vec<String>,
}

/// What a variable sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sets", rename_all = "snake_case")]
pub enum Sets {
    /// A key of the trial's scenario.
    Key {
        /// Its path, such as `load.connections`.
        key: String,
    },
    /// A sysctl of the sweep's network namespace.
    Sysctl,
    /// The word `{NAME}` in commands.
    Word,
}

/// The system under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The shell command that starts it.
    pub start: String,
    /// The shell command that stops it; `None` to end its processes.
    pub stop: Option<String>,
    /// Where it answers once it is ready, `HOST:PORT`; `None` if nothing waits for that.
    pub ready: Option<String>,
    /// How long that may take, seconds.
    pub ready_timeout_s: f64,
    /// When it is started again.
    pub restart: Restart,
}

/// When the system under test is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Before each trial.
    Trial,
    /// Before each trial of another point than that of the trial before.
    #[default]
    Point,
    /// Never.
    Never,
}

/// How a trial is kept apart from the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The pause, seconds; `None` to wait until the connections of the trial before are gone, with those in TIME_WAIT.
    pub pause_s: Option<f64>,
    /// A shell command that runs then.
    pub command: Option<String>,
}

impl Variable {
    /// The word that stands for its value in commands.
    pub fn word(&self) -> String {
        format!("{{{}}}", self.name)
    }
}

/// Loads of a search, so that a point is a search and a load in one number.
const LOADS: usize = 1 << 32;

/// The values of the point with this index among all combinations, the first variable varying fastest.
fn of_index(variables: &[Variable], index: usize) -> Vec<String> {
    let mut rest = index;
    let values = variables.iter().filter_map(|variable| {
        let n = variable.values.len().max(1);
        let at = rest % n;
        rest /= n;
        variable.values.get(at).cloned()
    });
    values.collect()
}

impl Plan {
    /// Number of points: every value of each variable with every value of the others.
    pub fn points(&self) -> usize {
        let values = self.variables.iter().map(|variable| variable.values.len());
        values.fold(1, usize::saturating_mul)
    }

    /// Number of trials.
    pub fn trials(&self) -> usize {
        self.points().saturating_mul(self.repeat as usize)
    }

    /// The trials in order; none of a search, where each follows from those before.
    pub fn schedule(&self) -> Vec<Due> {
        match self.find {
            Some(_) => Vec::new(),
            None => schedule(self.points(), self.repeat, self.order, self.seed),
        }
    }

    /// Number of searches: one for each value of each variable but the load with every value of the others. 0 if there is none.
    pub fn searches(&self) -> usize {
        let others = self.variables.iter().skip(1);
        let values = others.map(|variable| variable.values.len());
        match self.find {
            Some(_) => values.fold(1, usize::saturating_mul),
            None => 0,
        }
    }

    /// The point at which the search with this index, from 0, tries a load.
    pub fn searched(&self, search: usize, load: u32) -> usize {
        search * LOADS + load as usize
    }

    /// The index of the search that tries this point, and its load.
    pub fn search_of(&self, point: usize) -> (usize, u32) {
        (point / LOADS, (point % LOADS) as u32)
    }

    /// The index of the scenario of a point, among those of the plan.
    pub fn scenario(&self, point: usize) -> usize {
        match (self.scenarios.len(), self.find) {
            (0 | 1, _) => 0,
            (_, Some(_)) => self.search_of(point).0,
            (_, None) => point,
        }
    }

    /// The values of a point, one for each variable.
    pub fn values(&self, point: usize) -> Vec<String> {
        if self.find.is_some() {
            let (search, load) = self.search_of(point);
            let mut values = vec![load.to_string()];
            values.extend(of_index(
                self.variables.get(1..).unwrap_or_default(),
                search,
            ));
            return values;
        }
        of_index(&self.variables, point)
    }

    /// The values of a point by the names of their variables.
    pub fn named(&self, point: usize) -> BTreeMap<String, String> {
        let names = self.variables.iter().map(|variable| variable.name.clone());
        names.zip(self.values(point)).collect()
    }

    /// `text` with the values of a point in place of the words that stand for them.
    pub fn filled(&self, text: &str, point: usize) -> String {
        let all = self.variables.iter().zip(self.values(point));
        all.fold(text.to_owned(), |text, (variable, value)| {
            text.replace(&variable.word(), &value)
        })
    }

    /// What a point sets in the scenario, as `--set` has it: `KEY=VALUE`.
    pub fn sets(&self, point: usize) -> Vec<String> {
        let all = self.variables.iter().zip(self.values(point));
        all.filter_map(|(variable, value)| match &variable.sets {
            Sets::Key { key } => Some(format!("{key}={value}")),
            Sets::Sysctl | Sets::Word => None,
        })
        .collect()
    }

    /// The sysctls that a point sets, and their values.
    pub fn sysctls(&self, point: usize) -> Vec<(&str, String)> {
        let all = self.variables.iter().zip(self.values(point));
        all.filter(|(variable, _)| variable.sets == Sets::Sysctl)
            .map(|(variable, value)| (variable.name.as_str(), value))
            .collect()
    }

    /// Whether a sysctl varies, so that the sweep needs a network namespace.
    pub fn needs_namespace(&self) -> bool {
        let mut all = self.variables.iter();
        all.any(|variable| variable.sets == Sets::Sysctl)
    }

    /// Whether the words of the trial differ from point to point.
    pub fn varies_words(&self) -> bool {
        let mut words = self.trial.iter();
        words.any(|word| self.variables.iter().any(|v| word.contains(&v.word())))
    }

    /// How a point is called: `connections=100, backlog=16`; `the trial` if nothing varies.
    pub fn name(&self, point: usize) -> String {
        let all = self.variables.iter().zip(self.values(point));
        let all: Vec<String> = all
            .map(|(variable, value)| format!("{}={value}", variable.name))
            .collect();
        match all.is_empty() {
            true => "the trial".into(),
            false => all.join(", "),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::expect::Scalar;

    /// A plan with these variables, each `NAME=VALUES` with a sysctl by its dots, a word in braces, else a key of a load.
    pub(in super::super) fn plan(variables: &[&str], repeat: u32) -> Plan {
        let variable = |text: &&str| {
            let (name, values) = text.split_once('=').unwrap();
            let (name, sets) = match name.trim_matches(['{', '}']) {
                word if word != name => (word, Sets::Word),
                name if name.starts_with("net.") => (name, Sets::Sysctl),
                name => (
                    name,
                    Sets::Key {
                        key: format!("load.{name}"),
                    },
                ),
            };
            Variable {
                name: name.into(),
                sets,
                values: super::super::vary::parse(values).unwrap(),
            }
        };
        Plan {
            version: VERSION,
            tool: "throng test".into(),
            command: Vec::new(),
            trial: ["load", "--self", "-m", "{size} {other}"]
                .map(String::from)
                .to_vec(),
            scenarios: vec!["version = 1\n[load]\nself = 'echo'\n".into()],
            variables: variables.iter().map(variable).collect(),
            find: None,
            repeat,
            order: Order::default(),
            seed: 1,
            trim: 0,
            metric: Metric::Scalar(Scalar::AnswersPerS),
            objective: None,
            system: None,
            between: Between {
                pause_s: None,
                command: None,
            },
            warm_up_s: None,
        }
    }

    #[test]
    fn a_grid_has_every_value_with_every_other() {
        let plan = plan(
            &["connections=1,2,3", "net.core.somaxconn=16,128", "{size}=a"],
            5,
        );
        assert_eq!((plan.points(), plan.trials()), (6, 30));
        let all: Vec<String> = (0..6).map(|point| plan.values(point).join(" ")).collect();
        assert_eq!(
            all,
            [
                "1 16 a", "2 16 a", "3 16 a", "1 128 a", "2 128 a", "3 128 a"
            ]
        );
        assert_eq!(
            plan.name(4),
            "connections=2, net.core.somaxconn=128, size=a"
        );
        assert_eq!(plan.sets(4), ["load.connections=2"]);
        assert_eq!(plan.sysctls(4), [("net.core.somaxconn", "128".to_owned())]);
        assert_eq!(plan.filled("x {size} {other}", 4), "x a {other}");
        assert!(plan.needs_namespace() && plan.varies_words());
    }

    #[test]
    fn a_search_has_a_point_for_each_load_at_each_value_of_the_others() {
        let mut plan = plan(
            &["connections=0", "net.core.somaxconn=16,128", "{size}=a,b"],
            0,
        );
        plan.variables[0].values.clear();
        assert_eq!(plan.searches(), 0);
        plan.find = Some(Terms {
            low: 1,
            high: u32::MAX,
            width: 0.05,
            initial_s: 1.0,
            final_s: 1.0,
            sum_s: 1.0,
            exceed: 0.5,
        });
        assert_eq!(plan.searches(), 4);
        let point = plan.searched(3, u32::MAX);
        assert_eq!(plan.search_of(point), (3, u32::MAX));
        assert_eq!(plan.values(point).join(" "), "4294967295 128 b");
        assert_eq!(plan.values(plan.searched(0, 7)).join(" "), "7 16 a");
        assert_eq!(plan.sets(plan.searched(2, 7)), ["load.connections=7"]);
        assert_eq!(plan.scenario(point), 0);
        plan.scenarios = vec![String::new(); 4];
        assert_eq!(plan.scenario(point), 3);
    }

    #[test]
    fn a_plan_without_variables_has_one_point() {
        let plan = plan(&[], 3);
        assert_eq!((plan.points(), plan.trials()), (1, 3));
        assert!(plan.values(0).is_empty() && !plan.varies_words() && !plan.needs_namespace());
        assert_eq!(plan.name(0), "the trial");
    }

    #[test]
    fn a_plan_is_read_back_as_it_was_written() {
        let mut plan = plan(&["connections=1,2", "net.core.somaxconn=16", "{size}=a"], 5);
        plan.objective = Some("p99<5ms,failed=0".parse().unwrap());
        plan.system = Some(System {
            start: "node server.js".into(),
            stop: None,
            ready: Some("127.0.0.1:8080".into()),
            ready_timeout_s: 30.0,
            restart: Restart::Point,
        });
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan, "{text}");
    }
}
