//! The sweep on a page while it lasts (`--web`).

use crate::Failure;
use crate::live_page::{LivePage, Place};
use std::collections::BTreeMap;
use throng_core::experiment::sweep::{Due, Plan, SweepResult, Trial};
use throng_report::html;

/// The page, if it was asked for. It is drawn between trials, which nothing may disturb.
pub(super) struct Live(Option<LivePage>);

impl Live {
    /// Serves the page, whose finished trials are those of `result`.
    pub fn begin(
        place: Option<Place>,
        result: impl FnOnce() -> SweepResult,
    ) -> Result<Live, Failure> {
        let page =
            place.map(|place| place.serve(html::of_sweep_so_far(&result(), "about to begin")));
        Ok(Live(page.transpose()?))
    }

    /// The sweep is doing something else `now`.
    pub fn doing(&self, result: impl FnOnce() -> SweepResult, now: &str) {
        if let Some(page) = &self.0 {
            page.show(html::of_sweep_so_far(&result(), now));
        }
    }

    /// The sweep has ended, with this result.
    pub fn end(&self, result: &SweepResult) {
        if let Some(page) = &self.0 {
            page.show(html::of_ended_sweep(result));
            page.end();
        }
    }
}

/// The result of `plan`, of which these trials are finished.
pub(super) fn so_far(plan: &Plan, finished: &BTreeMap<u32, (Due, Trial)>) -> SweepResult {
    let finished: Vec<_> = finished.values().cloned().collect();
    SweepResult::of(plan.clone(), &finished)
}
