//! What the target's server used, where it is on the machine of the run.

use super::section::Section;
use crate::human::{self, count};
use throng_core::summary::Summary;

pub(super) fn server(summary: &Summary) -> Section {
    let mut all = Section::named("Server on this machine", "Server");
    let Some(s) = &summary.server else {
        return all;
    };
    if let Some(n) = s.processes {
        all.number("processes", count(n), &s.names.join(", "));
    }
    let memory = [
        (
            s.pss_bytes_peak,
            s.pss_bytes_before,
            s.pss_bytes_per_connection,
            "memory (PSS)",
        ),
        (
            s.rss_bytes_peak,
            s.rss_bytes_before,
            s.rss_bytes_per_connection,
            "memory (RSS)",
        ),
    ];
    for (peak, before, each, label) in memory {
        let (Some(peak), Some(before)) = (peak, before) else {
            continue;
        };
        let each = each.map(|n| format!(", {} per connection", human::bytes(n.round() as u64)));
        let remark = format!(
            "{} before{}",
            human::bytes(before),
            each.unwrap_or_default()
        );
        let row = all.number(label, human::bytes(peak), &remark);
        if label != "memory (PSS)" && s.pss_bytes_peak.is_some() {
            row.in_full_only();
        }
    }
    match (s.cpu_user_s, s.cpu_system_s) {
        // The kernel tells it in hundredths of a second, of each kind.
        (Some(0.0), Some(0.0)) => {
            all.number("CPU", "< 20 ms".into(), "of each process");
        }
        (Some(user), Some(system)) => {
            let parts = format!(
                "{} user, {} system",
                human::seconds(user),
                human::seconds(system)
            );
            all.number("CPU", human::seconds(user + system), &parts)
                .without_remark();
        }
        _ => {}
    }
    if let Some(open) = s.files_open {
        let of = match (s.file_limit, s.processes) {
            (None, _) => "of any number".into(),
            (Some(limit), Some(2..)) => format!("of {} in the fullest process", count(limit)),
            (Some(limit), _) => format!("of {}", count(limit)),
        };
        match s.file_limit {
            Some(limit) if open >= limit => all.bad("open files", count(open), &of),
            _ => {
                all.number("open files", count(open), &of);
            }
        }
    }
    if s.ended > 0 {
        all.bad("ended", count(s.ended), "of its processes, during the run");
    }
    for what in &s.unread {
        all.prose("not read", what);
    }
    all
}
