//! Pages in a real browser: Chromium, driven through Playwright. `check.js` looks at pages that are files, and is started once
//! for all of them; `live.js` at the page of a run while it lasts.
//!
//! What the pages must show is computed here from the JSON of the same runs.

#[path = "../common/mod.rs"]
mod common;

use common::net::Net;
use common::process::Process;
use common::{peers, run_words, serve, start};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use throng_core::record::Record;
use throng_core::summary::{Finding, Summary};
use throng_report::human;

/// The browser starts, and looks at each page in several widths and both schemes.
const PATIENCE: Duration = Duration::from_secs(240);

/// Texts that a page must not take for markup.
const EVIL: &str = "</script><script>document.title='taken over'</script><b>\"&amp;";

/// A directory of results and their pages.
struct Bench {
    net: Net,
    at: tempfile::TempDir,
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.at.path().join(name)
    }

    /// Has a run write its JSON to `name`, and returns that.
    fn result(&self, name: &str, code: i32, words: &[&str]) -> Summary {
        let path = self.path(name);
        let to = path.to_str().unwrap();
        let fixed = ["--quiet", "--output", "json", "--output-file", to];
        let ran = run_words(&self.net, &[words, &fixed[..]].concat());
        assert_eq!(ran.code, code, "{ran}");
        summary(&path)
    }

    /// Has `throng report` draw these files to `name`.
    fn page(&self, name: &str, files: &[&str]) {
        let paths: Vec<PathBuf> = files.iter().map(|file| self.path(file)).collect();
        let mut words = vec!["report"];
        words.extend(paths.iter().map(|path| path.to_str().unwrap()));
        let to = self.path(name);
        words.extend(["-o", to.to_str().unwrap()]);
        let ran = run_words(&self.net, &words);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
    }

    /// What must be seen on the page `name`.
    fn case(&self, name: &str, texts: Vec<Value>, tables: Vec<Value>) -> Value {
        json!({ "file": self.path(name), "texts": texts, "tables": tables })
    }
}

fn summary(path: &Path) -> Summary {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A text that must be in an element of this kind.
fn text(within: &str, text: impl Into<String>) -> Value {
    json!({ "within": within, "text": text.into() })
}

/// Rows that the table of the chart of this name must have: the cells of each.
fn table(chart: &str, rows: Vec<Vec<String>>) -> Value {
    json!({ "chart": chart, "rows": rows })
}

/// What the page of a run that connected says at least, as its JSON has it.
fn shown(summary: &Summary) -> (Vec<Value>, Vec<Value>) {
    let c = &summary.connections;
    let mut texts = vec![
        text(".figures", human::count(c.peak)),
        text(".figures", human::seconds(summary.seconds)),
        text(".cards", human::count(c.established)),
        text(".cards", summary.kernel.clone()),
        text("header", "--output json"),
    ];
    texts.extend(
        summary
            .findings
            .iter()
            // These are among the expectations, and in the header only if nothing else is the matter.
            .filter(|f| !matches!(f, Finding::ExpectationFailed(_)))
            .map(|f| text("header", f.to_string())),
    );
    let p = summary.latency.response.or(summary.latency.service);
    if let Some(p) = p {
        for us in [p.p50_us, p.p99_us, p.max_us] {
            texts.push(text(".figures", human::micros(us)));
        }
    }
    let open = summary.over_time.iter().map(|s| {
        let at = human::seconds(s.at_s);
        vec![at, human::count(s.open)]
    });
    let opened = summary.over_time.iter().map(|s| {
        let at = human::seconds(s.at_s);
        vec![at, human::rate(s.established_per_s)]
    });
    let tables = vec![
        table("Open connections", open.collect()),
        table("Opening", opened.collect()),
    ];
    (texts, tables)
}

/// The latencies of each interval, as the JSON has them.
fn latencies(summary: &Summary) -> Value {
    let micros = |us: Option<f64>| us.map_or_else(String::new, human::micros);
    let rows = summary.over_time.iter().map(|s| {
        vec![
            human::seconds(s.at_s),
            micros(s.latency_p50_us),
            micros(s.latency_p99_us),
            micros(s.latency_max_us),
        ]
    });
    table("Latency over time", rows.collect())
}

#[test]
fn pages_say_what_the_json_says_in_any_width_with_and_without_script() {
    let bench = Bench {
        net: Net::own(),
        at: tempfile::tempdir().unwrap(),
    };
    let mut cases = Vec::new();

    let words = "load --self=echo -c 200 -r 20 -m hi --latency-echo --hold 2500ms";
    let words = [words, "--expect response.p99<1h --expect peak>=1m"].join(" ");
    // The page that the run writes itself is the one that is drawn of its JSON.
    let own = bench.path("own.htm");
    let own = own.to_str().unwrap();
    let words: Vec<&str> = words.split(' ').chain(["--report", own]).collect();
    let echo = bench.result("echo.json", 1, &words);
    bench.page("echo.html", &["echo.json"]);
    assert!(fs::read(own).unwrap() == fs::read(bench.path("echo.html")).unwrap());
    let (mut texts, mut tables) = shown(&echo);
    texts.extend([text("main", "✓ met"), text("main", "✗ not met")]);
    tables.push(latencies(&echo));
    cases.push(bench.case("echo.html", texts, tables));

    // One that never connects, and whose message would break a page that does not escape it.
    let words = [
        "load",
        "-c",
        "20",
        "--hold",
        "100ms",
        "-m",
        EVIL,
        "127.0.0.1:9",
    ];
    let refused = bench.result("refused.json", 1, &words);
    bench.page("refused.html", &["refused.json"]);
    let texts = vec![
        text("h1", "Fell short"),
        text("h1", refused.findings[0].to_string()),
        text("header", EVIL.replace('\'', r"'\''")),
        text(".figures", human::count(refused.connections.attempted)),
    ];
    cases.push(bench.case("refused.html", texts, vec![]));

    // HTTP, of which some answers are not as expected.
    let server = serve(&bench.net, "--mode http 127.0.0.1:8080");
    let url = "http://127.0.0.1:8080/status/404";
    let words = ["http", "-c", "10", "-n", "500", url];
    let http = bench.result("http.json", 1, &words);
    drop(server);
    bench.page("http.html", &["http.json"]);
    let (mut texts, tables) = shown(&http);
    texts.extend([text("h3", "HTTP: status"), text("main", "404")]);
    cases.push(bench.case("http.html", texts, tables));

    // A sweep, whose own page is the one that is drawn of its result and of itself.
    let (sweep, own) = (bench.path("sweep"), bench.path("sweep.html"));
    let words = format!(
        "sweep --vary connections=2,4..16 --repeat 2 --pause 0s --output-dir {} --report {} -- load --self=echo -m hi -r 20 --latency-echo --hold 300ms",
        sweep.display(),
        own.display()
    );
    let ran = run_words(&bench.net, &words.split(' ').collect::<Vec<_>>());
    assert_eq!(ran.code, 0, "{ran}");
    bench.page("sweep.htm", &["sweep/result.json"]);
    assert!(fs::read(&own).unwrap() == fs::read(bench.path("sweep.htm")).unwrap());
    bench.page("sweep.htm", &["sweep.html"]);
    assert!(fs::read(&own).unwrap() == fs::read(bench.path("sweep.htm")).unwrap());
    let texts = vec![
        text("h1", "8 trials of 4 points"),
        text("h3", "against connections, linear"),
        text("h3", "p99 against connections"),
        text(".legend", "median of a point"),
        text("header", "--vary connections=2,4..16"),
    ];
    cases.push(bench.case("sweep.htm", texts, vec![]));

    // A comparison of runs, and one of sweeps.
    let trials = |n: [u32; 2]| n.map(|n| bench.path(&format!("sweep/trials/000{n}.json")));
    let group = |n| {
        let [one, other] = trials(n);
        format!("{},{}", one.display(), other.display())
    };
    let (one, other, sweep) = (group([1, 2]), group([3, 4]), sweep.display().to_string());
    for (page, words, verdict, heading, note) in [
        (
            "compared.html",
            [&one, &other],
            "Too few",
            "response.p99",
            "told from noise with at least",
        ),
        (
            "sweeps.html",
            [&sweep, &sweep],
            "No difference shown",
            "answers/s against connections",
            "trials in common",
        ),
    ] {
        let to = bench.path(page);
        let fixed = ["--report", to.to_str().unwrap(), "--fail-if", "p99>+900%"];
        let ran = run_words(
            &bench.net,
            &[&["compare"], &words.map(String::as_str)[..], &fixed].concat(),
        );
        assert_eq!(ran.code, 1, "{ran}");
        let texts = vec![
            text("h1", verdict),
            text(".findings", note),
            text("h3", heading),
            text("th", "p99>+900%"),
            text("header", "throng compare"),
        ];
        cases.push(bench.case(page, texts, vec![]));
    }

    // Several on a page, and all of the directory.
    bench.page("both.html", &["echo.html", "http.json"]);
    let texts = vec![
        text("h1", "2 results side by side"),
        text(".index", human::count(echo.connections.peak)),
        text(".index", human::count(http.connections.peak)),
    ];
    cases.push(bench.case("both.html", texts, vec![]));
    fs::write(bench.path("notes.json"), "[1, 2").unwrap();
    let (at, to) = (bench.at.path(), bench.path("worklog.html"));
    let ran = run_words(
        &bench.net,
        &["worklog", at.to_str().unwrap(), "-o", to.to_str().unwrap()],
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr.contains("notes.json is left out"), "{ran}");
    let texts = vec![
        // Each has been drawn twice, alone and side by side.
        text("header", "6 results"),
        text(".index", "connections: 2, 4, 8, 16"),
        text(".index", "Highest answers/s"),
        text(".index", "also sweep.htm"),
        text(".index", "compared.html"),
        text(".index", "sweeps.html"),
        text(".index", "also both.html (1)"),
        text(".index", "also own.htm"),
        text(".unread", "notes.json"),
        text(".index", "refused.json"),
    ];
    cases.push(bench.case("worklog.html", texts, vec![]));

    let asked = bench.path("cases");
    fs::write(&asked, serde_json::to_vec(&cases).unwrap()).unwrap();
    let mut command = peers::browser(&bench.net, "check.js");
    command.arg(asked);
    let ran = Process::start("check.js".into(), command).wait(PATIENCE);
    assert!(ran.code == 0 && ran.stdout.is_empty(), "{ran}");
}

#[test]
fn the_page_of_a_run_is_brought_up_to_date_until_its_end() {
    let net = Net::own();
    let words = "load --self=echo -c 50 -m hi -r 10 --latency-echo --hold 30s --web --quiet";
    let run = start(&net, words);
    let line = run.wait_for_stderr("live at");
    let mut command = peers::browser(&net, "live.js");
    command.arg(line.split(' ').next_back().unwrap());
    let ran = Process::start("live.js".into(), command).wait(PATIENCE);
    assert!(ran.code == 0 && ran.stdout.is_empty(), "{ran}");
    let ran = run.wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn a_page_is_a_result_like_its_json() {
    let bench = Bench {
        net: Net::own(),
        at: tempfile::tempdir().unwrap(),
    };
    let words: Vec<&str> = "load --self -c 5 --hold 100ms".split(' ').collect();
    bench.result("a.json", 0, &words);
    bench.result("b.json", 0, &words);
    bench.page("a.html", &["a.json"]);
    bench.page("both.html", &["a.json", "b.json"]);
    bench.page("again.html", &["a.html"]);
    let merged = |files: &[&str]| {
        let paths: Vec<PathBuf> = files.iter().map(|file| bench.path(file)).collect();
        let mut words = vec!["merge", "--output", "json"];
        words.extend(paths.iter().map(|path| path.to_str().unwrap()));
        let ran = run_words(&bench.net, &words);
        assert!(matches!(ran.code, 0 | 1), "{ran}");
        ran.stdout
    };
    assert_eq!(merged(&["a.html"]), merged(&["a.json"]));
    assert_eq!(merged(&["again.html"]), merged(&["a.json"]));
    assert_eq!(merged(&["both.html"]), merged(&["a.json", "b.json"]));
    let json: Value = serde_json::from_str(&merged(&["both.html", "b.json"])).unwrap();
    let record: Record = serde_json::from_value(json["record"].clone()).unwrap();
    assert_eq!(record.sources.len(), 2);
    // A page without a result, and one that is cut off.
    let page = fs::read_to_string(bench.path("a.html")).unwrap();
    let cut = &page[..page.find("\"record\"").unwrap() + 40];
    for (name, content, why) in [
        ("none.html", "<html></html>", "without the result of a run"),
        ("cut.html", cut, "cut off"),
    ] {
        let path = bench.path(name);
        fs::write(&path, content).unwrap();
        let ran = run_words(&bench.net, &["report", path.to_str().unwrap()]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains(name),
            "{ran}"
        );
    }
}
