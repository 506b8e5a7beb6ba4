//! A counter, and the macros that define a set of counters from a list: what a worker writes, a reading of it, and the
//! name of each.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter that one thread writes and others read. Relaxed, without a locked instruction: a reading may be a moment
/// old, but is never torn.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this: a second writer's additions would be lost.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    /// Sets it to `n`, for a time instead of a count.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The count as it is now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A count, as a tally lists it.
pub struct Counted<'a> {
    /// The protocol that it is of, with a dot; empty if it is of none.
    pub part: &'a str,
    /// What is counted.
    pub name: &'static str,
    /// Of which kind, if it is counted by kind.
    pub kind: Option<&'a dyn fmt::Display>,
    /// What it is: the sentences of its documentation.
    pub about: &'static str,
    /// How many.
    pub count: u64,
}

impl fmt::Display for Counted<'_> {
    /// Its name in records: `established`, `failed.refused`, `tls.failed.expired`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.part, self.name)?;
        self.kind.map_or(Ok(()), |kind| write!(f, ".{kind}"))
    }
}

/// One count for each kind of something. Unlike an array, it has a default whatever its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PerKind<T, const N: usize>([T; N]);

impl<T: Default, const N: usize> Default for PerKind<T, N> {
    fn default() -> Self {
        PerKind(std::array::from_fn(|_| T::default()))
    }
}

impl<T, const N: usize> From<[T; N]> for PerKind<T, N> {
    fn from(all: [T; N]) -> Self {
        PerKind(all)
    }
}

impl<T, const N: usize> Deref for PerKind<T, N> {
    type Target = [T; N];

    fn deref(&self) -> &[T; N] {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for PerKind<T, N> {
    fn deref_mut(&mut self) -> &mut [T; N] {
        &mut self.0
    }
}

/// Those of `all` kinds that occurred, and how often.
pub(crate) fn occurred<K: Ord + Copy>(
    all: impl IntoIterator<Item = K>,
    count: impl Fn(K) -> u64,
) -> BTreeMap<K, u64> {
    let counted = all.into_iter().map(|kind| (kind, count(kind)));
    counted.filter(|(_, n)| *n > 0).collect()
}

/// Defines an enum whose variants are counted one by one: for each its name in counts and in JSON and, where
/// people read it, a few words.
macro_rules! kinds {
    (
        $(#[$doc:meta])*
        pub enum $Kind:ident { $($(#[$variant_doc:meta])* $variant:ident: $name:literal, $words:literal;)* }
    ) => {
        $crate::stats::kinds! {
            $(#[$doc])*
            pub enum $Kind { $($(#[$variant_doc])* $variant: $name;)* }
        }

        impl $Kind {
            /// A few words for people.
            pub const fn words(self) -> &'static str {
                match self {
                    $($Kind::$variant => $words,)*
                }
            }
        }
    };
    (
        $(#[$doc:meta])*
        pub enum $Kind:ident { $($(#[$variant_doc:meta])* $variant:ident: $name:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $Kind {
            $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $Kind {
            /// Every kind, in the order in which they are reported.
            pub const ALL: [$Kind; [$($name),*].len()] = [$($Kind::$variant),*];

            /// The name in counts and in JSON.
            pub const fn name(self) -> &'static str {
                match self {
                    $($Kind::$variant => $name,)*
                }
            }
        }
    };
}

/// Defines `Counters`, which one worker writes, and `Tally`, a reading of them, from lists:
///
/// - the fields of `Counters` are single counts;
/// - `by kind`: one count for each variant of an enum that [`kinds!`] defines;
/// - the first sentence of a count's documentation explains it where a metric carries its explanation;
/// - `parts`: protocols with counts of their own, which their folder defines with this macro. They are embedded, so
///   that all counts of a worker are one flat struct;
/// - `times`: nanoseconds since the run began. They are not part of a tally, since times don't add up.
///
/// The name of a count is that of its field; `field.kind` for one of a kind; `part.name` for one of a part.
macro_rules! counts {
    (
        $(#[$counters_doc:meta])*
        pub struct Counters { $($(#[doc = $doc:literal])* $name:ident,)* }
        by kind { $($(#[doc = $array_doc:literal])* $array:ident: $Kind:ty,)* }
        parts { $($(#[$part_doc:meta])* $part:ident,)* }
        times { $($(#[$time_doc:meta])* $time:ident,)* }

        $(#[$tally_doc:meta])*
        pub struct Tally;
    ) => {
        $(#[$counters_doc])*
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: $crate::stats::Counter,)*
            $($(#[doc = $array_doc])* $array: $crate::stats::PerKind<$crate::stats::Counter, { <$Kind>::ALL.len() }>,)*
            $($(#[$part_doc])* pub $part: $crate::protocol::$part::counts::Counters,)*
            $($(#[$time_doc])* pub $time: $crate::stats::Counter,)*
        }

        $(#[$tally_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[doc = $doc])* pub $name: u64,)*
            $($(#[doc = $array_doc])* $array: $crate::stats::PerKind<u64, { <$Kind>::ALL.len() }>,)*
            $($(#[$part_doc])* pub $part: $crate::protocol::$part::counts::Tally,)*
        }

        impl Counters {
            /// A reading. It is not atomic: of the counts of one event, some may be read before it and some after it.
            /// Counts of ends are read first, the others in the order of the list, so that no end is read without its
            /// beginning.
            pub fn read(&self) -> Tally {
                Tally {
                    $($array: std::array::from_fn(|i| self.$array[i].get()).into(),)*
                    $($part: self.$part.read(),)*
                    $($name: self.$name.get(),)*
                }
            }

            /// Adds what `other` counted, except its times.
            pub fn absorb(&self, other: &Counters) {
                $(self.$name.add(other.$name.get());)*
                $(for (count, n) in self.$array.iter().zip(other.$array.iter()) {
                    count.add(n.get());
                })*
                $(self.$part.absorb(&other.$part);)*
            }
        }

        impl Tally {
            /// Joins two readings count by count.
            pub(crate) fn zip(&self, other: &Tally, join: fn(u64, u64) -> u64) -> Tally {
                Tally {
                    $($name: join(self.$name, other.$name),)*
                    $($array: std::array::from_fn(|i| join(self.$array[i], other.$array[i])).into(),)*
                    $($part: self.$part.zip(&other.$part, join),)*
                }
            }

            /// Calls `each` with every count. The names of all begin with `prefix`.
            pub(crate) fn each(&self, prefix: &str, each: &mut dyn FnMut($crate::stats::Counted)) {
                $(each($crate::stats::Counted {
                    part: prefix,
                    name: stringify!($name),
                    kind: None,
                    about: concat!($($doc),*),
                    count: self.$name,
                });)*
                $(for (kind, count) in <$Kind>::ALL.iter().zip(*self.$array) {
                    each($crate::stats::Counted {
                        part: prefix,
                        name: stringify!($array),
                        kind: Some(&kind.name()),
                        about: concat!($($array_doc),*),
                        count,
                    });
                })*
                $(self.$part.each(&format!("{prefix}{}.", stringify!($part)), each);)*
            }

            /// The count of this name.
            pub(crate) fn by_name(&mut self, name: &str) -> Option<&mut u64> {
                $(if name == stringify!($name) {
                    return Some(&mut self.$name);
                })*
                match name.split_once('.')? {
                    $((field, rest) if field == stringify!($array) => {
                        let place = <$Kind>::ALL.iter().position(|kind| kind.name() == rest)?;
                        Some(&mut self.$array[place])
                    })*
                    $((field, rest) if field == stringify!($part) => self.$part.by_name(rest),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {counts, kinds};
