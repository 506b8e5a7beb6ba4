//! A fuzzer that needs no other compiler: inputs from a committed corpus, changed at random, for
//! `THRONG_FUZZ_SECONDS` seconds (10 if not set). A test that uses it says `mod fuzzing;` and calls [`fuzz`] with
//! what must hold for any input.
//!
//! `THRONG_FUZZ_SEED` is added to the seed, so that a long run sees other inputs than the run before.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use throng_core::payload::Dice;

/// Changed inputs don't grow beyond this, so that the time goes into many of them.
const LONGEST: usize = 4096;

/// Calls `check` with each file of `tests/corpus/{corpus}`, then with changed ones until the time is over.
///
/// # Panics
/// As `check` does. The input is then printed as a Rust literal and written to
/// `target/corpus-failures/{corpus}`; a file there that is copied to the corpus is tried first ever after.
pub fn fuzz(corpus: &str, seed: u64, mut check: impl FnMut(&[u8])) {
    let inputs = read(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/corpus")
            .join(corpus),
    );
    for input in &inputs {
        tried(corpus, input, &mut check);
    }
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|n| n.parse::<u64>().expect(name))
    };
    let time = Duration::from_secs(number("THRONG_FUZZ_SECONDS").unwrap_or(10));
    let mut dice = Dice::new(seed.wrapping_add(number("THRONG_FUZZ_SEED").unwrap_or(0)));
    let start = Instant::now();
    let mut tries = 0u64;
    while start.elapsed() < time {
        let mut input = inputs[below(&mut dice, inputs.len())].clone();
        for _ in 0..=below(&mut dice, 6) {
            change(&mut input, &inputs, &mut dice);
        }
        input.truncate(LONGEST);
        tried(corpus, &input, &mut check);
        tries += 1;
    }
    println!(
        "{corpus}: {tries} inputs from {} in the corpus",
        inputs.len()
    );
}

fn read(dir: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(
        !files.is_empty(),
        "{}: nothing to begin with",
        dir.display()
    );
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn tried(corpus: &str, input: &[u8], check: &mut impl FnMut(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = tmp.parent().unwrap_or(tmp).join("corpus-failures");
        let dir = target.join(corpus);
        let sum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, b| {
            (sum ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
        });
        let file = dir.join(format!("{sum:016x}"));
        let written = fs::create_dir_all(&dir).and_then(|()| fs::write(&file, input));
        eprintln!("failed with b\"{}\"", input.escape_ascii());
        match written {
            Ok(()) => eprintln!("which is in {}", file.display()),
            Err(e) => eprintln!("which could not be written to {}: {e}", file.display()),
        }
        resume_unwind(panic);
    }
}

fn below(dice: &mut Dice, bound: usize) -> usize {
    (dice.word() % bound.max(1) as u64) as usize
}

/// A place in `input` and how many bytes from there.
fn piece(input: &[u8], dice: &mut Dice) -> std::ops::Range<usize> {
    let from = below(dice, input.len() + 1);
    let most = if dice.word().is_multiple_of(4) {
        input.len()
    } else {
        16
    };
    from..from + below(dice, (input.len() - from).min(most) + 1)
}

/// Changes `input` a little, or puts something of another one into it.
fn change(input: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = below(dice, input.len() + 1);
    match dice.word() % 9 {
        0 | 1 if at < input.len() => input[at] ^= 1 << (dice.word() % 8),
        2 if at < input.len() => {
            // Bytes at which something begins to be different.
            input[at] = *[0, 1, 0x7f, 0x80, 0xff, b' ', b'\n', b'0', b'9']
                .get(below(dice, 12))
                .unwrap_or(&(dice.word() as u8));
        }
        3 => input.insert(at, dice.word() as u8),
        4 => {
            let gone = piece(input, dice);
            input.drain(gone);
        }
        5 => {
            let again = piece(input, dice);
            let again = input[again].to_vec();
            input.splice(at..at, again);
        }
        6 => input.truncate(at),
        7 => {
            // A number, somewhat larger.
            if let Some(n) = input[at..].iter().position(u8::is_ascii_digit) {
                let digit = b'0' + (dice.word() % 10) as u8;
                input.insert(at + n, digit);
            }
        }
        _ => {
            let other = &others[below(dice, others.len())];
            let some = piece(other, dice);
            input.splice(at..at, other[some].iter().copied());
        }
    }
}
