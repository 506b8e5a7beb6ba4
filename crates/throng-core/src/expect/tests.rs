use super::*;
use crate::stats::Measured;
use proptest::prelude::*;

fn expectation(text: &str) -> Expectation {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn met(text: &str, reading: Reading) -> bool {
    expectation(text).judge(&reading).met
}

fn bound(value: f64) -> Reading {
    Reading::Known {
        value,
        of: None,
        at_least: true,
    }
}

#[test]
fn an_expectation_is_a_metric_a_comparison_and_a_value_with_a_unit() {
    for (text, unit, met_by, not_by) in [
        ("response.p99<10ms", "us", 9_999.0, 10_000.0),
        ("response.p99.99 <= 10ms", "us", 10_000.0, 10_000.1),
        ("service.mean>250us", "us", 250.1, 250.0),
        ("connect.max<1.5s", "us", 1.4e6, 1.5e6),
        ("lost=0", "count", 0.0, 1.0),
        ("peak==20k", "count", 20_000.0, 19_999.0),
        ("messages/s>=10k", "per_s", 10_000.0, 9_999.9),
        ("answers/s>=10k/s", "per_s", 10_000.0, 9_999.9),
        ("sent/s>=1MiB/s", "bytes_per_s", 1_048_576.0, 1_048_575.0),
        ("received/s>8Mbps", "bytes_per_s", 1_000_001.0, 1_000_000.0),
        ("user_bytes_per_connection<4KiB", "bytes", 4095.0, 4096.0),
        (
            "server.pss_bytes_per_connection<=4k",
            "bytes",
            4096.0,
            4096.1,
        ),
    ] {
        let expected = expectation(text);
        assert_eq!(expected.to_string(), text, "it stays as it was written");
        assert_eq!(expected.judge(&Reading::known(met_by)).unit, unit);
        assert!(met(text, Reading::known(met_by)), "{text}: {met_by}");
        assert!(!met(text, Reading::known(not_by)), "{text}: {not_by}");
        let named = Metric::parse(&expected.metric().to_string());
        assert_eq!(named.as_ref(), Ok(expected.metric()));
    }
}

#[test]
fn a_comparison_that_is_written_backwards_is_told_the_right_way() {
    for (text, right) in [
        ("lost=<5", "'lost<=5'"),
        ("answers => 9%", "'answers >= 9%'"),
    ] {
        let e = text.parse::<Expectation>().expect_err(text);
        assert!(e.to_string().ends_with(right), "{e}");
    }
}

#[test]
fn shares_are_exact() {
    for (text, n, of, is_met) in [
        ("answers>=99.9%", 999, 1000, true),
        ("answers>=99.9%", 998, 1000, false),
        ("answers>99.9%", 999, 1000, false),
        ("answers>=99.9%", 999_000_000, 1_000_000_000, true),
        ("answers>=99.9%", 998_999_999, 1_000_000_000, false),
        ("answers=100%", 3, 3, true),
        ("answers=100%", 2, 3, false),
        ("lost<=0.1%", 1, 1000, true),
        ("lost<=0.1%", 2, 1000, false),
        ("failed<5", 4, 1000, true),
        ("answers>=0%", 0, 0, false),
    ] {
        assert_eq!(
            met(text, Reading::share(n, of)),
            is_met,
            "{text}: {n} of {of}"
        );
    }
    let told = expectation("answers>=99.9%").judge(&Reading::share(1_998, 2_000));
    assert_eq!(told.text, "99.9 %, 1,998 of 2,000");
    assert_eq!((told.value, told.unit), (Some(99.9), "percent"));
}

#[test]
fn a_value_that_may_be_greater_meets_a_lower_bound_only() {
    for (text, is_met) in [
        ("response.p99<10ms", false),
        ("response.p99<=10ms", false),
        ("response.p99>1ms", true),
        ("response.p99>=2ms", true),
        ("response.p99>2ms", false),
        ("response.p99>=3ms", false),
    ] {
        assert_eq!(met(text, bound(2000.0)), is_met, "{text}");
    }
    let told = expectation("response.p99<10ms").judge(&bound(2000.0));
    assert_eq!((told.text.as_str(), told.at_least), ("> 2.00 ms", true));
    assert!(!met("lost=0", bound(0.0)));
}

#[test]
fn what_is_no_expectation_is_told_in_one_line_with_what_would_be_right() {
    for (text, says) in [
        ("", "has no comparison"),
        ("response.p99", "has no comparison"),
        ("<5", "there is no metric ''"),
        ("respnse.p99<10ms", "did you mean 'response.p99'?"),
        ("response.p99_us<10ms", "did you mean 'response.p99'?"),
        ("response.p101<10ms", "there is no metric 'response.p101'"),
        ("lsot=0", "did you mean 'lost'?"),
        ("zzzz=0", "known are response, "),
        ("lost!=0", "there is no metric 'lost!'"),
        ("response.p99<10", "'10' has no unit; write 10ms or 10s"),
        ("response.p99<", "is not a duration"),
        ("response.p99<10parsecs", "is not a duration"),
        ("response.p99<10%", "a percentage of what? Write a time"),
        ("response.p99=10ms", "compare it by <= or >="),
        ("messages/s=10", "compare it by <= or >="),
        ("lost<-1", "is not a count"),
        ("lost<0.5", "whole number"),
        ("lost<101%", "from 0% to 100%"),
        ("lost<x%", "from 0% to 100%"),
        ("lost=5%x", "'x' follows the percentage; write 5%"),
        ("closed_by_peer<1%", "a percentage of what?"),
        ("sent/s>=1parsec", "is not a bandwidth"),
        ("user_bytes_per_connection<5parsec", "is not a size"),
        ("los\nt=0", "there is no metric 'los\\nt'"),
    ] {
        let error = text.parse::<Expectation>().unwrap_err().to_string();
        assert!(
            error.contains(says) && !error.contains('\n'),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn latencies_are_histograms_of_records_and_names_are_unique() {
    let measured = Measured::default();
    let histograms: Vec<&str> = measured.named().map(|(name, _)| name).collect();
    for latency in latencies() {
        assert!(histograms.contains(&latency.name), "{}", latency.name);
    }
    let mut names: Vec<String> = described().into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_documentation_has_every_metric() {
    let page = include_str!("../../../../docs/verdict.md");
    for (name, help) in described() {
        let row = format!("| `{name}` | {help} |");
        assert!(page.contains(&row), "docs/verdict.md lacks the row {row}");
    }
}

fn any_metric() -> impl Strategy<Value = (String, &'static str)> {
    let of = prop::sample::select(&["p50", "p99", "p99.99", "mean", "min", "max"][..]);
    let latency = (prop::sample::select(latencies()), of)
        .prop_map(|(latency, of)| (format!("{}.{of}", latency.name), "ms"));
    let scalar = prop::sample::select(Scalar::ALL).prop_map(|s| (s.name().to_owned(), ""));
    prop_oneof![latency, scalar]
}

proptest! {
    #[test]
    fn what_is_unknown_is_never_met((name, unit) in any_metric(), op in "<|<=|>|>=|=", n in 0u32..1000) {
        if let Ok(expected) = format!("{name}{op}{n}{unit}").parse::<Expectation>() {
            for reading in [Reading::Unknown("nothing was sent".into()), Reading::known(f64::NAN)] {
                let told = expected.judge(&reading);
                prop_assert!(!told.met && told.value.is_none());
                prop_assert!(told.text.starts_with("unknown: "));
            }
            // A lower bound is never better than the value itself, nor below a greater one that is known.
            let (at_least, exact) = (expected.judge(&bound(500e3)), expected.judge(&Reading::known(500e3)));
            prop_assert!(!at_least.met || exact.met);
            let greater = expected.judge(&Reading::known(900e3));
            prop_assert!(!at_least.met || greater.met);
        }
    }

    #[test]
    fn any_text_is_an_expectation_or_an_error_in_one_line(text in "[a-z/._]{0,12}[<>=!]{0,3}[0-9.]{0,4}[a-z%/]{0,4}|\\PC*") {
        match text.parse::<Expectation>() {
            Ok(expected) => prop_assert_eq!(String::from(expected), text),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }
}
