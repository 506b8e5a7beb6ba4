//! The compiled form of a regular expression: a small tree. A run of one class, by far the most frequent form, is one
//! node, which draws several letters from one random word.

use crate::payload::dice::Dice;

/// The number of random bits of a word that letters are taken from. The rest of the 64 bounds the bias to 2⁻²⁴.
const BITS_OF_A_WORD: u32 = 40;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Bytes(Box<[u8]>),
    Run(Run),
    Sequence(Box<[Node]>),
    /// One of them.
    Any(Box<[Node]>),
    Repeat {
        what: Box<Node>,
        least: u32,
        most: u32,
    },
}

/// Members of a class, one after another.
#[derive(Clone, Debug)]
pub(super) struct Run {
    members: Box<[u8]>,
    /// Letters drawn from one random word.
    per_word: usize,
    least: u32,
    most: u32,
}

/// The lengths of the strings in bytes, and the work that the longest takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) shortest: u64,
    pub(super) longest: u64,
    pub(super) mean: f64,
    pub(super) steps: u64,
}

impl Bounds {
    fn of(bytes: usize) -> Bounds {
        Bounds {
            shortest: bytes as u64,
            longest: bytes as u64,
            mean: bytes as f64,
            steps: 1,
        }
    }

    fn times(self, least: u32, most: u32) -> Bounds {
        Bounds {
            shortest: self.shortest.saturating_mul(least.into()),
            longest: self.longest.saturating_mul(most.into()),
            mean: self.mean * (f64::from(least) + f64::from(most)) / 2.0,
            steps: self.steps.saturating_mul(most.into()).saturating_add(1),
        }
    }
}

impl Node {
    pub(super) fn empty() -> Node {
        Node::bytes(&[])
    }

    pub(super) fn bytes(bytes: &[u8]) -> Node {
        Node::Bytes(bytes.into())
    }

    pub(super) fn class(members: Vec<u8>) -> Node {
        let bits = usize::BITS - (members.len() - 1).leading_zeros();
        Node::Run(Run {
            per_word: (BITS_OF_A_WORD / bits.max(1)) as usize,
            members: members.into(),
            least: 1,
            most: 1,
        })
    }

    pub(super) fn any(mut branches: Vec<Node>) -> Node {
        match branches.len() {
            1 => branches.swap_remove(0),
            _ => Node::Any(branches.into()),
        }
    }

    /// All of them in order; adjacent literals become one.
    pub(super) fn sequence(parts: Vec<Node>) -> Node {
        let mut all: Vec<Node> = Vec::with_capacity(parts.len());
        for part in parts {
            match (all.last_mut(), part) {
                (Some(Node::Bytes(before)), Node::Bytes(more)) => {
                    *before = [&before[..], &more[..]].concat().into();
                }
                (_, part) => all.push(part),
            }
        }
        match all.len() {
            0 => Node::empty(),
            1 => all.swap_remove(0),
            _ => Node::Sequence(all.into()),
        }
    }

    pub(super) fn repeated(self, least: u32, most: u32) -> Node {
        match self {
            Node::Run(run) if (run.least, run.most) == (1, 1) => {
                Node::Run(Run { least, most, ..run })
            }
            what => Node::Repeat {
                what: Box::new(what),
                least,
                most,
            },
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Node::Bytes(bytes) => Bounds::of(bytes.len()),
            Node::Run(run) => Bounds::of(1).times(run.least, run.most),
            Node::Repeat { what, least, most } => what.bounds().times(*least, *most),
            Node::Sequence(parts) => parts.iter().fold(Bounds::of(0), |all, part| {
                let part = part.bounds();
                Bounds {
                    shortest: all.shortest.saturating_add(part.shortest),
                    longest: all.longest.saturating_add(part.longest),
                    mean: all.mean + part.mean,
                    steps: all.steps.saturating_add(part.steps),
                }
            }),
            Node::Any(branches) => {
                let all: Vec<Bounds> = branches.iter().map(Node::bounds).collect();
                let most = |of: fn(&Bounds) -> u64| all.iter().map(of).max().unwrap_or(0);
                Bounds {
                    shortest: all.iter().map(|b| b.shortest).min().unwrap_or(0),
                    longest: most(|b| b.longest),
                    mean: all.iter().map(|b| b.mean).sum::<f64>() / all.len().max(1) as f64,
                    steps: most(|b| b.steps).saturating_add(1),
                }
            }
        }
    }

    pub(super) fn draw(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        match self {
            Node::Bytes(bytes) => out.extend_from_slice(bytes),
            Node::Run(run) => run.draw(dice, out),
            Node::Sequence(parts) => {
                for part in parts {
                    part.draw(dice, out);
                }
            }
            Node::Any(branches) => {
                let branch = dice.below(branches.len() as u32);
                branches[branch as usize].draw(dice, out);
            }
            Node::Repeat { what, least, most } => {
                for _ in 0..count(*least, *most, dice) {
                    what.draw(dice, out);
                }
            }
        }
    }

    /// Appends the longest string.
    pub(super) fn draw_longest(&self, out: &mut Vec<u8>) {
        match self {
            Node::Bytes(bytes) => out.extend_from_slice(bytes),
            Node::Run(run) => out.extend(std::iter::repeat_n(run.members[0], run.most as usize)),
            Node::Sequence(parts) => parts.iter().for_each(|part| part.draw_longest(out)),
            Node::Any(branches) => {
                if let Some(longest) = branches.iter().max_by_key(|b| b.bounds().longest) {
                    longest.draw_longest(out);
                }
            }
            Node::Repeat { what, most, .. } => {
                for _ in 0..*most {
                    what.draw_longest(out);
                }
            }
        }
    }
}

fn count(least: u32, most: u32, dice: &mut Dice) -> u32 {
    if least == most {
        least
    } else {
        least + dice.below(most - least + 1)
    }
}

impl Run {
    fn draw(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let n = count(self.least, self.most, dice) as usize;
        let from = out.len();
        out.resize(from + n, self.members[0]);
        if self.members.len() == 1 {
            return;
        }
        for letters in out[from..].chunks_mut(self.per_word) {
            // The word is a fraction below 1. Multiplied by the number of members, its integer part selects the letter,
            // and its fraction serves the next letter.
            let mut word = dice.word();
            for letter in letters {
                let product = u128::from(word) * self.members.len() as u128;
                *letter = self.members[(product >> 64) as usize];
                word = product as u64;
            }
        }
    }
}
