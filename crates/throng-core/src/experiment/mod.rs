//! The arithmetic of experiments: what several runs say together, and how sure that is. Pure: numbers in, numbers out,
//! and where chance is needed, a seed.
//!
//! [`median`], [`trimmed_mean`] and [`Spread`] describe rounds of one thing. [`mann_whitney`], [`van_elteren`], [`Shift`] and
//! [`holm`] tell two things apart. [`usl`] and [`knee`] find the bend of a curve, [`change_points`] the steps of a series.
//!
//! The unit is the round, one run of one process: answers of one run are correlated, so a test on pooled answers finds
//! differences where there are none.

mod bootstrap;
mod centre;
mod change_points;
pub mod compare;
mod holm;
mod kneedle;
mod rank_sum;
mod shift;
mod special;
pub mod sweep;
mod usl;
mod van_elteren;

pub use bootstrap::{interval as bootstrap_interval, resampled};
pub use centre::{Spread, mean, median, quantile, trimmed_mean};
pub use change_points::{ChangePoint, ChangePoints, LEAST_P, Side, change_points};
pub use holm::{holm, least_rounds};
pub use kneedle::{Bend, knee};
pub use rank_sum::{RankSum, mann_whitney};
pub use shift::Shift;
pub use usl::{Estimate, Peak, Usl, UslError, UslFit, usl};
pub use van_elteren::{Stratum, VanElteren, van_elteren};
