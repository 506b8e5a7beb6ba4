//! A run as its seed has it: options of throng, the peer, signals.

use rustix::process::Signal;
use std::fmt;
use std::time::Duration;
use throng_core::payload::Dice;

/// Where the peer listens, in a network namespace of its own.
pub const PORT: u16 = 7000;

/// What a connection of the peer may do: see tests/peers/chaos.py.
const KINDS: [&str; 13] = [
    "echo",
    "sink",
    "silent",
    "slow",
    "late",
    "talkative",
    "pages",
    "closing",
    "once",
    "resetting",
    "half",
    "lying",
    "bye",
];

/// The other side.
pub struct TheirSide {
    /// What it speaks: `raw`, `ws`, `dns`, `tls` or `wss`.
    pub protocol: &'static str,
    /// How its connections behave.
    pub kinds: Vec<&'static str>,
    /// What its listener does: `refusing`, `deaf` or nothing.
    pub listener: Option<&'static str>,
}

impl TheirSide {
    /// All in words that the peer understands.
    pub fn kinds(&self) -> String {
        let all: Vec<&str> = self.kinds.iter().copied().chain(self.listener).collect();
        all.join(",")
    }
}

/// A run that is to be made.
pub struct Scene {
    /// All else follows from it.
    pub seed: u64,
    /// throng's command line.
    pub words: Vec<String>,
    /// `None` for `--self`.
    pub peer: Option<TheirSide>,
    /// When after the start which signals come.
    pub signals: Vec<(Duration, Signal)>,
    /// Files that it was asked to write.
    pub files: Vec<&'static str>,
    /// `-c`.
    pub connections: u64,
    /// `--hold`.
    pub hold: Duration,
    /// `-T`.
    pub duration: Option<Duration>,
    /// `--allow-lost`, or an expectation that takes its place.
    pub allows_loss: bool,
    /// `--allow-unanswered`.
    pub allows_unanswered: bool,
    /// `--channel-lifetime`.
    pub lifetime: bool,
    /// `--no-reconnect`.
    pub no_reconnect: bool,
    /// Whether a rate is asked for, which a busy machine may miss.
    pub rate: bool,
    /// Messages in all, after which the run ends.
    pub requests: Option<u64>,
    /// Whether answers are looked for, and counted apart.
    pub answers: bool,
    /// Whether messages are to be answered: the same, or a closed loop.
    pub looks_for: bool,
    /// How many `--expect` there are.
    pub expectations: usize,
}

/// Random choices.
struct Draw(Dice);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0.word() % n
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

impl Scene {
    /// The scene of a seed.
    pub fn draw(seed: u64) -> Scene {
        let d = &mut Draw(Dice::of(seed, &[]));
        let mut words: Vec<String> = ["load", "--output", "json"].map(String::from).into();
        let mut push = |text: &str| words.extend(text.split_whitespace().map(String::from));

        let peer = (!d.percent(12)).then(|| their_side(d));
        match d.below(3) {
            0 => push("--engine uring"),
            1 => push("--engine epoll"),
            _ => {}
        }
        if d.percent(70) {
            push(&format!("-w {}", 1 + d.below(3)));
        }
        // Many small runs: what is rare among few connections is lost among many.
        let connections = match d.below(3) {
            0 => 1 + d.below(5),
            1 => 1 + d.below(50),
            _ => 1 + d.below(300),
        };
        let hold = if d.percent(10) {
            Duration::ZERO
        } else {
            d.ms(0, 2000)
        };
        push(&format!("-c {connections} --hold {}ms", hold.as_millis()));

        let protocol = peer.as_ref().map_or("raw", |peer| peer.protocol);
        match protocol {
            "ws" => push("--ws"),
            "tls" => push("--tls --insecure"),
            "wss" => push("--ws --tls --insecure"),
            _ => {}
        }
        let (mut rate, mut answers, mut closed_loop) = (false, false, false);
        let mut requests = None;
        let echoes = protocol != "dns";
        let sends = protocol == "dns" || d.percent(75);
        if !sends {
            if d.percent(20) {
                push("--first-message hello");
            }
        } else {
            match protocol {
                "dns" => push("--dns example.com/A"),
                _ => push(&format!("-m {}x", "abcdefgh".repeat(d.below(20) as usize))),
            }
            answers = protocol == "dns";
            match d.below(5) {
                0 if echoes => {
                    closed_loop = true;
                    push("--closed-loop");
                    if d.percent(30) {
                        push(&format!("--in-flight {}", 1 + d.below(connections)));
                    }
                }
                1 | 2 => {
                    rate = true;
                    push(&format!("-r {}", 1 + d.below(2000 / connections + 1)));
                }
                3 => {
                    rate = true;
                    push(&format!("--rate {}", 1 + d.below(1000)));
                }
                _ => {}
            }
            if echoes && !closed_loop && d.percent(50) {
                answers = true;
                push(d.of(&["--latency-echo", "--latency-marker x"]));
            }
            if d.percent(15) {
                let n = 1 + d.below(3000);
                push(&format!("-n {n}"));
                requests = Some(n);
            }
            if d.percent(15) {
                push("--after-ramp");
            }
            if d.percent(10) {
                push("--delay-send 200ms");
            }
        }
        let no_reconnect = d.percent(15);
        if no_reconnect {
            push("--no-reconnect");
        }
        if d.percent(25) {
            push(&format!("--connect-rate {}", 50 + d.below(1000)));
        }
        // Not the default of five seconds: what stalls is to be given up sooner.
        let timeout = d.ms(300, 1500);
        push(&format!("--connect-timeout {}ms", timeout.as_millis()));
        let lifetime = d.percent(12);
        if lifetime {
            push(&format!(
                "--channel-lifetime {}ms",
                d.ms(100, 1500).as_millis()
            ));
        }
        // Where connections come and go, the most at once may grow for a long time.
        let duration = d.percent(60).then(|| d.ms(200, 5000));
        if let Some(duration) = duration {
            push(&format!("-T {}ms", duration.as_millis()));
        }
        let mut allows_loss = d.percent(12);
        if allows_loss {
            push(d.of(&["--allow-lost 2", "--allow-lost 20%", "--allow-lost 100%"]));
        }
        let looks_for = answers || closed_loop;
        let allows_unanswered = looks_for && d.percent(12);
        if allows_unanswered {
            push(d.of(&["--allow-unanswered 5", "--allow-unanswered 50%"]));
        }
        let mut expectations = 0;
        for text in [
            "lost<=3",
            "peak>=50%",
            "open>=1",
            "failed=0",
            "closed_by_peer<1",
        ] {
            if d.percent(5) {
                allows_loss |= text.starts_with("lost");
                expectations += 1;
                push(&format!("--expect {text}"));
            }
        }
        let mut files = Vec::new();
        if looks_for && d.percent(15) {
            files.push("latency.log");
            push("--latency-log latency.log");
        }
        if looks_for && echoes && d.percent(10) {
            files.push("samples.csv");
            push("--samples samples.csv");
        }
        match &peer {
            None if looks_for => push("--self=echo"),
            None => push(d.of(&["--self", "--self=echo"])),
            Some(_) => {
                // With TLS it would need a certificate.
                if !matches!(protocol, "tls" | "wss") && d.percent(10) {
                    push("-l 7001");
                }
                push(&format!("127.0.0.1:{PORT}"));
            }
        }
        Scene {
            seed,
            signals: signals(d),
            peer,
            files,
            connections,
            hold,
            duration,
            allows_loss,
            allows_unanswered,
            lifetime,
            no_reconnect,
            rate,
            requests,
            answers,
            looks_for,
            expectations,
            words,
        }
    }

    /// Whether nothing keeps the run from being reached, but a machine that is far too slow.
    pub fn is_easy(&self) -> bool {
        let friendly = match &self.peer {
            Some(peer) => {
                let echo = peer.kinds == ["echo"];
                let sink = peer.kinds == ["sink"] && !self.looks_for;
                (echo || sink) && peer.listener.is_none()
            }
            None => true,
        };
        friendly
            && self.signals.is_empty()
            && self.duration.is_none()
            && !self.lifetime
            && !self.rate
            && !self.words.iter().any(|w| w == "--connect-rate")
    }
}

fn their_side(d: &mut Draw) -> TheirSide {
    let protocol = d.of(&["raw", "raw", "raw", "ws", "ws", "dns", "tls", "wss"]);
    let kinds = match d.below(10) {
        0..3 => vec![d.of(&["echo", "echo", "sink"])],
        3..6 => vec![d.of(&KINDS)],
        6 | 7 => vec!["echo", "echo", "echo", d.of(&KINDS)],
        _ => (0..4).map(|_| d.of(&KINDS)).collect(),
    };
    let listener = match d.below(10) {
        0 => Some("refusing"),
        1 => Some("deaf"),
        _ => None,
    };
    TheirSide {
        protocol,
        kinds,
        listener,
    }
}

fn signals(d: &mut Draw) -> Vec<(Duration, Signal)> {
    let all = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
    let first = (d.ms(0, 3000), d.of(&all));
    match d.below(10) {
        0..7 => vec![],
        7 | 8 => vec![first],
        _ => vec![first, (first.0 + d.ms(0, 300), d.of(&all))],
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "throng {}", self.words.join(" "))?;
        if let Some(peer) = &self.peer {
            write!(f, "; peer {} {}", peer.protocol, peer.kinds())?;
        }
        for (at, signal) in &self.signals {
            write!(f, "; signal {} after {at:?}", signal.as_raw())?;
        }
        Ok(())
    }
}
