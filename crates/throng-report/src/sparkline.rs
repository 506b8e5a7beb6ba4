//! Bars made of characters: a row of small ones shows a value over time in one line, and a long one a share.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `points` (the end of an interval in seconds, the mean value over it) as at most `cells` bars of equal time, and the
/// greatest value, which has the tallest bar. `None` if there is too little to see.
pub(crate) fn sparkline(points: &[(f64, f64)], cells: usize) -> Option<(String, f64)> {
    let cells = cells.min(points.len());
    let end = points.last()?.0;
    if cells < 4 || !end.is_finite() || end <= 0.0 {
        return None;
    }
    let width = end / cells as f64;
    let mut sums = vec![0.0; cells];
    let mut start = 0.0;
    for &(until, value) in points {
        if !value.is_finite() || until.is_nan() || until <= start {
            continue;
        }
        // The share of this interval that lies in each cell.
        let first = (start / width) as usize;
        for (cell, sum) in sums.iter_mut().enumerate().skip(first) {
            let from = (cell as f64 * width).max(start);
            let to = ((cell + 1) as f64 * width).min(until);
            if to <= from {
                break;
            }
            *sum += value * (to - from) / width;
        }
        start = until;
    }
    let greatest = sums.iter().copied().fold(0.0, f64::max);
    if greatest <= 0.0 {
        return None;
    }
    let bar = |v: f64| BARS[((v / greatest * 8.0).ceil() as usize).clamp(1, 8) - 1];
    Some((sums.into_iter().map(bar).collect(), greatest))
}

/// `values` as bars that stand side by side in `height` lines, the highest first. `greatest` is as high as they go.
pub(crate) fn plot(values: &[f64], greatest: f64, height: usize) -> Vec<String> {
    let eighths = |value: f64| match value > 0.0 && greatest > 0.0 {
        true => ((value / greatest * (height * 8) as f64).ceil() as usize).max(1),
        false => 0,
    };
    let cell = |value: f64, below: usize| match eighths(value).saturating_sub(below * 8) {
        0 => ' ',
        n => BARS[n.min(8) - 1],
    };
    let row = |below: usize| values.iter().map(|v| cell(*v, below)).collect();
    (0..height).rev().map(row).collect()
}

/// A bar of `full` (0 to 1) times `cells`, to an eighth of a cell.
pub(crate) fn bar(full: f64, cells: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (full.clamp(0.0, 1.0) * cells as f64 * 8.0) as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_tall_as_their_values() {
        let points: Vec<(f64, f64)> = (1..=8).map(|n| (f64::from(n), f64::from(n))).collect();
        let (line, greatest) = sparkline(&points, 40).unwrap();
        assert_eq!(line, "▁▂▃▄▅▆▇█");
        assert!((greatest - 8.0).abs() < 1e-9);
    }

    #[test]
    fn many_points_are_joined_and_keep_their_mean() {
        let points: Vec<(f64, f64)> = (1..=600).map(|n| (f64::from(n), 100.0)).collect();
        let (line, greatest) = sparkline(&points, 37).unwrap();
        assert_eq!(line, "█".repeat(37));
        assert!((greatest - 100.0).abs() < 1e-6, "{greatest}");
    }

    #[test]
    fn a_plot_has_a_bar_per_value_and_none_for_zero() {
        assert_eq!(plot(&[0.0, 1.0, 4.0, 8.0], 8.0, 1), [" ▁▄█"]);
        assert_eq!(plot(&[0.0, 0.01, 4.0, 8.0], 8.0, 2), ["   █", " ▁██"]);
        assert_eq!(plot(&[0.0], 0.0, 1), [" "]);
    }

    #[test]
    fn too_little_to_see_is_not_drawn() {
        assert_eq!(sparkline(&[], 40), None);
        assert_eq!(sparkline(&[(1.0, 5.0); 3], 40), None);
        let flat: Vec<(f64, f64)> = (1..=9).map(|n| (f64::from(n), 0.0)).collect();
        assert_eq!(sparkline(&flat, 40), None);
        assert_eq!(sparkline(&[(f64::NAN, 1.0); 9], 40), None);
    }
}
