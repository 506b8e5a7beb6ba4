//! What a coordinator decides before the start, step by step.

use super::*;
use crate::message::Facts;
use crate::simulated::about;
use throng_core::record::{About, Ending, Part as Recorded, Recorder, Source};

const S: Duration = Duration::from_secs(1);

/// A coordinator that fits the run of so many connections to two agents on machines of their own, both of which have said who they
/// are; the plans that it has ordered.
fn fitting(connections: u32) -> (Coordinator, Vec<(usize, Part)>) {
    let terms = Terms {
        scenario: "version = 2".into(),
        connections,
        fit: true,
        on_loss: OnLoss::GoOn,
        lost_after: 5 * S,
        token: None,
        latencies: LatencyReport::default(),
    };
    let names = vec!["a".to_owned(), "b".to_owned()];
    let mut coordinator = Coordinator::new("r".into(), names, terms, Duration::ZERO);
    let mut plans = Vec::new();
    while let Some(step) = coordinator.next_step() {
        let Step::Send { to, message } = step else {
            continue;
        };
        match message.order {
            Order::Hello { .. } => say(
                &mut coordinator,
                to,
                Report::Hello {
                    version: message::VERSION,
                    facts: Facts {
                        machine: to.to_string(),
                        ..Facts::default()
                    },
                },
            ),
            Order::Ping { number } => {
                say(&mut coordinator, to, Report::Pong { number, at_ns: 0 });
            }
            Order::Plan(part) => plans.push((to, *part)),
            _ => {}
        }
    }
    (coordinator, plans)
}

fn say(coordinator: &mut Coordinator, from: usize, report: Report) {
    let message = FromAgent {
        run: "r".into(),
        report,
    };
    coordinator.received(from, message, S);
}

/// What comes of plans that agents answer by `answer`: how many connections they can hold, given their own. Returns how often they
/// planned, and the lines of a refusal, or the shares with which the run starts.
fn judged(
    connections: u32,
    answer: impl Fn(usize, u32, u32) -> u32,
) -> (u32, Result<Vec<u32>, Vec<String>>) {
    let (mut coordinator, mut plans) = fitting(connections);
    let (mut shares, mut rounds) = (vec![0; 2], 0);
    loop {
        rounds += 1;
        for (agent, part) in std::mem::take(&mut plans) {
            let own = part.shard.share(connections);
            shares[agent] = own;
            let (number, holds) = (part.number, answer(agent, own, rounds));
            let report = match holds < own {
                true => Report::Short {
                    number,
                    holds: holds.into(),
                    limits: vec!["memory".into()],
                },
                false => Report::Planned {
                    number,
                    holds: Some(holds.into()),
                },
            };
            say(&mut coordinator, agent, report);
        }
        while let Some(step) = coordinator.next_step() {
            match step {
                Step::Send { to, message } => match message.order {
                    Order::Plan(part) => plans.push((to, *part)),
                    Order::Start { .. } => return (rounds, Ok(shares)),
                    _ => {}
                },
                Step::Over(result) => match *result {
                    Err(Refusal::Impossible(lines)) => return (rounds, Err(lines)),
                    other => panic!("{other:?}"),
                },
                _ => {}
            }
        }
        assert!(!plans.is_empty(), "it waits for nobody");
    }
}

/// Each agent says that what it was ordered fits.
fn all_fit(coordinator: &mut Coordinator, plans: Vec<(usize, Part)>) {
    for (agent, part) in plans {
        let number = part.number;
        say(
            coordinator,
            agent,
            Report::Planned {
                number,
                holds: None,
            },
        );
    }
}

#[test]
fn connections_are_divided_anew_until_they_fit() {
    // One has room for 30.
    assert_eq!(
        judged(100, |agent, _, _| [30, 200][agent]),
        (2, Ok(vec![30, 70]))
    );
    // What the other has room for turns out to be less once it has more.
    let shrinking = |agent, own, _| match (agent, own > 60) {
        (0, _) => 45,
        (_, true) => 55,
        (_, false) => 100,
    };
    assert_eq!(judged(100, shrinking), (2, Ok(vec![45, 55])));
    let (rounds, shares) = judged(100, |agent, _, round| {
        [40 + 2 * u32::from(round == 1), 60][agent]
    });
    assert_eq!((rounds, shares), (3, Ok(vec![40, 60])));
}

#[test]
fn what_does_not_fit_is_refused_with_the_room_that_there_is() {
    let (rounds, refused) = judged(100, |agent, _, _| [30, 50][agent]);
    let lines = refused.unwrap_err();
    assert_eq!(rounds, 1);
    assert_eq!(
        lines,
        [
            "a: memory",
            "all agents together have room for 80 of 100 connections"
        ]
    );
    // The room that was told is gone when it is to be used.
    let (rounds, refused) = judged(100, |agent, own, round| match (agent, round) {
        (0, _) => 30,
        (_, 1) => 90,
        _ => own - 1,
    });
    let lines = refused.unwrap_err();
    assert_eq!(rounds, 2);
    assert_eq!(
        lines,
        [
            "b: memory",
            "all agents together have room for 99 of 100 connections"
        ]
    );
}

/// What an agent with this many connections leaves behind; `is_over` says whether its run is.
fn recorded(source: &str, connections: u32, is_over: bool) -> Record {
    let part = Recorded {
        about: about(connections),
        intervals: Recorder::default().finish().0,
        ending: is_over.then(Box::default),
    };
    Record::of(Source::new(source), part)
}

#[test]
fn a_record_that_cannot_be_of_an_agent_s_part_is_refused_and_told() {
    let two = recorded("x", 50, true)
        .merge(recorded("y", 50, true))
        .unwrap();
    let nothing = Record {
        version: VERSION,
        sources: Default::default(),
    };
    let unasked = {
        let mut record = recorded("x", 50, true);
        for part in record.sources.values_mut() {
            part.about = About {
                asked: Default::default(),
                ..about(50)
            };
        }
        record
    };
    for (forged, why) in [
        (
            recorded("x", 51, true),
            "it is of 51 connections, and 50 were ordered",
        ),
        (
            unasked,
            "it is of any number of connections, and 50 were ordered",
        ),
        (
            recorded("x", 50, false),
            "it is not of one run that is over",
        ),
        (two, "it is not of one run that is over"),
        (nothing, "it is not of one run that is over"),
    ] {
        let (mut coordinator, plans) = fitting(100);
        all_fit(&mut coordinator, plans);
        assert!(coordinator.has_started());
        let record = Box::new(forged);
        say(&mut coordinator, 0, Report::Done { record });
        // What is right comes too late: who sent the other one is not known.
        for agent in [0, 1] {
            let record = Box::new(recorded(&agent.to_string(), 50, true));
            say(&mut coordinator, agent, Report::Done { record });
        }
        let (mut told, mut over) = (Vec::new(), None);
        while let Some(step) = coordinator.next_step() {
            match step {
                Step::Note(Note::Fleet(line)) => told.push(line),
                Step::Over(result) => over = Some(*result),
                _ => {}
            }
        }
        let line = format!("a is lost, before its first report: its record is refused: {why}");
        assert!(told.contains(&line), "{told:?}");
        let over = over.expect("the other one has reported").expect("it ran");
        assert_eq!(over.lost, ["a"], "{why}");
        let complete = over.record.sources.values().map(|p| p.ending.is_some());
        assert_eq!(complete.collect::<Vec<_>>(), [false, true], "{why}");
    }
}

#[test]
fn the_first_record_of_an_agent_counts_whatever_else_comes() {
    let (mut coordinator, plans) = fitting(100);
    all_fit(&mut coordinator, plans);
    let mut later = recorded("own", 50, true);
    for part in later.sources.values_mut() {
        part.ending = Some(Box::new(Ending {
            peak: 4_000_000,
            ..Ending::default()
        }));
    }
    for (agent, record) in [
        (0, recorded("own", 50, true)),
        (0, later),
        (1, recorded("other", 50, true)),
    ] {
        let record = Box::new(record);
        say(&mut coordinator, agent, Report::Done { record });
    }
    let steps = std::iter::from_fn(|| coordinator.next_step());
    let over = steps.filter_map(|step| match step {
        Step::Over(result) => result.ok(),
        _ => None,
    });
    let record = over.last().expect("it ran").record;
    let peaks = record
        .sources
        .values()
        .map(|p| p.ending.as_ref().map(|e| e.peak));
    assert_eq!(peaks.collect::<Vec<_>>(), [Some(0), Some(0)]);
}

#[test]
fn agents_are_lost_by_their_own_silence_and_not_by_the_coordinator_s_standstill() {
    let (mut coordinator, plans) = fitting(100);
    all_fit(&mut coordinator, plans);
    let lost = |coordinator: &Coordinator| {
        let members = coordinator.members.iter();
        members.filter(|m| m.doing == Doing::Lost).count()
    };
    coordinator.tick(S);
    coordinator.tick(100 * S);
    assert_eq!(lost(&coordinator), 0, "their messages wait to be read");
    for half in 201..210 {
        coordinator.tick(half * S / 2);
        assert_eq!(lost(&coordinator), 0, "{half}");
    }
    coordinator.tick(105 * S);
    assert_eq!(lost(&coordinator), 2);
}
