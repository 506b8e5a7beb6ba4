//! Charts: plain data, drawn as SVG beside a table of their numbers.
//!
//! A [`Chart`] says what is to be seen, in numbers with units. [`drawn`] makes HTML of it that needs no script: the plot, the
//! legend, and the table. [`Strips`] put values of several things one above the other. Colours and sizes are the stylesheet's (html/page.css), which also has the chart follow the width
//! of the page; no series is told by its colour alone.

mod plot;
mod scale;
mod strips;
mod table;
mod unit;

pub use plot::drawn;
pub use scale::Scale;
pub use strips::{Strip, Strips, drawn as drawn_strips};
pub use unit::Unit;

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// A part of the horizontal axis that is shaded, and what it is.
    pub shaded: Option<(f64, f64, String)>,
    /// Counts over the plane.
    pub heat: Option<Heat>,
    /// Horizontal lines: a value, and what it is.
    pub levels: Vec<(f64, String)>,
    /// What is drawn over all that, each in a way of its own.
    pub series: Vec<Series>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// What it shows.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// How values are laid out on it.
    pub scale: Scale,
}

impl Axis {
    /// A linear axis.
    pub fn linear(name: impl Into<String>, unit: Unit) -> Axis {
        Axis {
            name: name.into(),
            unit,
            scale: Scale::Linear,
        }
    }

    /// A logarithmic axis.
    pub fn log(name: impl Into<String>, unit: Unit) -> Axis {
        Axis {
            scale: Scale::Log,
            ..Axis::linear(name, unit)
        }
    }
}

/// One of the things that a chart shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// How it is drawn.
    pub kind: Kind,
    /// Its values, in the order of `x` unless they are dots.
    pub points: Vec<Point>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line from point to point.
    Line,
    /// A level from the point before to each point: what was so in between.
    Step,
    /// The same, filled down to the axis.
    Area,
    /// Dots on their own.
    Dots,
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where on the horizontal axis.
    pub x: f64,
    /// The value; `None` if there is none, which interrupts lines.
    pub y: Option<f64>,
    /// The value is a lower bound.
    pub at_least: bool,
    /// Least and greatest of what the value stands for, drawn as a bar.
    pub spread: Option<(f64, f64)>,
}

impl Point {
    /// A value without more to it.
    pub fn new(x: f64, y: Option<f64>) -> Point {
        Point {
            x,
            y,
            at_least: false,
            spread: None,
        }
    }
}

/// Counts over the plane: columns side by side, each with cells one above the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// What is counted, as in "answers".
    pub of: String,
    /// The bounds of the cells on the vertical axis, from the lowest up: one more than a column has cells.
    pub bounds: Vec<f64>,
    /// The columns, from left to right.
    pub columns: Vec<Column>,
}

/// A column of a [`Heat`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its left edge.
    pub from: f64,
    /// Its right edge.
    pub to: f64,
    /// The count of each cell, from the lowest up.
    pub counts: Vec<u64>,
}

impl Chart {
    /// A chart without content.
    pub fn new(name: impl Into<String>, about: impl Into<String>, x: Axis, y: Axis) -> Chart {
        Chart {
            name: name.into(),
            about: about.into(),
            x,
            y,
            shaded: None,
            heat: None,
            levels: Vec::new(),
            series: Vec::new(),
        }
    }

    /// Adds a series.
    pub fn with(
        mut self,
        name: impl Into<String>,
        kind: Kind,
        points: impl IntoIterator<Item = Point>,
    ) -> Chart {
        self.series.push(Series {
            name: name.into(),
            kind,
            points: points.into_iter().collect(),
        });
        self
    }

    /// The horizontal axis with its ends.
    fn across(&self) -> scale::Span {
        let points = self.series.iter().flat_map(|s| &s.points);
        let heat = self.heat.iter().flat_map(|heat| &heat.columns);
        let edges = heat.flat_map(|column| [column.from, column.to]);
        let xs = points.map(|point| point.x).chain(edges);
        scale::Span::of(self.x.scale, self.x.unit, xs, false)
    }

    /// The vertical axis with its ends.
    fn upwards(&self) -> scale::Span {
        let points = self.series.iter().flat_map(|s| &s.points);
        let values = points.flat_map(|point| {
            let (least, greatest) = point.spread.unzip();
            [point.y, least, greatest].into_iter().flatten()
        });
        let levels = self.levels.iter().map(|(value, _)| *value);
        let heat = self
            .heat
            .iter()
            .flat_map(|heat| heat.bounds.iter().copied());
        let all = values.chain(levels).chain(heat);
        scale::Span::of(self.y.scale, self.y.unit, all, true)
    }
}
