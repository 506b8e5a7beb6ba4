//! The search for the window over which connections have to come back, instead of a hold.

use super::Run;
use throng_core::human;
use throng_core::observer::Note;
use throng_core::record::{Mark, Phase};
use throng_core::storm::{WindowSearch, WindowTrial};

impl Run<'_> {
    /// Makes storms until the smallest window is found over which all connections come back without a drop.
    pub(super) fn find_window(&mut self) -> Mark {
        let mut search = WindowSearch::default();
        while let Some(window) = search.next() {
            let began = self.mark();
            let control = self.watch.control.clone();
            self.storming.drop_all(&began, &control, window);
            let until = began.at + window + self.patience();
            let goes_on = loop {
                let (mark, goes_on) = self.step(Phase::Holding, None, Some(until));
                if !goes_on || mark.at >= until || !self.storming.is_under_way() {
                    break goes_on;
                }
            };
            let Some(storm) = self.storming.take_last() else {
                break;
            };
            if !goes_on {
                break;
            }
            let trial = WindowTrial::of(window, &storm);
            search.tried(trial);
            self.watch.note(&Note::Trial(line(&trial)));
        }
        self.ending.window = Some(search.found());
        self.mark()
    }
}

/// What came of a storm, for people.
fn line(trial: &WindowTrial) -> String {
    let window = human::seconds(trial.window_ms as f64 / 1e3);
    let parts = [
        (trial.failed, "attempts failed"),
        (trial.syns_dropped, "SYNs dropped"),
        (trial.syns_retried, "SYNs retried"),
        (trial.lost_again, "lost again"),
        (trial.missing, "not back"),
    ];
    let parts = parts.into_iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = parts
        .map(|(n, what)| format!("{} {what}", human::count(n)))
        .collect();
    match parts.is_empty() {
        true => format!("window {window}: clean"),
        false => format!("window {window}: {}", parts.join(", ")),
    }
}
