//! Pages: that they say what the text output says, and that the result is in them.

mod samples;

use std::collections::BTreeSet;
use throng_core::summary::Summary;
use throng_report::compare::{Material, Results};
use throng_report::html::{Entry, Item, of_comparison, of_directory, of_result, of_results};
use throng_report::json::{Outcome, ReadError, read_record, read_records};
use throng_report::text::{Form, write_text};

fn outcome(summary: Summary) -> Outcome {
    let record = samples::record();
    Outcome { summary, record }
}

/// What a reader of the page sees: without style, script and data, and without markup.
fn seen(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once('<') {
        text += before;
        let (tag, after) = after.split_once('>').expect("tags end");
        rest = match tag.split(' ').next() {
            Some(name @ ("style" | "script")) => after.split_once(&format!("</{name}")).unwrap().1,
            _ => after,
        };
        // Cells and lines are apart.
        text.push(' ');
    }
    let text = text + rest;
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&");
    words(&text)
}

fn items(entries: &[Entry]) -> Vec<Item> {
    let items = entries.iter().cloned();
    items.map(|entry| Item::Run(Box::new(entry))).collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_has_every_word_of_the_text_output() {
    for summary in samples::all() {
        let form = Form {
            columns: 10_000,
            whole: true,
            ..Form::default()
        };
        let mut text = Vec::new();
        write_text(&summary, &mut text, &form).unwrap();
        let text = String::from_utf8(text).unwrap();
        let page = seen(&of_result(&outcome(summary)));
        // The page has charts for sparklines and for the bars of a histogram, its own marks, and the command on top.
        let drawn = ["over time", "coming back", "✓", "✗", "command", "throng"];
        let of_histogram = |line: &str| {
            let bar = line.ends_with(|c: char| ('█'..='▏').contains(&c) || c == '%');
            let bounds = ["up to ", "above "]
                .iter()
                .any(|word| line.starts_with(word));
            line.ends_with(" times") || (bar && (bounds || line.contains(" to ")))
        };
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            if drawn.iter().any(|mark| line.starts_with(mark)) || of_histogram(line) {
                continue;
            }
            for part in line.trim_start_matches("- ").split("  ") {
                let part = words(part);
                assert!(page.contains(&part), "no '{part}' of '{line}' in {page}");
            }
        }
    }
}

#[test]
fn the_result_is_in_its_page() {
    for summary in samples::all() {
        let page = of_result(&outcome(summary));
        assert_eq!(read_record(page.as_bytes()).unwrap(), samples::record());
    }
    let entry = |name: &str, summary| Entry {
        name: name.into(),
        also: Vec::new(),
        outcome: outcome(summary),
    };
    let entries = [
        entry("a.json", samples::perfect()),
        entry("b.json", samples::shortfall()),
    ];
    let page = of_results("two", &entries);
    let two = vec![samples::record(), samples::record()];
    assert_eq!(read_records(page.as_bytes()).unwrap(), two);
    assert!(matches!(
        read_record(page.as_bytes()),
        Err(ReadError::Several(2))
    ));
    let page = of_directory(
        "all",
        &items(&entries),
        &[("c.json".into(), "no JSON".into())],
    );
    assert!(matches!(
        read_records(page.as_bytes()),
        Err(ReadError::NoResult)
    ));
    assert!(seen(&page).contains("c.json : no JSON"), "{page}");
}

fn material(names: [&str; 2]) -> Material {
    let results = |name: &str| Results {
        name: name.into(),
        rounds: vec![(format!("{name}/1.json"), samples::record())],
    };
    Material {
        groups: names.map(results).into(),
        floor: Some(results("another day")),
        metrics: vec!["peak".into()],
        conditions: vec!["peak>+5%".into()],
        notes: vec!["a note".into()],
        command: vec!["throng".into(), "compare".into(), names[0].into()],
    }
}

#[test]
fn a_comparison_is_read_back_from_its_page() {
    let material = material(["before", "after"]);
    let page = of_comparison(&material);
    assert_eq!(Material::read(page.as_bytes()), Some(material.clone()));
    assert_eq!(read_records(page.as_bytes()).unwrap().len(), 3);
    let said = seen(&page);
    for words in [
        "peak>+5% ✓ passed",
        "a note",
        "the same in all rounds",
        "before and after have runs in common",
        "throng compare before",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Neither another page nor one that is cut off is one.
    let other = of_result(&outcome(samples::perfect()));
    assert_eq!(Material::read(other.as_bytes()), None);
    let cut = &page.as_bytes()[..page.len() / 2];
    assert_eq!(Material::read(cut), None);
}

#[test]
fn names_of_elements_are_given_once_and_nothing_is_not_a_number() {
    let entries: Vec<Entry> = samples::all()
        .into_iter()
        .enumerate()
        .map(|(n, summary)| Entry {
            name: format!("{n}.json"),
            also: vec![format!("{n}.html")],
            outcome: outcome(summary),
        })
        .collect();
    for page in [
        of_results("some", &entries),
        of_directory("some", &items(&entries), &[]),
        of_result(&entries[0].outcome),
        of_comparison(&material(["a", "b"])),
    ] {
        let ids: Vec<&str> = page
            .split(" id=\"")
            .skip(1)
            .map(|after| after.split('"').next().unwrap())
            .collect();
        let once: BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(once.len(), ids.len(), "{ids:?}");
        assert!(!page.contains("NaN") && !page.contains("inf%"));
    }
}

#[test]
fn nothing_of_a_result_is_taken_for_markup() {
    let evil = "</script><script>alert(1)</script><!--";
    let mut summary = samples::shortfall();
    summary.command = vec!["throng".into(), evil.into()];
    summary.kernel = evil.into();
    let mut outcome = outcome(summary);
    outcome.record = outcome.record.with_command(vec![evil.into()]);
    let entry = Entry {
        name: evil.into(),
        also: vec![evil.into()],
        outcome,
    };
    let unread = [(evil.to_owned(), evil.to_owned())];
    for page in [
        of_result(&entry.outcome),
        of_results(evil, std::slice::from_ref(&entry)),
        of_directory(evil, &items(std::slice::from_ref(&entry)), &unread),
        of_comparison(&material([evil, "b"])),
    ] {
        assert!(!page.contains("<script>alert") && !page.contains("<!--"));
        let scripts = page.matches("<script").count();
        assert_eq!(page.matches("</script>").count(), scripts);
    }
}

#[test]
fn a_page_shows_no_rate_of_answers_where_none_were_due() {
    let mut summary = samples::busy();
    summary.requests = None;
    summary.message_rate = None;
    for (per_s, unanswered, shown) in [(500.0, 0, true), (0.0, 0, false), (0.0, 7, true)] {
        let answers = summary.answers.as_mut().expect("a sample with answers");
        (answers.per_s, answers.unanswered) = (Some(per_s), unanswered);
        let page = seen(&of_result(&outcome(summary.clone())));
        let figure = format!("Traffic {per_s}/s answers");
        assert_eq!(page.contains(&figure), shown, "{figure}: {page}");
    }
}
