use super::*;
use proptest::prelude::*;

fn draw(regex: &Regex, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    regex.draw(dice, &mut out);
    out
}

/// Draws many strings: all match, and none is outside the reported bounds.
fn check(pattern: &str, as_regex: &str) -> Result<Vec<Vec<u8>>, TestCaseError> {
    let regex =
        Regex::new(pattern).map_err(|e| TestCaseError::fail(format!("{pattern:?}: {e}")))?;
    let matches = regex::bytes::Regex::new(&format!(r"\A(?-u:{as_regex})\z"))
        .map_err(|e| TestCaseError::fail(format!("{as_regex:?}: {e}")))?;
    let mut dice = Dice::new(1);
    let mut all = Vec::new();
    for _ in 0..50 {
        let string = draw(&regex, &mut dice);
        prop_assert!(matches.is_match(&string), "{:?} of {}", string, pattern);
        prop_assert!((regex.shortest()..=regex.longest()).contains(&(string.len() as u64)));
        all.push(string);
    }
    let mut longest = Vec::new();
    regex.node.draw_longest(&mut longest);
    prop_assert_eq!(longest.len() as u64, regex.longest());
    prop_assert!(matches.is_match(&longest), "{:?} of {}", longest, pattern);
    Ok(all)
}

#[test]
fn every_construct_gives_strings_that_match_and_differ() {
    for (pattern, sizes, different) in [
        ("abc", 3..=3, 1),
        ("[a-z]", 1..=1, 10),
        ("[a-z]{8}", 8..=8, 50),
        ("[a-c0-2_-]{4}", 4..=4, 30),
        (r#"[^"\\]{5}"#, 5..=5, 50),
        ("[[:alpha:]]{6}", 6..=6, 50),
        ("[a-z&&[^aeiou]]{6}", 6..=6, 50),
        ("[a-m--[c-k]]{6}", 6..=6, 40),
        ("[a-m~~[c-k]]{6}", 6..=6, 40),
        ("[]a]{9}", 9..=9, 40),
        (r"[\x00-\xff]{3}", 3..=3, 50),
        (r"\d{4}", 4..=4, 45),
        (r"\w\W\s\S\D", 5..=5, 50),
        ("GET|PUT|DELETE", 3..=6, 3),
        ("(a|bc)(d|)", 1..=3, 4),
        ("(?:ab){3}", 6..=6, 1),
        ("(?P<name>ab)?", 0..=2, 2),
        ("a?", 0..=1, 2),
        ("x*", 0..=16, 14),
        ("x+", 1..=16, 14),
        ("x{3,}", 3..=19, 14),
        ("x{2,5}", 2..=5, 4),
        ("x*?", 0..=16, 14),
        ("([a-z]{2}-)+", 3..=48, 45),
        ("a.c", 3..=3, 1),
        ("é+", 2..=32, 14),
        (r"\xe9\.\*\}\{\\\x41", 7..=7, 1),
        ("(((a?)?)?)?", 0..=1, 2),
    ] {
        let all = check(pattern, &pattern.replace('é', r"(?u:é)")).unwrap();
        let regex = Regex::new(pattern).unwrap();
        assert_eq!(regex.shortest()..=regex.longest(), sizes, "{pattern}");
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert!(distinct.len() >= different, "{pattern}: {}", distinct.len());
    }
}

#[test]
fn a_dot_stands_for_itself_and_a_negated_class_for_printable_ascii() {
    let regex = Regex::new("www.example.com").unwrap();
    assert_eq!(draw(&regex, &mut Dice::new(1)), b"www.example.com");
    let regex = Regex::new(r"[^a]{200}\D{200}").unwrap();
    let string = draw(&regex, &mut Dice::new(1));
    assert!(string.iter().all(|b| matches!(b, b' '..=b'~')));
}

#[test]
fn white_space_beside_marks_has_no_meaning() {
    for (pattern, means) in [
        (" [a-c] {2} ( x | y ) ", "[a-c]{2}(x |y )"),
        ("a b+", "a b+"),
        ("[a-c]+ [0-9]{ 1 , 2 }\t", "[a-c]+[0-9]{1,2}"),
        ("a[ ]b", "a[ ]b"),
        (r"[a]\ [b]", "[a] [b]"),
    ] {
        check(pattern, means).unwrap();
    }
}

#[test]
fn letters_of_a_class_are_equally_likely_at_each_place() {
    let regex = Regex::new("[a-z]{8}").unwrap();
    let mut dice = Dice::new(3);
    let mut seen = [[0u32; 26]; 8];
    for _ in 0..26_000 {
        for (place, letter) in draw(&regex, &mut dice).iter().enumerate() {
            seen[place][usize::from(letter - b'a')] += 1;
        }
    }
    for place in seen {
        // Chi-squared with 25 degrees of freedom: above 60 once in 10,000 times.
        let chi: f64 = place
            .iter()
            .map(|n| (f64::from(*n) - 1e3).powi(2) / 1e3)
            .sum();
        assert!(chi < 60.0, "{chi}: {place:?}");
    }
}

#[test]
fn counts_are_equally_likely_and_the_mean_is_as_reported() {
    for pattern in ["x*", "x+", "(ab|cdef){2,9}", "a?(b{3}|c*)"] {
        let regex = Regex::new(pattern).unwrap();
        let mut dice = Dice::new(5);
        let n = 20_000;
        let bytes: usize = (0..n).map(|_| draw(&regex, &mut dice).len()).sum();
        let mean = bytes as f64 / f64::from(n);
        assert!(
            (mean - regex.mean()).abs() < 0.2,
            "{pattern}: {mean} {}",
            regex.mean()
        );
    }
}

#[test]
fn something_that_may_be_empty_can_be_drawn_until_it_is_not() {
    let mut out = Vec::new();
    for pattern in [
        "a?",
        "((((((((((a?)?)?)?)?)?)?)?)?)?)?",
        "(|||||||||||[ab]{0,3})",
    ] {
        let regex = Regex::new(pattern).unwrap();
        for seed in 0..200 {
            out.clear();
            regex.draw_some(&mut Dice::new(seed), &mut out);
            assert!(!out.is_empty(), "{pattern}");
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_with_its_place() {
    for (pattern, at, what) in [
        ("ab[c", 2, "unclosed character class"),
        ("[z-a]", 1, "range of a class goes backwards"),
        ("(ab", 0, "unclosed group"),
        ("ab)", 2, "not opened"),
        ("a|*", 2, "nothing to repeat"),
        ("a{5,2}", 1, "range of a count goes backwards"),
        ("a{x}", 2, "no count"),
        ("  a{x}", 4, "no count"),
        ("^a", 0, "anchors"),
        ("a$", 1, "anchors"),
        (r"[a] \bc", 4, "anchors"),
        ("a(?=b)", 1, "look-around"),
        (r"(a)\1", 3, "backreferences"),
        ("(?i)a", 0, "flags"),
        ("x(?i:a)", 1, "flags"),
        (r"\p{Greek}", 0, "ASCII members"),
        ("[é]", 1, "ASCII members"),
        ("[a-é]", 3, "ASCII members"),
        ("[a&&b]", 0, "no member"),
        (r"[^\x00-\xff]", 0, "no member"),
        ("a{2000000}", 0, "too often"),
        ("((a{1000}){1000}){1000}", 0, "too often"),
        ("(){4000000000}", 0, "too often"),
        (r"abc\", 3, "backslash ends it"),
        (r"\q", 0, "unrecognized escape"),
    ] {
        let e = Regex::new(pattern).unwrap_err();
        assert_eq!(e.at, at, "{pattern}: {e}");
        assert!(e.what.contains(what), "{pattern}: {e}");
        assert!(!e.to_string().contains('\n') && !e.right.is_empty(), "{e}");
    }
    let deep = "(".repeat(5000) + &")".repeat(5000);
    assert!(Regex::new(&deep).unwrap_err().what.contains("nest deeper"));
}

/// Regular expressions that are all accepted.
fn patterns() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-zA-Z0-9_:/-]{1,4}",
        Just("[a-z]".to_string()),
        Just("[^x-z0]".to_string()),
        Just("[[:digit:]a-f]".to_string()),
        Just(r"\d".to_string()),
        Just(r"\W".to_string()),
        Just(r"\.".to_string()),
        Just(".".to_string()),
        Just("[.]".to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|b| format!("({})", b.join("|"))),
            (inner.clone(), 0u32..4, 0u32..4)
                .prop_map(|(r, n, m)| format!("({r}){{{n},{}}}", n + m)),
            (inner, prop_oneof![Just('?'), Just('+')]).prop_map(|(r, op)| format!("({r}){op}")),
        ]
    })
}

proptest! {
    #[test]
    fn strings_match_what_they_were_drawn_from(pattern in patterns()) {
        check(&pattern, &pattern)?;
    }

    #[test]
    fn any_text_is_a_regular_expression_or_refused_with_a_place_inside(
        text in r"([a-c .*+?|(){}\[\]^$\\,0-9é-]|\PC){0,24}"
    ) {
        match Regex::new(&text) {
            Ok(regex) => {
                let string = draw(&regex, &mut Dice::new(0));
                prop_assert!(string.len() as u64 <= regex.longest());
            }
            Err(e) => {
                prop_assert!(e.at <= text.len());
                prop_assert!(text.is_char_boundary(e.at));
                prop_assert!(!e.to_string().contains('\n'));
            }
        }
    }
}
