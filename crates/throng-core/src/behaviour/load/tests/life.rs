//! The course of a connection: when it sends, reads and closes.

use super::*;

#[test]
fn nothing_new_is_begun_once_traffic_is_off() {
    let mut rig = Rig::new(task(Pacing::Flood, &[], &["ping"]));
    rig.opened(0, 0);
    rig.load.traffic(Traffic::Off, Time(MS));
    assert_eq!(rig.sent(0, 2).send, Transmit::Nothing);
}

#[test]
fn a_connection_that_opened_early_waits_until_traffic_starts() {
    let mut rig = Rig::new(task(Pacing::Flood, &[], &["ping"]));
    rig.load.traffic(Traffic::Waiting, Time::START);
    assert_eq!(rig.opened(0, 0).send, Transmit::Nothing);
    rig.load.traffic(Traffic::On, Time(MS));
    let out = rig.at(0, 1, |l, c, at, out| l.started(c, at, out));
    assert!(matches!(out.send, Transmit::Memory(_)));
}

#[test]
fn sending_is_held_back_for_the_delay() {
    let mut rig = Rig::new(Task {
        delay: Duration::from_millis(30),
        ..task(rate(100.0), &["hi"], &["ping"])
    });
    let out = rig.opened(0, 5);
    assert_eq!(
        (out.send, out.wake),
        (Transmit::Nothing, Some(Time(35 * MS)))
    );
    assert_eq!(rig.woken(0, 20).send, Transmit::Nothing);
    rig.woken(0, 35);
    assert_eq!(rig.text(), "hi");
}

#[test]
fn a_connection_ends_with_its_lifetime_and_a_whole_message() {
    let lifetime = Some(Duration::from_millis(30));
    let mut rig = Rig::new(Task {
        lifetime,
        ..task(rate(1.0), &[], &["ping"])
    });
    rig.opened(0, 0);
    let out = rig.sent(0, 1);
    assert_eq!((out.wake, out.close), (Some(Time(30 * MS)), false));
    assert!(rig.woken(0, 30).close);
    // In the middle of a message.
    rig.closed(0, 30);
    let mut rig = Rig::new(Task {
        lifetime,
        ..task(Pacing::Flood, &[], &["ping"])
    });
    rig.opened(0, 0);
    assert!(!rig.woken(0, 30).close);
    let out = rig.sent(0, 31);
    assert!(out.close && out.send == Transmit::Nothing);
}

#[test]
fn what_is_read_slowly_is_asked_for_at_its_time() {
    let mut rig = Rig::new(Task {
        receive: Bandwidth::bytes_per_second(1000.0),
        ..task(Pacing::Flood, &[], &[])
    });
    assert_eq!(rig.load.reads(), Reads::Asked);
    let mut now = 0;
    let mut came = 0;
    let mut asked = rig.opened(0, 0).read;
    while came < 1000 {
        assert_eq!(asked, 100, "a tenth of a second");
        let out = rig.received(0, now, &vec![0; asked as usize]);
        came += asked;
        now = out.wake.expect("a time to read on").0 / MS;
        assert_eq!((out.read, now), (0, came.into()));
        asked = rig.woken(0, now).read;
    }
    let never = Task {
        receive: Bandwidth::bytes_per_second(0.0),
        ..task(Pacing::Flood, &[], &[])
    };
    assert_eq!(Rig::new(never).load.reads(), Reads::Never);
}

#[test]
fn the_first_byte_is_measured_once_on_each_connection() {
    let mut rig = Rig::new(Task {
        first_byte: true,
        ..task(Pacing::Flood, &[], &[])
    });
    rig.opened(0, 3);
    rig.received(0, 7, b"x");
    rig.received(0, 9, b"y");
    rig.closed(0, 10);
    assert_eq!(rig.load.measured.first_byte.count(), 1);
    assert_eq!(p50(&rig.load.measured.first_byte), Some(7));
}
