//! Simulated servers whose highest rate under a bound is known, for the tests and for `examples/search_accuracy.rs`.

use super::{Observation, Slice, Terms};
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::time::Duration;

/// A server with one queue: it serves messages in order, and each takes some time. The next trial starts with the queue
/// that a trial leaves behind.
pub struct Server {
    pub service: Service,
    /// Whether messages arrive at even intervals instead of at random.
    pub even: bool,
    /// Mean time between stalls, and how long one lasts, in seconds.
    pub stalls: Option<(f64, f64)>,
    /// Mean of an exponential delay on the way, in seconds.
    pub jitter: f64,
    /// The most messages that the client sends per second.
    pub client: f64,
    pub dice: u64,
    pub now: f64,
    pub free: f64,
    pub next_stall: f64,
    /// Answers in flight: when they arrive, and their latency.
    pub coming: VecDeque<(f64, f64)>,
}

#[derive(Clone, Copy)]
pub enum Service {
    /// Always this long.
    Fixed(f64),
    /// Exponentially distributed with this mean.
    Random(f64),
    /// Lognormal with this mean, and four times the variance of an exponential one.
    Lognormal(f64),
    /// Any number at once, each this long.
    Endless(f64),
}

impl Server {
    pub fn new(service: Service, seed: u64) -> Server {
        Server {
            service,
            even: false,
            stalls: None,
            jitter: 0.0,
            client: f64::INFINITY,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now: 0.0,
            free: 0.0,
            next_stall: 0.0,
            coming: VecDeque::new(),
        }
    }

    /// A number evenly distributed above 0 and up to 1.
    fn share(&mut self) -> f64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        let bits = self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        (bits + 1) as f64 / (1u64 << 53) as f64
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    fn lognormal(&mut self, mean: f64) -> f64 {
        let variance = 5f64.ln();
        // Box and Muller.
        let normal = (-2.0 * self.share().ln()).sqrt() * (TAU * self.share()).cos();
        mean * (variance.sqrt() * normal - variance / 2.0).exp()
    }

    fn gap(&mut self, rate: f64) -> f64 {
        match self.even {
            true => 1.0 / rate,
            false => self.exponential(1.0 / rate),
        }
    }

    pub fn run(
        &mut self,
        rate: f64,
        (settle, measure, slices): (Duration, Duration, u32),
        terms: &Terms,
    ) -> Observation {
        let from = self.now + settle.as_secs_f64();
        let until = from + measure.as_secs_f64();
        let sent_rate = rate.min(self.client);
        let mut sent = 0u32;
        let mut at = self.now + self.gap(sent_rate);
        while at < until {
            if let Some((every, lasts)) = self.stalls {
                while self.next_stall < at {
                    self.free = self.free.max(self.next_stall) + lasts;
                    self.next_stall += self.exponential(every);
                }
            }
            let done = match self.service {
                Service::Endless(takes) => at + takes,
                Service::Fixed(takes) => self.free.max(at) + takes,
                Service::Random(mean) => self.free.max(at) + self.exponential(mean),
                Service::Lognormal(mean) => self.free.max(at) + self.lognormal(mean),
            };
            self.free = done;
            let jitter = if self.jitter > 0.0 {
                self.exponential(self.jitter)
            } else {
                0.0
            };
            self.coming.push_back((done, done - at + jitter));
            sent += u32::from(at >= from);
            at += self.gap(sent_rate);
        }
        let mut latencies = vec![];
        let mut parts = vec![(0u64, 0u64, 0.0); slices as usize];
        while let Some(&(done, latency)) = self.coming.front()
            && done < until
        {
            if done >= from {
                latencies.push(latency);
                let part = (done - from) / (until - from) * f64::from(slices);
                let part = &mut parts[part as usize];
                part.0 += 1;
                part.1 += u64::from(latency > terms.bound.as_secs_f64());
                part.2 += latency;
            }
            self.coming.pop_front();
        }
        self.now = until;
        latencies.sort_by(f64::total_cmp);
        let seconds = measure.as_secs_f64();
        let rank = (latencies.len() as f64 * terms.percentile / 100.0).ceil() as usize;
        Observation {
            asked_per_s: f64::from(sent) / seconds * rate / sent_rate,
            sent_per_s: f64::from(sent) / seconds,
            answered_per_s: latencies.len() as f64 / seconds,
            unwanted_per_s: 0.0,
            latency: latencies
                .get(rank.saturating_sub(1))
                .map(|s| Duration::from_secs_f64(*s)),
            samples: latencies.len() as u64,
            slices: parts
                .into_iter()
                .map(|(samples, over, sum)| Slice {
                    samples,
                    over,
                    mean: Duration::from_secs_f64(sum / (samples as f64).max(1.0)),
                })
                .collect(),
            broke: None,
        }
    }
}

/// M/M/1: time in the system is exponential with mean 1/(capacity - rate).
pub fn true_rate_of_random(capacity: f64, terms: &Terms) -> f64 {
    let factor = -(1.0 - terms.percentile / 100.0).ln();
    capacity - factor / terms.bound.as_secs_f64()
}

/// M/D/1: P(wait <= t) by Erlang's formula (as in Gross, Harris: Fundamentals of Queueing Theory, on M/D/1).
pub fn true_rate_of_fixed(capacity: f64, terms: &Terms) -> f64 {
    let service = 1.0 / capacity;
    let wait = terms.bound.as_secs_f64() - service;
    let waits_at_most = |rate: f64| -> f64 {
        let mut sum = 0.0;
        let mut factorial = 1.0;
        for j in 0..=(wait / service) as i32 {
            factorial *= f64::from(j.max(1));
            let x = rate * (f64::from(j) * service - wait);
            sum += x.powi(j) / factorial * (-x).exp();
        }
        (1.0 - rate * service) * sum
    };
    let (mut low, mut high) = (0.0, capacity);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if waits_at_most(middle) >= terms.percentile / 100.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// D/M/1: time in the system is exponential with parameter x = capacity (1 - s), where s = exp(-x / rate)
/// (Kleinrock, Queueing Systems I, 6.4).
pub fn true_rate_of_random_for_even(capacity: f64, terms: &Terms) -> f64 {
    let x = -(1.0 - terms.percentile / 100.0).ln() / terms.bound.as_secs_f64();
    -x / (1.0 - x / capacity).ln()
}
