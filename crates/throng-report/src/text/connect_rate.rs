//! The most new connections per second, as a search has found them.

use super::section::Section;
use crate::human::{self, count};
use throng_core::summary::Summary;

pub(super) fn connect_rate(summary: &Summary) -> Section {
    let mut all = Section::titled("Connect rate");
    let Some(found) = &summary.connect_rate else {
        return all;
    };
    if let Some(per_s) = found.per_s {
        all.number(
            "held",
            human::rate(per_s),
            "new connections, none lost or late",
        );
    }
    if let Some(broke) = found.broke_per_s {
        let why = found.broke_by.map_or("", |why| why.words());
        all.number("broke", human::rate(broke), why);
    }
    let each = format!("of {} connections", count(found.connections));
    all.number("trials", count(found.tried.len() as u64), &each);
    all
}
