//! What a watched system under test took, and what follows for more connections.

use super::section::Section;
use crate::human::{self, bytes, count};
use throng_core::summary::Summary;
use throng_core::watched::WatchedSummary;

pub(super) fn watched(summary: &Summary) -> Section {
    let mut all = Section::named("System under test (--watch)", "Watched");
    for system in &summary.watched {
        add(system, &mut all);
    }
    all
}

/// The rows of one system: its sentence first.
pub(crate) fn add(w: &WatchedSummary, all: &mut Section) {
    all.prose("", &w.text);
    if w.readings == 0 {
        return;
    }
    if let Some(ended) = &w.ended {
        let at = w.ended_at_s.unwrap_or(w.seconds);
        // The label has said the first word.
        let known = ["ended", "was"]
            .iter()
            .find_map(|said| ended.strip_prefix(said));
        let how = known.unwrap_or(ended).trim_start();
        all.bad("ended", human::seconds(at), how);
    }
    if let Some(peak) = w.connections_peak {
        let before = w.connections_before.unwrap_or(0);
        let remark = format!("at most; {} at first", count(before));
        all.number("connections", count(peak), &remark)
            .in_full_only();
    }
    let grown = |before: u64, each: Option<f64>| {
        let each = each.map(|n| format!(", {} per connection", bytes(n.max(0.0).round() as u64)));
        format!("{} before{}", bytes(before), each.unwrap_or_default())
    };
    let remark = grown(w.rss_bytes_before, w.rss_bytes_per_connection);
    all.number("memory (RSS)", bytes(w.rss_bytes_peak), &remark);
    let remark = format!("{} before; no file's", bytes(w.anon_bytes_before));
    all.number("anonymous", bytes(w.anon_bytes_peak), &remark)
        .in_full_only();
    if let (Some(peak), Some(before)) = (w.kernel_bytes_peak, w.kernel_bytes_before) {
        let mut remark = grown(before, w.kernel_bytes_per_connection);
        remark += match w.socket_bytes_read {
            true => ", by the sizes of its sockets",
            false => ", by the sizes of sockets on Linux 6.18",
        };
        all.number("kernel memory", bytes(peak), &remark);
    }
    if let (Some(margin), Some(each)) = (w.margin_bytes, w.bytes_per_connection) {
        let remark = format!(
            "give or take {}, from {} readings",
            bytes(margin.round() as u64),
            count(w.readings)
        );
        all.number("per connection", bytes(each.round() as u64), &remark)
            .in_full_only();
    }
    if let Some(available) = w.memory_available_bytes {
        let of = match &w.memory_cgroup {
            Some(_) => "at first, in its cgroup",
            None => "at first, on the machine",
        };
        all.number("memory left", bytes(available), of)
            .in_full_only();
    }
    descriptors(w, all);
    all.number("processes", count(w.processes), &w.names.join(", "))
        .in_full_only();
    all.number("threads", count(w.threads), "").in_full_only();
    let parts = format!(
        "{} user, {} system",
        human::seconds(w.cpu_user_s),
        human::seconds(w.cpu_system_s)
    );
    // The kernel tells it in hundredths of a second, of each kind.
    match w.cpu_user_s + w.cpu_system_s {
        0.0 => {
            all.number("CPU", "< 20 ms".into(), "of each process");
        }
        used => all
            .number("CPU", human::seconds(used), &parts)
            .without_remark(),
    }
    if w.softirq_peak > 0.0 {
        let share = |share: f64| human::percent(share, 1.0).unwrap_or_default();
        let most = format!("of the machine; {} at most", share(w.softirq_peak));
        all.number("soft interrupts", share(w.softirq_mean), &most)
            .in_full_only();
    }
    if w.listeners > 0 {
        let remark = format!("waited at most, of {}", count(w.queue_limit));
        all.number("accept queue", count(w.queue_waiting_peak), &remark)
            .in_full_only();
    }
    if w.queue_full > 0 {
        let remark = "readings with a full accept queue";
        all.odd("queue full", count(w.queue_full), remark);
    }
    if w.overflows > 0 {
        let remark = "of TCP's accept queues in its network namespace";
        all.odd("overflows", count(w.overflows), remark);
    }
    // Some are no loss, such as a packet that came twice, or the reset of a handshake that its client gave up. So they say something
    // beside an overflow only.
    if w.dropped > 0 && w.overflows > 0 {
        all.number("dropped", count(w.dropped), "packets, by its listeners")
            .in_full_only();
    }
    for what in &w.unread {
        all.prose("not read", what);
    }
}

fn descriptors(w: &WatchedSummary, all: &mut Section) {
    let Some(fullest) = w.descriptors_fullest else {
        return;
    };
    let which = if w.processes > 1 {
        " in the fullest process"
    } else {
        ""
    };
    match w.descriptor_limit {
        Some(limit) if fullest >= limit => {
            let remark = format!("of {}{which}", count(limit));
            all.bad("descriptors", count(fullest), &remark);
        }
        Some(limit) => {
            let remark = format!("of {}{which}", count(limit));
            all.number("descriptors", count(fullest), &remark);
        }
        None => {
            let remark = format!("of any number{which}");
            all.number("descriptors", count(fullest), &remark);
        }
    }
}
