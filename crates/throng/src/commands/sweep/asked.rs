//! What a command line asks for, as a plan. What is wrong with it is found here, before the first trial: every point's scenario is
//! read with its values.

use super::args::{Args, Find};
use crate::{Failure, ask, command_line, files};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use throng_core::expect::{Metric, Scalar};
use throng_core::experiment::sweep::mlr::Terms;
use throng_core::experiment::sweep::{
    Between, MOST_TRIALS, Plan, Restart, Sets, System, VERSION, Variable, Vary,
};
use throng_core::nearest::nearest;
use throng_core::scenario::file::{Set, find_key, read};
use throng_core::scenario::{LoadScenario, Scenario};

/// The most variables.
const MOST_VARIABLES: usize = 2;
/// The key of how long a trial takes.
const LENGTH: &str = "load.hold";
/// The section of a scenario that says when messages are sent, and its keys that do so: of them there is one.
const PACE: &str = "load.pace.";
const PACES: [&str; 5] = [
    "message-rate",
    "rate",
    "profile",
    "closed-loop",
    "channel-bandwidth-upstream",
];
/// What begins the names of sysctls.
const SYSCTLS: [&str; 8] = [
    "abi.", "debug.", "dev.", "fs.", "kernel.", "net.", "user.", "vm.",
];
/// Those that a network namespace has.
const OF_NAMESPACE: &str = "net.";
/// What a metric is, unless the user says so: the first one that the trials measure.
const USUAL: [Scalar; 3] = [Scalar::AnswersPerS, Scalar::MessagesPerS, Scalar::Opened];
/// The options of `run` that belong to the scenario. All others say how a single run is reported, which a sweep does itself.
const OF_SCENARIO: [&str; 1] = ["set"];
/// Options of a sweep that are no keys of its file.
const NO_KEYS: [&str; 3] = ["resume", "help", "version"];
/// Those that a sweep has, too.
const OF_SWEEP: [&str; 4] = ["--output", "--output-file", "--report", "--quiet"];
/// Those of `http` that do so, too.
const OF_HTTP: [&str; 3] = ["percentiles", "gnuplot", "html"];

/// The plan that `args` ask for.
pub(super) fn plan(args: &Args, program: &Path, grammar: &clap::Command) -> Result<Plan, Failure> {
    let trial = trial(args, grammar)?;
    if args.vary.len() > MOST_VARIABLES {
        return Err(Failure::usage(format!(
            "--vary: {} variables; a sweep has one, or two for a grid",
            args.vary.len()
        )));
    }
    if let (Some(find), [_, other, ..]) = (&args.find, &args.vary[..]) {
        return Err(Failure::usage(format!(
            "--vary {}: with --find {}, one variable may vary: each of its values has a search of its own",
            other.name, find.name
        )));
    }
    if let [one, other] = &args.vary[..]
        && one.name == other.name
    {
        return Err(Failure::usage(format!(
            "--vary {}: it is given twice",
            one.name
        )));
    }
    let mut plan = Plan {
        version: VERSION,
        tool: format!("throng {}", env!("CARGO_PKG_VERSION")),
        command: command_line::words(),
        trial,
        scenarios: Vec::new(),
        variables: Vec::new(),
        find: None,
        repeat: args.repeat,
        order: args.order.into(),
        seed: args.seed.unwrap_or_else(drawn_seed),
        trim: args.trim,
        metric: Metric::Scalar(USUAL[0]),
        objective: args.objective.clone(),
        system: None,
        between: Between {
            pause_s: args.pause.map(|pause| pause.as_secs_f64()),
            command: args.between.clone(),
        },
        warm_up_s: args.warm_up.map(|length| length.as_secs_f64()),
    };
    // Words first: they are in the trial's command line, without which there is no scenario to look for keys in.
    let commands = [&args.start, &args.stop, &args.between];
    let commands: Vec<&String> = commands.into_iter().flatten().collect();
    let mut open: Vec<(usize, &Vary)> = Vec::new();
    for (at, vary) in args.vary.iter().enumerate() {
        let mut variable = Variable {
            name: vary.name.clone(),
            sets: Sets::Word,
            values: vary.values.clone(),
        };
        let word = variable.word();
        let mut used = plan.trial.iter().chain(commands.iter().copied());
        if SYSCTLS.iter().any(|kind| vary.name.starts_with(kind)) {
            if !vary.name.starts_with(OF_NAMESPACE) {
                return Err(Failure::usage(format!(
                    "--vary {}: it is a setting of the whole machine; a sweep sets {OF_NAMESPACE}*, in a network namespace of \
                     its own",
                    vary.name
                )));
            }
            variable.sets = Sets::Sysctl;
        } else if is_path(&vary.name) || !used.any(|text| text.contains(&word)) {
            open.push((at, vary));
        }
        plan.variables.push(variable);
    }
    if args.repeat as usize <= 2 * args.trim as usize {
        return Err(Failure::usage(format!(
            "--trim {}: it leaves nothing of {}; --repeat {} is the least",
            args.trim,
            throng_report::human::things(u64::from(args.repeat), "trial"),
            2 * u64::from(args.trim) + 1
        )));
    }
    if plan.trials() > MOST_TRIALS {
        return Err(Failure::usage(format!(
            "{} points with {} trials each; a sweep has at most {MOST_TRIALS} trials",
            plan.points(),
            plan.repeat
        )));
    }
    plan.scenarios = scenarios(&plan, program, &[])?;
    for (at, vary) in open {
        let key = find_key(&plan.scenarios[0], "the trial", &vary.name, &no_files);
        let key = key.map_err(|e| unknown(vary, &e.to_string(), args.start.is_some()))?;
        plan.variables[at].sets = Sets::Key { key };
    }
    if let Some(find) = &args.find {
        return search(args, find, plan, program);
    }
    pace(&mut plan, program, 0);
    let points = 0..plan.points();
    settle(args, plan, points)
}

/// The plan of a search for a value.
fn search(args: &Args, find: &Find, mut plan: Plan, program: &Path) -> Result<Plan, Failure> {
    let terms = Terms {
        low: find.low,
        high: find.high,
        width: args.goal_width,
        initial_s: args.goal_initial.as_secs_f64(),
        final_s: args.goal_final.as_secs_f64(),
        sum_s: args.goal_sum.as_secs_f64(),
        exceed: args.goal_exceed,
    };
    if let Some(why) = terms.refused() {
        return Err(Failure::usage(format!("--find {}: {why}", find.name)));
    }
    let key = find_key(&plan.scenarios[0], "the trial", &find.name, &no_files);
    let key = key.map_err(|e| Failure::usage(format!("--find {}: {e}", find.name)))?;
    let load = Variable {
        name: find.name.clone(),
        sets: Sets::Key { key },
        values: Vec::new(),
    };
    let word = load.word();
    if let Some(other) = plan.variables.iter().find(|other| other.sets == load.sets) {
        return Err(Failure::usage(format!(
            "--vary {}: --find {} sets that key",
            other.name, find.name
        )));
    }
    let length = Sets::Key {
        key: LENGTH.to_owned(),
    };
    if let Some(other) = plan.variables.iter().find(|other| other.sets == length) {
        return Err(Failure::usage(format!(
            "--vary {}: --find sets how long a trial takes, which grows as it goes on",
            other.name
        )));
    }
    plan.variables.insert(0, load);
    plan.find = Some(terms);
    plan.repeat = 0;
    if plan.trial.iter().any(|text| text.contains(&word)) {
        return Err(Failure::usage(format!(
            "--find {}: it sets a key; its value can't be a word of the trial",
            find.name
        )));
    }
    let lowest = plan.searched(0, find.low);
    pace(&mut plan, program, lowest);
    let searches = 0..plan.searches();
    let ends = searches.flat_map(|search| [find.low, find.high].map(|load| (search, load)));
    let ends: Vec<usize> = ends
        .map(|(search, load)| plan.searched(search, load))
        .collect();
    for end in &ends {
        if scenario(&plan, *end)?.pace.requests.is_some() {
            return Err(Failure::usage(
                "--find sets how long a trial takes; leave out its number of requests",
            ));
        }
    }
    settle(args, plan, ends)
}

/// The plan with what follows from the scenarios of its points, which are checked.
fn settle(
    args: &Args,
    mut plan: Plan,
    points: impl IntoIterator<Item = usize>,
) -> Result<Plan, Failure> {
    let mut first = None;
    for point in points {
        let load = scenario(&plan, point)?;
        check(&plan, &load, args.start.is_some())?;
        first.get_or_insert(load);
    }
    let first = first.ok_or_else(|| Failure::usage("a sweep without a point"))?;
    plan.metric = metric(args, &first)?;
    if let Some(objective) = &plan.objective
        && let Some(lack) = objective.lacks(|needs| first.lacks(needs))
    {
        return Err(Failure::usage(format!(
            "--objective: a trial does not measure {lack}"
        )));
    }
    plan.system = system(args, &plan, &first)?;
    Ok(plan)
}

/// The words of a trial.
fn trial(args: &Args, grammar: &clap::Command) -> Result<Vec<String>, Failure> {
    let mut words = args.trial.clone();
    if words.first().is_some_and(|word| word == "throng") {
        words.remove(0);
    }
    if let Some(file) = &args.file {
        words = vec!["run".into(), file.display().to_string()];
    }
    match words.first().map(String::as_str) {
        Some("load" | "http" | "run") => {}
        Some("serve") => {
            return Err(Failure::usage(
                "serve is no trial: it does not end by itself. Have --start start it, and load it: --vary w=1,2 --start 'throng serve -w {w} 9000' -- load 127.0.0.1:9000",
            ));
        }
        Some(other) => {
            return Err(Failure::usage(format!(
                "'{}' is no trial; write load, http or run and its options after --",
                other.escape_debug()
            )));
        }
        None => {
            return Err(Failure::usage(
                "no trial; write load, http or run and its options after --, or name a file with a section [sweep]",
            ));
        }
    }
    let of_run = grammar.find_subcommand("run").into_iter();
    let of_run = of_run.flat_map(|run| run.get_arguments().filter_map(clap::Arg::get_long));
    let reported: Vec<&str> = of_run
        .filter(|name| !OF_SCENARIO.contains(name))
        .chain(OF_HTTP)
        .collect();
    let reports = |word: &&String| {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        name.strip_prefix("--")
            .is_some_and(|name| reported.contains(&name))
    };
    match words.iter().find(reports) {
        Some(word) => {
            let own = OF_SWEEP
                .iter()
                .find(|own| word.split('=').next() == Some(**own));
            let own = own.map_or_else(String::new, |own| {
                format!("; before --, {own} is for the sweep's own result")
            });
            Err(Failure::usage(format!(
                "{word} says how one run is reported; a sweep keeps the result of each trial in its directory{own}"
            )))
        }
        None => Ok(words),
    }
}

/// Whether `name` is written as the path of a key.
fn is_path(name: &str) -> bool {
    name.starts_with("load.")
}

fn unknown(vary: &Vary, why: &str, starts: bool) -> Failure {
    let commands = if starts {
        "the trial or --start"
    } else {
        "the trial"
    };
    let why = match why.ends_with('?') {
        true => why.to_owned(),
        false => format!("{why}."),
    };
    Failure::usage(format!(
        "--vary {}: {why} A word that is no key is written {{{}}} in {commands}",
        vary.name, vary.name
    ))
}

/// Replaces the pace of the trial's scenario by the one that varies, if they exclude each other and the trial's is only what its
/// command does by default: a trial of `load --latency-echo` is a closed loop, unless it has a rate. `point` is any that there is.
fn pace(plan: &mut Plan, program: &Path, point: usize) {
    if scenario(plan, point).is_ok() {
        return;
    }
    let varies = plan.variables.iter().zip(plan.values(point));
    let paces = varies.filter_map(|(variable, value)| match &variable.sets {
        Sets::Key { key } => {
            let name = key.strip_prefix(PACE)?;
            let option = format!("--{name}={value}");
            PACES.contains(&name).then(|| OsString::from(option))
        }
        Sets::Sysctl | Sets::Word => None,
    });
    let paces: Vec<OsString> = paces.collect();
    // If the command line has a pace of its own, its options exclude each other, and the scenario as it is says which.
    if let Ok(scenarios) = scenarios(plan, program, &paces)
        && !paces.is_empty()
    {
        plan.scenarios = scenarios;
    }
}

/// The scenario of each point, as text; one for all if the words of the trial are the same. `more` options follow them.
fn scenarios(plan: &Plan, program: &Path, more: &[OsString]) -> Result<Vec<String>, Failure> {
    let points = if plan.varies_words() {
        plan.points()
    } else {
        1
    };
    let words = |point| plan.trial.iter().map(move |word| plan.filled(word, point));
    (0..points)
        .map(|point| {
            let words = words(point).map(Into::into);
            settled(program, words.chain(more.iter().cloned()).collect())
        })
        .collect()
}

/// The scenario that a command line of throng asks for.
fn settled(program: &Path, words: Vec<OsString>) -> Result<String, Failure> {
    let ran = Command::new(program)
        .args(words)
        .arg("--print-scenario")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Failure::fault(format!("can't start {}: {e}", program.display())))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        let lines = said.lines().map(|line| line.trim_start_matches("throng: "));
        return Err(Failure {
            code: 2,
            lines: lines.map(|line| format!("the trial: {line}")).collect(),
        });
    }
    String::from_utf8(ran.stdout).map_err(|_| {
        Failure::usage(
            "the trial has bytes that are not UTF-8; a scenario file says them in escapes",
        )
    })
}

/// Files that messages are in have been read by whoever wrote the scenario.
fn no_files(_: &str) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}

/// The scenario of a point.
pub(super) fn scenario(plan: &Plan, point: usize) -> Result<LoadScenario, Failure> {
    let text = plan
        .scenarios
        .get(plan.scenario(point))
        .map(String::as_str)
        .unwrap_or_default();
    let sets: Result<Vec<Set>, _> = plan.sets(point).iter().map(|set| set.parse()).collect();
    let sets = sets.map_err(|e| Failure::usage(e.to_string()))?;
    match read(text, "the trial", &sets, &no_files) {
        Ok(Scenario::Load(load)) => Ok(*load),
        Ok(Scenario::Serve(_) | Scenario::Proxy(_)) => Err(Failure::usage(
            "the scenario has no section [load]; a trial is a load",
        )),
        Err(e) => {
            let text = e.to_string();
            let load = plan.variables.first().map_or("", |load| load.name.as_str());
            let is_load = |value: &str| value.contains(load);
            let option = match (plan.find, text.strip_prefix("--set ")) {
                (Some(_), Some(value)) if is_load(value) => "--find",
                _ => "--vary",
            };
            Err(Failure::usage(match text.strip_prefix("--set ") {
                Some(value) => format!("{option} {value}"),
                // The user has not seen the scenario, so a line of it says nothing.
                None => format!("the trial: {} (at {})", e.problem, plan.name(point)),
            }))
        }
    }
}

/// Refuses a trial that does not end by itself, or whose target is nowhere.
fn check(plan: &Plan, load: &LoadScenario, starts: bool) -> Result<(), Failure> {
    let endless =
        load.hold.length().is_none() && load.duration.is_none() && load.pace.requests.is_none();
    if endless && plan.find.is_none() {
        return Err(Failure::usage(
            "the trial has no end; give it --hold or --duration, or with http -t or -n",
        ));
    }
    if !load.opens() {
        return Err(Failure::usage(
            "the trial has no target, so it loads nothing",
        ));
    }
    if !plan.needs_namespace() || load.own_server.is_some() {
        return Ok(());
    }
    if !starts {
        return Err(Failure::usage(
            "a sysctl varies, in a network namespace of the sweep's own: --start the system under test in it",
        ));
    }
    let all = addresses(load)?;
    match all
        .into_iter()
        .find(|at| !at.ip().to_canonical().is_loopback())
    {
        Some(address) => Err(Failure::usage(format!(
            "a sysctl varies, in a network namespace of the sweep's own, which has no way to {address}: use 127.0.0.1"
        ))),
        None => Ok(()),
    }
}

/// The addresses that a trial connects to; none if it has a server of its own, or connects to Unix sockets.
pub(super) fn addresses(load: &LoadScenario) -> Result<Vec<SocketAddr>, Failure> {
    let mut resolved = load.clone();
    ask::target::resolve_all(&mut resolved)?;
    Ok(resolved.addresses())
}

/// What counts as throughput.
fn metric(args: &Args, load: &LoadScenario) -> Result<Metric, Failure> {
    let Some(metric) = &args.metric else {
        let usual = USUAL
            .into_iter()
            .find(|scalar| load.lacks(scalar.needs()).is_none());
        return Ok(Metric::Scalar(usual.unwrap_or(Scalar::Opened)));
    };
    match load.lacks(metric.needs()) {
        Some(remedy) => Err(Failure::usage(format!(
            "--metric {metric}: a trial does not measure it: {remedy}"
        ))),
        None => Ok(metric.clone()),
    }
}

/// The system under test.
fn system(args: &Args, plan: &Plan, load: &LoadScenario) -> Result<Option<System>, Failure> {
    let Some(start) = &args.start else {
        return Ok(None);
    };
    let restart = args.restart.into();
    let varies = |text: &String| plan.variables.iter().any(|v| text.contains(&v.word()));
    if restart == Restart::Never && varies(start) {
        return Err(Failure::usage(
            "--start has a word that varies, so it must be started again: not with --restart never",
        ));
    }
    let ready = match &args.ready {
        Some(place) => {
            ask::target::resolve(place)?;
            Some(place.clone())
        }
        None => addresses(load)?.first().map(SocketAddr::to_string),
    };
    Ok(Some(System {
        start: start.clone(),
        stop: args.stop.clone(),
        ready,
        ready_timeout_s: args.ready_timeout.as_secs_f64(),
        restart,
    }))
}

/// A seed that differs from sweep to sweep.
fn drawn_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let nanos = now.as_nanos() as u64;
    // Short enough to be typed.
    (nanos ^ u64::from(std::process::id()) << 32) % 1_000_000_007
}

/// The options in the section `[sweep]` of a file, as words of a command line. What the command line varies or finds itself replaces
/// what the file does.
pub(super) fn words_of(
    file: &Path,
    args: &Args,
    grammar: &clap::Command,
) -> Result<Vec<OsString>, Failure> {
    let origin = file.display().to_string();
    let refused = |e: String| Failure::usage(format!("{origin}: {e}"));
    let bytes = files::read(file).map_err(|e| refused(e.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| refused("it is not UTF-8; TOML files must be".into()))?;
    let options = throng_core::scenario::file::sweep_options(&text, &origin);
    let Some(options) = options.map_err(|e| Failure::usage(e.to_string()))? else {
        return Err(refused(
            "it has no section [sweep], which says what varies".into(),
        ));
    };
    // What is found does not vary besides, so what a file varies makes room for it.
    let of_sweep = grammar.find_subcommand("sweep").into_iter();
    let of_sweep = of_sweep.flat_map(|sweep| sweep.get_arguments().filter_map(clap::Arg::get_long));
    let of_sweep = of_sweep.filter(|name| !NO_KEYS.contains(name));
    let known: Vec<String> = of_sweep.map(str::to_owned).collect();
    let mut keys = options.iter().map(|(key, _)| key);
    if let Some(key) = keys.find(|key| !known.contains(key)) {
        let meant = nearest(key, &known);
        let meant = meant.map_or_else(String::new, |it| format!("; did you mean '{it}'?"));
        return Err(refused(format!(
            "unknown key '{}' in [sweep]{meant}",
            key.escape_debug()
        )));
    }
    let replaced = !args.vary.is_empty() || args.find.is_some();
    let options = options
        .into_iter()
        .filter(|(key, _)| key != "vary" || !replaced);
    let words = options.flat_map(|(key, values)| {
        let word = move |value| OsString::from(format!("--{key}={value}"));
        values.into_iter().map(word)
    });
    Ok(words.collect())
}
