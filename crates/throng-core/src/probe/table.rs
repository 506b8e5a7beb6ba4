//! The table of flows of a path: how many it holds, and what gives way when it is full.

use super::finding::{Finding, Kind};
use super::probed::{Outcome, Probed};
use super::spread::{How, Spread};
use crate::human::{self, things};
use crate::section::{Row, Section, Tone};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// New flows that failed one after the other before the table counts as full.
const REFUSED_IN_A_ROW: usize = 20;
/// If no more than this part of the flows that are alive would be among the lost ones by age, the oldest give way. With a victim
/// at random it is 23 % for a table of half of the flows, and more for a smaller one.
const YOUNGER: f64 = 0.05;
/// Flows through a table that one flow more or less makes no difference to: a per cent.
const PART: f64 = 0.01;

/// How a flow could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Nothing answered the handshake, or the first request.
    Silence,
    /// An RST.
    Reset,
    /// A FIN before the far end answered.
    Closed,
    /// ICMP said that it is unreachable.
    Unreachable,
}

/// What became of a flow, in the order in which they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// The far end greeted it, and its words still arrived at the end.
    Alive,
    /// The far end greeted it; later it was gone.
    Lost,
    /// It did not get that far.
    Refused(Refusal),
}

/// Whether the latest flows show that no more can be opened.
pub fn is_full(latest: impl DoubleEndedIterator<Item = bool>) -> bool {
    let refused = latest.rev().take(REFUSED_IN_A_ROW);
    let refused: Vec<bool> = refused.take_while(|refused| *refused).collect();
    refused.len() == REFUSED_IN_A_ROW
}

/// A source as the far end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The flow's own port.
    pub port: u16,
    /// Its address and port at the far end.
    pub as_seen: SocketAddr,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Flows that were to be opened.
    pub asked: u64,
    /// What became of each, in the order in which they were opened.
    pub became: Vec<Became>,
    /// The sources of those that the far end greeted.
    pub seen: Vec<Seen>,
    /// The servers that greeted them.
    pub servers: Vec<u64>,
    /// The servers that flows of the same port reached, first and then.
    pub again: Vec<(u64, u64)>,
    /// Other flows of this probe at that time.
    pub others: u64,
    /// Why this host could open no more, if it could not.
    pub own_limit: Option<String>,
    /// Handshakes that the far end's listener dropped meanwhile.
    pub far_drops: u64,
    /// Open files that the far end may have.
    pub far_files: u64,
    /// How long it took.
    pub took_ms: u64,
    /// It was ended before all was known.
    pub interrupted: bool,
}

/// What gives way when the table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Eviction {
    /// New flows are refused.
    Newest,
    /// The oldest flows are forgotten.
    Oldest,
    /// Some of the flows are forgotten, not the oldest.
    Other,
    /// New flows are refused, and old ones forgotten, too.
    Both,
}

/// Sources of one address as the far end sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// The address.
    pub address: IpAddr,
    /// Different ports.
    pub ports: u64,
    /// The lowest.
    pub lowest: u16,
    /// The highest.
    pub highest: u16,
    /// Flows that kept their own port.
    pub kept: u64,
}

/// The table of flows of a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableResult {
    #[serde(flatten)]
    outcome: Outcome,
    asked: u64,
    /// Flows that were held at once, those of the probe itself included.
    pub held: u64,
    /// Whether that is all that fit.
    pub full: bool,
    greeted: u64,
    lost: u64,
    refused: BTreeMap<Refusal, u64>,
    /// What gives way.
    pub eviction: Option<Eviction>,
    /// The sources that the far end saw.
    pub ports: Vec<Ports>,
    /// How flows are spread over servers.
    pub spread: Spread,
    seconds: f64,
    interrupted: bool,
}

fn ports(seen: &[Seen]) -> Vec<Ports> {
    let mut by_address: BTreeMap<IpAddr, Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        let address = one.as_seen.ip().to_canonical();
        by_address.entry(address).or_default().push(one);
    }
    by_address
        .into_iter()
        .map(|(address, all)| {
            let mut ports: Vec<u16> = all.iter().map(|one| one.as_seen.port()).collect();
            ports.sort_unstable();
            ports.dedup();
            Ports {
                address,
                ports: ports.len() as u64,
                lowest: ports.first().copied().unwrap_or_default(),
                highest: ports.last().copied().unwrap_or_default(),
                kept: all
                    .iter()
                    .filter(|one| one.port == one.as_seen.port())
                    .count() as u64,
            }
        })
        .collect()
}

impl Ports {
    fn is_used_up(&self) -> bool {
        let room = u64::from(self.highest - self.lowest) + 1;
        self.ports > 1 && self.ports as f64 >= room as f64 * (1.0 - PART)
    }

    fn is_kept(&self) -> bool {
        self.kept as f64 >= self.ports as f64 * (1.0 - PART)
    }
}

/// What gives way, by what became of the flows.
fn eviction(became: &[Became]) -> Option<Eviction> {
    let greeted: Vec<bool> = became
        .iter()
        .filter(|one| !matches!(one, Became::Refused(_)))
        .map(|one| *one == Became::Lost)
        .collect();
    let lost = greeted.iter().filter(|lost| **lost).count();
    let few = (greeted.len() as f64 * PART).max(1.0);
    let refused = is_full(became.iter().map(|one| matches!(one, Became::Refused(_))));
    match (lost as f64 > few, refused) {
        (false, false) => None,
        (false, true) => Some(Eviction::Newest),
        (true, true) => Some(Eviction::Both),
        (true, false) => {
            let older = greeted.iter().take(lost).filter(|lost| !**lost).count();
            let alive = greeted.len() - lost;
            Some(match older as f64 <= alive as f64 * YOUNGER {
                true => Eviction::Oldest,
                false => Eviction::Other,
            })
        }
    }
}

impl TableResult {
    /// What `evidence` shows.
    pub fn of(evidence: Evidence) -> TableResult {
        let count = |wanted: fn(&Became) -> bool| -> u64 {
            evidence.became.iter().filter(|one| wanted(one)).count() as u64
        };
        let alive = count(|one| *one == Became::Alive);
        let lost = count(|one| *one == Became::Lost);
        let held = alive + evidence.others;
        let mut refused: BTreeMap<Refusal, u64> = BTreeMap::new();
        for one in &evidence.became {
            if let Became::Refused(how) = one {
                *refused.entry(*how).or_default() += 1;
            }
        }
        let eviction = eviction(&evidence.became);
        // The far end's own limits look like the path's.
        let far_files = evidence.far_files > 0 && alive + lost + 32 >= evidence.far_files;
        let by_far_end = eviction.is_some() && (evidence.far_drops > 0 || far_files);
        let by_us = evidence.own_limit.is_some() && eviction.is_none();
        let full = eviction.is_some() && !by_far_end;
        let ports = ports(&evidence.seen);
        let spread = Spread::of(&evidence.servers, &evidence.again);
        let measured = held > evidence.others && !by_far_end && !by_us && !evidence.interrupted;
        let mut result = TableResult {
            outcome: Outcome::new("table", measured, Vec::new()),
            asked: evidence.asked,
            held,
            full,
            greeted: alive + lost,
            lost,
            refused,
            eviction,
            ports,
            spread,
            seconds: evidence.took_ms as f64 / 1000.0,
            interrupted: evidence.interrupted,
        };
        result.outcome.findings = result.told(&evidence, by_far_end, far_files);
        result
    }

    fn told(&self, evidence: &Evidence, by_far_end: bool, far_files: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let flows = |n: u64| things(n, "flow");
        if evidence.interrupted {
            let text = "The probe was interrupted before the table was known.";
            findings.push(Finding::warning(Kind::Interrupted, text));
        }
        if by_far_end {
            let why = match far_files {
                true => format!(
                    "the far end may open {} files",
                    human::count(evidence.far_files)
                ),
                false => format!(
                    "the far end's listener dropped {}",
                    things(evidence.far_drops, "handshake")
                ),
            };
            let text = format!(
                "{} came up; then {why}. What the path holds is not known.",
                flows(self.greeted)
            );
            findings.push(
                Finding::failure(Kind::FarLimit, text).with_remedy(
                    "On the far end: raise the limit of open files (ulimit -n) and net.core.somaxconn, or fill more slowly \
                     (--connect-rate).",
                ),
            );
        } else if self.full {
            let text = format!(
                "The path holds {}, those of this probe itself included. Other flows through it take room, too.",
                flows(self.held)
            );
            findings.push(Finding::warning(Kind::TableFull, text).with_remedy(
                "Raise the table's size (Linux: net.netfilter.nf_conntrack_max) or the range of ports for translation, or have \
                 flows that end leave it sooner.",
            ));
            findings.extend(self.eviction.map(|how| self.gives_way(how)));
        } else if let Some(why) = &evidence.own_limit {
            let text = format!(
                "{} came up; then this host could open no more: {why}. The path holds at least these.",
                flows(self.held)
            );
            findings.push(Finding::failure(Kind::OwnLimit, text).with_remedy(
                "Ask for fewer flows (--most), or lift the limit: `throng plan` shows it.",
            ));
        } else if !evidence.interrupted {
            let text = format!(
                "The path holds at least {}: all that were tried.",
                flows(self.held)
            );
            findings.push(Finding::note(Kind::TableNotFull, text));
        }
        for ports in &self.ports {
            findings.extend(self.port_finding(ports));
        }
        findings.extend(self.spread_finding());
        findings
    }

    fn gives_way(&self, how: Eviction) -> Finding {
        let refused = self.refused.iter().max_by_key(|(_, n)| **n);
        let refused = match refused {
            Some((Refusal::Reset, _)) => "with an RST",
            Some((Refusal::Closed, _)) => "with a FIN before the far end answers",
            Some((Refusal::Unreachable, _)) => "with ICMP \"unreachable\"",
            Some((Refusal::Silence, _)) | None => "silently",
        };
        let text = match how {
            Eviction::Newest => {
                format!("When it is full, new flows are refused {refused}, and those that are there stay.")
            }
            Eviction::Oldest => {
                "When it is full, the oldest flows are forgotten: the far end's words no longer arrive on them.".to_owned()
            }
            Eviction::Other => {
                "When it is full, flows are forgotten, and not the oldest: the far end's words no longer arrive on them."
                    .to_owned()
            }
            Eviction::Both => format!(
                "When it is full, new flows are refused {refused}, and some of those that are there are forgotten."
            ),
        };
        Finding::note(Kind::Eviction, text)
    }

    fn port_finding(&self, ports: &Ports) -> Option<Finding> {
        if ports.is_kept() {
            return None;
        }
        let range = format!("{} to {}", ports.lowest, ports.highest);
        let used_up = self.full && self.eviction == Some(Eviction::Newest) && ports.is_used_up();
        let text = match used_up {
            true => format!(
                "The far end sees {} with ports {range}, and all of them were in use when new flows were refused: these are \
                 the ports for translation.",
                ports.address
            ),
            false => format!(
                "The far end sees {} of {}, from {range}; {} kept their own.",
                things(ports.ports, "port"),
                ports.address,
                human::count(ports.kept)
            ),
        };
        Some(match used_up {
            true => Finding::warning(Kind::Ports, text),
            false => Finding::note(Kind::Ports, text),
        })
    }

    fn spread_finding(&self) -> Option<Finding> {
        let spread = &self.spread;
        let (again, same) = spread.repeated;
        let how = match spread.how {
            How::One => return None,
            How::Turns => "in turn".to_owned(),
            How::Hash => format!(
                "by a hash of their addresses and ports: {same} of {again} flows from a port that was used before reached the \
                 same server"
            ),
            How::Other => format!(
                "neither in turn nor by a hash of addresses and ports: {same} of {again} flows from a port that was used before \
                 reached the same server"
            ),
            How::Unknown => "in a way that these few do not show".to_owned(),
        };
        let even = match spread.even {
            Some(true) => format!(", evenly as far as they show (χ² p = {:.3})", spread.p),
            Some(false) => format!(", unevenly (χ² p = {:.1e})", spread.p),
            None => String::new(),
        };
        let text = format!(
            "Flows are spread over {} {how}{even}.",
            things(spread.flows.len() as u64, "server")
        );
        Some(Finding::note(Kind::Spread, text))
    }
}

impl Probed for TableResult {
    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn sections(&self) -> Vec<Section> {
        let n = human::count;
        let plain = |label, value: String, note: &str| Row::new(Tone::Plain, label, value, note);
        let tone = if self.full { Tone::Odd } else { Tone::Plain };
        let bound = if self.full {
            "all that fit"
        } else {
            "at least"
        };
        let mut rows = vec![
            Row::new(tone, "held at once", n(self.held), bound),
            plain("asked for", n(self.asked), ""),
            plain("came up", n(self.greeted), ""),
            plain("forgotten later", n(self.lost), ""),
        ];
        for (how, count) in &self.refused {
            let note = match how {
                Refusal::Silence => "no answer",
                Refusal::Reset => "RST",
                Refusal::Closed => "FIN before an answer",
                Refusal::Unreachable => "ICMP unreachable",
            };
            rows.push(plain("refused", n(*count), note));
        }
        let sources = self.ports.iter().map(|ports| {
            let note = format!(
                "of {}, {} to {}; {} as they were",
                ports.address,
                ports.lowest,
                ports.highest,
                n(ports.kept)
            );
            plain("ports seen", n(ports.ports), &note)
        });
        let servers = self
            .spread
            .flows
            .iter()
            .map(|flows| plain("flows", n(*flows), "to one server"));
        let mut sections = vec![
            Section {
                title: "Table",
                rows,
            },
            Section {
                title: "Sources at the far end",
                rows: sources.collect(),
            },
        ];
        if self.spread.flows.len() > 1 {
            sections.push(Section {
                title: "Servers",
                rows: servers.collect(),
            });
        }
        sections
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split_mix::mix;
    use std::cell::Cell;

    /// Which of so many flows gives way.
    type Victim<'a> = &'a dyn Fn(usize) -> Option<usize>;

    /// A table of so many flows, and which of them gives way: `None` refuses the new one.
    fn fill(size: usize, asked: usize, victim: impl Fn(usize) -> Option<usize>) -> Evidence {
        let mut became = Vec::new();
        // The probe's own flow is in it, too.
        let mut table: Vec<Option<usize>> = vec![None];
        for flow in 0..asked {
            if is_full(became.iter().map(|one| matches!(one, Became::Refused(_)))) {
                break;
            }
            if table.len() == size {
                match victim(size) {
                    None => {
                        became.push(Became::Refused(Refusal::Silence));
                        continue;
                    }
                    Some(at) => {
                        if let Some(lost) = table.remove(at) {
                            became[lost] = Became::Lost;
                        }
                    }
                }
            }
            became.push(Became::Alive);
            table.push(Some(flow));
        }
        Evidence {
            asked: asked as u64,
            became,
            others: 1,
            ..Evidence::default()
        }
    }

    #[test]
    fn a_table_s_size_is_found_whatever_gives_way() {
        for size in [500, 2000] {
            // The probe's own flow, the first, is in use all the time.
            let drawn = Cell::new(0);
            let any = |size: usize| {
                drawn.set(drawn.get() + 1);
                Some(1 + mix(drawn.get()) as usize % (size - 1))
            };
            let cases: [(Victim, Eviction); 3] = [
                (&|_| None, Eviction::Newest),
                (&|_| Some(1), Eviction::Oldest),
                (&any, Eviction::Other),
            ];
            for (victim, eviction) in cases {
                let result = TableResult::of(fill(size, 4000, victim));
                assert_eq!(result.eviction, Some(eviction), "{size}");
                assert_eq!(
                    (result.held, result.full),
                    (size as u64, true),
                    "{eviction:?}"
                );
                assert!(result.outcome.measured);
                assert_eq!(result.outcome.findings[0].kind, Kind::TableFull);
                assert_eq!(result.outcome.findings[1].kind, Kind::Eviction);
            }
        }
    }

    #[test]
    fn a_table_that_is_not_full_has_no_size() {
        let result = TableResult::of(fill(5000, 4000, |_| None));
        assert_eq!((result.held, result.full), (4001, false));
        assert_eq!(result.outcome.findings[0].kind, Kind::TableNotFull);
    }

    #[test]
    fn limits_of_either_host_are_not_the_path_s() {
        let mut evidence = fill(500, 4000, |_| None);
        evidence.far_drops = 3;
        let result = TableResult::of(evidence);
        assert_eq!((result.outcome.measured, result.full), (false, false));
        assert_eq!(result.outcome.findings[0].kind, Kind::FarLimit);

        let mut evidence = fill(500, 4000, |_| None);
        evidence.far_files = 512;
        assert_eq!(
            TableResult::of(evidence).outcome.findings[0].kind,
            Kind::FarLimit
        );

        let mut evidence = fill(5000, 4000, |_| None);
        evidence.own_limit = Some("too many open files".into());
        let result = TableResult::of(evidence);
        assert!(!result.outcome.measured);
        assert_eq!(result.outcome.findings[0].kind, Kind::OwnLimit);
    }

    #[test]
    fn ports_for_translation_that_are_used_up_are_named() {
        let mut evidence = fill(501, 4000, |_| None);
        evidence.seen = (0..500)
            .map(|n| Seen {
                port: 40_000 + n,
                as_seen: ([192, 0, 2, 1], 10_000 + n).into(),
            })
            .collect();
        let result = TableResult::of(evidence);
        let told = result
            .outcome
            .findings
            .iter()
            .find(|f| f.kind == Kind::Ports);
        let text = &told.expect("a finding").text;
        assert!(text.contains("10000 to 10499, and all of them"), "{text}");
        assert_eq!(result.ports[0].kept, 0);
    }
}
