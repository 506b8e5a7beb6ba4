//! Wakes that behaviours ask for.

use crate::peer;
use crate::rig::{Connect, Serve};
use crate::script::{Event, script};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use throng_core::behaviour::{Steer, Transmit};
use throng_core::engine::Engine;
use throng_core::protocol::raw::Sink;
use throng_core::time::Time;
use throng_core::wheel::GRAIN;

on_each_engine![
    connections_are_woken_once_in_order_and_never_early,
    repeated_wakes_come_each_as_often_as_asked,
    asking_again_replaces_what_was_asked_before,
    a_wake_in_the_past_comes_at_once,
    a_closed_connection_is_not_woken_nor_is_its_successor,
    a_wake_can_send_and_close,
    a_changed_rate_wakes_each_open_connection_once,
];

/// Which connection was woken, when it had asked to be, and when it was.
type Wakes = Arc<Mutex<Vec<(u32, Time, Time)>>>;

fn connections_are_woken_once_in_order_and_never_early(engine: Engine) {
    const CONNECTIONS: u32 = 600;
    let server = Serve::on(engine).with(|| Sink);
    let wakes = Wakes::default();
    let mut setup = Connect::to(engine, &[server.address()], CONNECTIONS);
    // The timers are spread over ten rings.
    setup.ring_slots = 64;
    let client = setup.with(|| {
        let wakes = Arc::clone(&wakes);
        script([], move |c: &mut (u32, Time), event, at, out| match event {
            Event::Opened(id) => {
                // Not in the order of opening: each at a time of its own within 300 ms.
                let after = Duration::from_micros(200_000 + u64::from(id * 7919 % 600) * 500);
                *c = (id, at.now + after);
                out.wake = Some(c.1);
            }
            Event::Woken => wakes.lock().unwrap().push((c.0, c.1, at.now)),
            _ => {}
        })
    });
    client.wait("all are up", |t| t.established == u64::from(CONNECTIONS));
    crate::rig::wait_until(
        "all are woken",
        || wakes.lock().unwrap().len() >= CONNECTIONS as usize,
        || format!("{} are", wakes.lock().unwrap().len()),
    );
    client.stays("up", |t| t.open() == u64::from(CONNECTIONS));
    client.close();
    let wakes = wakes.lock().unwrap();
    let mut ids: Vec<u32> = wakes.iter().map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..CONNECTIONS).collect::<Vec<_>>(), "each is once");
    for (id, asked, woken) in wakes.iter() {
        assert!(woken >= asked, "{id} is woken at {woken:?}, not {asked:?}");
    }
    for pair in wakes.windows(2) {
        // Within a grain of the wheel the order is open.
        assert!(pair[0].1 < pair[1].1 + GRAIN, "out of order: {pair:?}");
    }
}

fn repeated_wakes_come_each_as_often_as_asked(engine: Engine) {
    const TIMES: u32 = 30;
    let server = Serve::on(engine).with(|| Sink);
    let woken = Arc::new(Mutex::new(HashMap::<u32, u32>::new()));
    let client = Connect::to(engine, &[server.address()], 200).with(|| {
        let woken = Arc::clone(&woken);
        script([], move |c: &mut (u32, u32), event, at, out| {
            match event {
                Event::Opened(id) => *c = (id, 0),
                Event::Woken => {
                    c.1 += 1;
                    *woken.lock().unwrap().entry(c.0).or_default() += 1;
                }
                _ => return,
            }
            if c.1 < TIMES {
                out.wake = Some(at.now + Duration::from_millis(3));
            }
        })
    });
    let all = || {
        let woken = woken.lock().unwrap();
        woken.len() == 200 && woken.values().all(|n| *n >= TIMES)
    };
    crate::rig::wait_until("all are woken", all, || format!("{woken:?}"));
    client.stays("up", |t| t.open() == 200);
    client.close();
    assert!(woken.lock().unwrap().values().all(|n| *n == TIMES));
}

fn asking_again_replaces_what_was_asked_before(engine: Engine) {
    // Later instead of earlier, and earlier instead of later.
    for (first, second) in [(300, 600), (60_000, 150)] {
        let wakes = Wakes::default();
        let server = Serve::on(engine).with(|| {
            let wakes = Arc::clone(&wakes);
            script([], move |c: &mut Time, event, at, out| {
                let after = match event {
                    Event::Opened(_) => first,
                    Event::Received(_) => second,
                    Event::Woken => {
                        wakes.lock().unwrap().push((0, *c, at.now));
                        return;
                    }
                    _ => return,
                };
                *c = at.now + Duration::from_millis(after);
                out.wake = Some(*c);
            })
        });
        let mut peer = peer::connect(server.address());
        server.wait("it is up", |t| t.accepted == 1);
        peer.write_all(b"x").expect("sent");
        crate::rig::wait_until(
            "it is woken",
            || !wakes.lock().unwrap().is_empty(),
            String::new,
        );
        server.stays("up", |t| t.open() == 1);
        server.close();
        let wakes = wakes.lock().unwrap();
        assert_eq!(wakes.len(), 1);
        assert!(wakes[0].2 >= wakes[0].1, "{wakes:?}");
    }
}

fn a_wake_in_the_past_comes_at_once(engine: Engine) {
    let server = Serve::on(engine).with(|| Sink);
    let wakes = Wakes::default();
    let client = Connect::to(engine, &[server.address()], 10).with(|| {
        let wakes = Arc::clone(&wakes);
        script([], move |(): &mut (), event, at, out| match event {
            Event::Opened(_) => out.wake = Some(Time::START),
            Event::Woken => wakes.lock().unwrap().push((0, Time::START, at.now)),
            _ => {}
        })
    });
    crate::rig::wait_until(
        "all are woken",
        || wakes.lock().unwrap().len() == 10,
        || format!("{:?}", wakes.lock().unwrap()),
    );
    client.close();
}

fn a_closed_connection_is_not_woken_nor_is_its_successor(engine: Engine) {
    // One place, so that each connection has the place of the one before. Only the first byte `w` asks.
    let woken = Arc::new(Mutex::new(0));
    let mut setup = Serve::on(engine);
    setup.max = 1;
    let server = setup.with(|| {
        let woken = Arc::clone(&woken);
        script([], move |(): &mut (), event, at, out| match event {
            Event::Received(b"w") => {
                out.wake = Some(at.now + Duration::from_millis(200));
                out.send = Transmit::Back;
            }
            Event::Received(_) => out.send = Transmit::Back,
            Event::Woken => *woken.lock().unwrap() += 1,
            _ => {}
        })
    });
    for _ in 0..5 {
        peer::round_trip(&mut peer::connect(server.address()), b"w");
    }
    let mut last = peer::connect(server.address());
    peer::round_trip(&mut last, b"-");
    server.stays("up", |t| t.open() == 1);
    peer::round_trip(&mut last, b"w");
    crate::rig::wait_until(
        "the one that lives is woken",
        || *woken.lock().unwrap() > 0,
        String::new,
    );
    server.close();
    assert_eq!(*woken.lock().unwrap(), 1);
}

fn a_wake_can_send_and_close(engine: Engine) {
    let server = Serve::on(engine).with(|| {
        script(*b"late", |(): &mut (), event, at, out| match event {
            Event::Opened(_) => out.wake = Some(at.now + Duration::from_millis(50)),
            Event::Woken => {
                out.send = Transmit::Memory(0..4);
                out.close = true;
            }
            _ => {}
        })
    });
    let mut peers: Vec<_> = (0..50).map(|_| peer::connect(server.address())).collect();
    for peer in &mut peers {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).expect("no reset");
        assert_eq!(got, b"late");
    }
    server.close();
}

fn a_changed_rate_wakes_each_open_connection_once(engine: Engine) {
    // More than one round wakes.
    const CONNECTIONS: u32 = 600;
    let server = Serve::on(engine).with(|| Sink);
    let woken = Arc::new(Mutex::new(Vec::new()));
    let mut setup = Connect::to(engine, &[server.address()], CONNECTIONS);
    setup.ring_slots = 64;
    let client = setup.with(|| {
        let woken = Arc::clone(&woken);
        script([], move |c: &mut u32, event, at, out| match event {
            Event::Opened(id) => {
                *c = id;
                out.wake = Some(at.now + Duration::from_secs(1000));
            }
            Event::Woken => woken.lock().unwrap().push(*c),
            _ => {}
        })
    });
    client.wait("all are up", |t| t.established == u64::from(CONNECTIONS));
    client.control.steer(Steer::Tempo {
        from: client.clock.now(),
        factor: 2.0,
    });
    crate::rig::wait_until(
        "all are woken",
        || woken.lock().unwrap().len() >= CONNECTIONS as usize,
        || format!("{} are", woken.lock().unwrap().len()),
    );
    client.close();
    let mut woken = woken.lock().unwrap().clone();
    woken.sort_unstable();
    assert_eq!(woken, (0..CONNECTIONS).collect::<Vec<_>>(), "each is once");
    server.close();
}
