//! Inputs for parsers: the files of a corpus, and what chance makes of them. The same seed gives the same
//! inputs.

use std::path::Path;

/// How many inputs are tried, unless THRONG_FUZZ_INPUTS says otherwise.
const INPUTS: u64 = 30_000;
/// Longer inputs find nothing that shorter ones do not.
const LONGEST: usize = 4096;

/// Chance, from a seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % (n as u64).max(1)) as usize
    }
}

/// Calls `check` with every file of `tests/corpus/<corpus>` as it is, then with mutations of them.
pub fn mutate(corpus: &str, seed: u64, mut check: impl FnMut(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(corpus);
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    for file in &files {
        check(file);
    }
    let inputs = std::env::var("THRONG_FUZZ_INPUTS").map_or(INPUTS, |n| n.parse().unwrap());
    let mut chance = Chance::new(seed);
    for _ in 0..inputs {
        let mut input = files[chance.below(files.len())].clone();
        for _ in 0..=chance.below(4) {
            change(&mut input, &files, &mut chance);
        }
        input.truncate(LONGEST);
        check(&input);
    }
}

fn change(input: &mut Vec<u8>, files: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len());
    match chance.below(7) {
        _ if input.is_empty() => input.push(chance.below(256) as u8),
        0 => input[at] ^= 1 << chance.below(8),
        1 => input[at] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'.'][chance.below(8)],
        2 => input.insert(at, chance.below(256) as u8),
        3 => {
            input.remove(at);
        }
        4 => input.truncate(at),
        5 => {
            let until = at + chance.below(input.len() - at);
            let part = input[at..until].to_vec();
            input.splice(at..at, part);
        }
        _ => {
            let other = &files[chance.below(files.len())];
            let from = chance.below(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
