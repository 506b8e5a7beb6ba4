//! Whether the gaps between messages of `--arrivals poisson` are exponential, by the test of Kolmogorov
//! and Smirnov, on arrival times that the harness's own receiver took.

use super::grid::{Grid, cells, short};
use super::receiver::{MESSAGE, Receiver};
use super::subject::Subject;
use crate::process::stopped;
use crate::suite::Effort;

/// As `--only` calls it.
pub const NAME: &str = "accuracy-poisson";

/// Messages per second in all.
const RATES: [f64; 5] = [100.0, 300.0, 1e3, 3e3, 10e3];
const CONNECTIONS: u32 = 10;
/// The statistic of n gaps exceeds this / √n in 5 % of all samples of the very distribution (Kolmogorov;
/// the rate is the one that was asked for, not estimated from the sample).
const CRITICAL_5: f64 = 1.358;

pub fn measure(subject: &Subject, effort: Effort) -> (Vec<Grid>, bool) {
    let seconds = if effort.quick { 5 } else { 15 };
    let head = [
        "arrivals asked",
        "gaps",
        "mean gap",
        "standard deviation",
        "largest distance D",
        "critical at 5 %",
        "exponential",
    ];
    let mut grid = Grid {
        title: "Poisson arrivals".to_owned(),
        about: format!(
            "Gaps between arrivals at a receiver of the harness, in units of the mean gap asked for (an \
             exponential distribution has mean 1 and deviation 1), against the exponential distribution by \
             Kolmogorov–Smirnov. `throng load -c {CONNECTIONS} -m xxxxxxxxxxxxxxxx --rate RATE --arrivals \
             poisson --hold {seconds}s`. Uniform arrivals for comparison: they must fail."
        ),
        head: head.map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    let mut all_ran = true;
    let uniform = std::iter::once((RATES[0], "uniform"));
    for (rate, how) in RATES.map(|r| (r, "poisson")).into_iter().chain(uniform) {
        if stopped() {
            break;
        }
        let what = format!("{how}, {}/s", short(rate));
        let row = gaps(subject, rate, how, seconds).map(|g| test(&g));
        let (row, ran) = cells(&format!("{NAME} {what}"), head.len() - 1, row);
        all_ran &= ran;
        grid.rows.push(std::iter::once(what).chain(row).collect());
    }
    (vec![grid], all_ran)
}

/// The gaps, in units of the mean asked for.
fn gaps(subject: &Subject, rate: f64, how: &str, seconds: u32) -> Result<Vec<f64>, String> {
    let receiver = Receiver::start(CONNECTIONS)?;
    let message = "x".repeat(MESSAGE);
    subject.run(
        &format!(
            "load -c {CONNECTIONS} -m {message} --rate {rate} --arrivals {how} --hold {seconds}s {}",
            receiver.address()
        ),
        CONNECTIONS,
    )?;
    let at = receiver.arrivals()?;
    let gaps = at.windows(2).map(|w| (w[1] - w[0]).as_secs_f64() * rate);
    let gaps: Vec<f64> = gaps.collect();
    match gaps.is_empty() {
        true => Err("nothing arrived".to_owned()),
        false => Ok(gaps),
    }
}

fn test(gaps: &[f64]) -> Vec<String> {
    let n = gaps.len() as f64;
    let mean = gaps.iter().sum::<f64>() / n;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
    let (d, critical) = (distance(gaps), CRITICAL_5 / n.sqrt());
    vec![
        format!("{n}"),
        format!("{mean:.3}"),
        format!("{:.3}", variance.sqrt()),
        format!("{d:.4}"),
        format!("{critical:.4}"),
        if d <= critical { "yes" } else { "no" }.to_owned(),
    ]
}

/// The largest distance between the sample's distribution and the exponential one with mean 1.
fn distance(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let at = |(i, x): (usize, &f64)| {
        let expected = 1.0 - (-x).exp();
        let (below, upto) = (i as f64 / n, (i + 1) as f64 / n);
        (expected - below).abs().max((upto - expected).abs())
    };
    sorted.iter().enumerate().map(at).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of the distribution itself are as near to it as n points can be.
    #[test]
    fn quantiles_of_the_exponential_distribution_are_at_half_a_step() {
        let n = 1000;
        let sample: Vec<f64> = (0..n)
            .map(|i| -(1.0 - (f64::from(i) + 0.5) / f64::from(n)).ln())
            .collect();
        assert!((distance(&sample) - 0.0005).abs() < 1e-9);
        assert_eq!(test(&sample)[5], "yes");
    }

    #[test]
    fn equal_gaps_are_far_from_exponential() {
        // F(1) = 1 - 1/e: everything below it is missing.
        let d = distance(&[1.0; 500]);
        assert!((d - (1.0 - (-1.0f64).exp())).abs() < 1e-9, "{d}");
        assert_eq!(test(&[1.0; 500])[5], "no");
    }
}
