//! `-r @latency` against servers whose true answer is known: one queue, one server, in order of arrival.
//!
//! The load sends evenly, so the queue is D/D/1 with a fixed service time, and D/M/1 with exponential ones. D/D/1:
//! latency is the service time until the rate is the server's, and grows without bound above it, so that is the answer
//! for any bound. D/M/1: the time in the system is exponential with parameter μ(1 − σ), where σ = exp(−μ(1 − σ)/λ)
//! (Kleinrock, Queueing Systems I, 6.4), so its 95th percentile is ln 20 / (μ(1 − σ)), which can be solved for the rate
//! λ in closed form.

use super::grid::{Grid, cells};
use super::subject::Subject;
use crate::process::stopped;
use crate::suite::Effort;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// As `--only` calls it.
pub const NAME: &str = "accuracy-search";

/// Service time, and its mean.
const SERVICE: Duration = Duration::from_millis(1);
/// The bound of the 95th percentile.
const BOUND: Duration = Duration::from_millis(10);
const CONNECTIONS: u32 = 10;
/// Bytes of a request and of its answer.
const MESSAGE: usize = 16;

/// How long requests are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Fixed,
    Exponential,
}

impl Service {
    /// The highest rate with p95 at or under [`BOUND`].
    fn truth(self) -> f64 {
        let mu = 1.0 / SERVICE.as_secs_f64();
        match self {
            Service::Fixed => mu,
            Service::Exponential => {
                let one_less_sigma = 20f64.ln() / (mu * BOUND.as_secs_f64());
                -mu * one_less_sigma / (1.0 - one_less_sigma).ln()
            }
        }
    }
}

pub fn measure(subject: &Subject, effort: Effort) -> (Vec<Grid>, bool) {
    let at_most = if effort.quick { 20 } else { 60 };
    let head = [
        "server",
        "true rate",
        "held – broke",
        "held / true",
        "confidence",
        "took",
        "ending",
    ];
    let mut grid = Grid {
        title: "Search for the highest rate".to_owned(),
        about: format!(
            "`throng load -c {CONNECTIONS} -m xxxxxxxxxxxxxxxx --latency-echo -r @10ms --hold {at_most}s` against \
             a server of the harness with one queue and a service time of 1 ms: fixed (D/D/1: the true rate \
             is the server's), and exponential with that mean (D/M/1: the rate at which p95 of the time in \
             the system is 10 ms)."
        ),
        head: head.map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    let mut all_ran = true;
    for service in [Service::Fixed, Service::Exponential] {
        if stopped() {
            break;
        }
        let name = match service {
            Service::Fixed => "fixed, 1 ms",
            Service::Exponential => "exponential, mean 1 ms",
        };
        let row = one(subject, service, at_most);
        let (row, ran) = cells(&format!("{NAME} {name}"), head.len() - 1, row);
        all_ran &= ran;
        grid.rows
            .push(std::iter::once(name.to_owned()).chain(row).collect());
    }
    (vec![grid], all_ran)
}

fn one(subject: &Subject, service: Service, at_most: u32) -> Result<Vec<String>, String> {
    let at = serve(service)?;
    let arguments = format!(
        "load -c {CONNECTIONS} -m {} --latency-echo -r @{}ms --hold {at_most}s {at}",
        "x".repeat(MESSAGE),
        BOUND.as_millis()
    );
    let said = subject.run(&arguments, CONNECTIONS)?;
    let found = said
        .search
        .ok_or_else(|| format!("throng found nothing: {:?}", said.findings))?;
    let truth = service.truth();
    let rate = |r: Option<f64>| r.map_or("–".to_owned(), |r| format!("{r:.0}/s"));
    let held = found.held_per_s;
    Ok(vec![
        format!("{truth:.0}/s"),
        format!("{} – {}", rate(held), rate(found.broke_per_s)),
        held.map_or("–".to_owned(), |held| format!("{:.3}", held / truth)),
        format!("{:.0} %", found.confidence * 100.0),
        format!("{} trials, {:.0} s", found.trials, said.seconds),
        found.ending.replace('_', " "),
    ])
}

/// A request: when it arrived, and where its answer goes.
type Request = (Instant, Arc<Mutex<TcpStream>>);

/// Listens on a port of 127.0.0.1; serves until this program ends.
fn serve(service: Service) -> Result<SocketAddr, String> {
    let cannot = |e: std::io::Error| format!("the server with a queue can't listen: {e}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot)?;
    let at = listener.local_addr().map_err(cannot)?;
    let (queue, requests) = channel();
    thread::spawn(move || answer(&requests, service));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let queue = queue.clone();
            thread::spawn(move || read(stream, &queue));
        }
    });
    Ok(at)
}

/// Puts each request into the queue.
fn read(stream: TcpStream, queue: &Sender<Request>) {
    let Ok(answers) = stream.try_clone() else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let answers = Arc::new(Mutex::new(answers));
    let (mut stream, mut over) = (stream, 0);
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let now = Instant::now();
        over += n;
        for _ in 0..over / MESSAGE {
            if queue.send((now, Arc::clone(&answers))).is_err() {
                return;
            }
        }
        over %= MESSAGE;
    }
}

/// Serves requests one by one. Each is done one service time after it arrived or, if that is later, after the previous
/// one was due to be done. A thread that wakes late delays that request, but not the next one.
fn answer(requests: &Receiver<Request>, service: Service) {
    let mut free = Instant::now();
    let mut dice = 0x9e37_79b9_7f4a_7c15u64;
    while let Ok((came, to)) = requests.recv() {
        let takes = match service {
            Service::Fixed => SERVICE,
            Service::Exponential => SERVICE.mul_f64(exponential(&mut dice)),
        };
        free = free.max(came) + takes;
        let left = free.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            thread::sleep(left);
        }
        if let Ok(mut to) = to.lock() {
            let _ = to.write_all(&[b'x'; MESSAGE]); // its reader notices if it is gone
        }
    }
}

/// The next of a sequence of exponential numbers with mean 1 (by xorshift64*).
fn exponential(state: &mut u64) -> f64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
    -((bits as f64 + 0.5) / (1u64 << 53) as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_rate_solves_the_queues_equation() {
        let (mu, lambda) = (1000.0, Service::Exponential.truth());
        let s = 20f64.ln() / (mu * 0.010);
        let sigma = 1.0 - s;
        assert!((sigma - (-mu * s / lambda).exp()).abs() < 1e-12);
        assert!((lambda - 841.3).abs() < 0.5, "{lambda}");
    }

    /// The queue itself, simulated with even arrivals at the true rate.
    #[test]
    fn at_the_true_rate_the_simulated_percentile_is_the_bound() {
        let lambda = Service::Exponential.truth();
        let mut dice = 1u64;
        let (mut free, mut times) = (0.0f64, Vec::new());
        for i in 0..400_000 {
            let came = f64::from(i) / lambda;
            free = free.max(came) + exponential(&mut dice) / 1000.0;
            times.push(free - came);
        }
        times.sort_by(f64::total_cmp);
        let p95 = times[times.len() * 95 / 100];
        assert!((p95 - 0.010).abs() < 0.0004, "{p95}");
    }

    #[test]
    fn exponential_numbers_have_mean_and_variance_one() {
        let mut dice = 7u64;
        let n = 200_000;
        let all: Vec<f64> = (0..n).map(|_| exponential(&mut dice)).collect();
        let mean = all.iter().sum::<f64>() / f64::from(n);
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }
}
