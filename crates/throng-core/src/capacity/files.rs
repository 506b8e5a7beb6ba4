//! Limits on open files: of throng's process, and of the whole machine.

use super::case::Case;
use super::limit::{Lift, Limit, LimitKind};
use crate::host::Host;
use crate::human::count;

/// Slots in one ring's file table: small enough for any usual limit, large enough that a million connections need only
/// 62 rings.
const RING_SLOTS: u32 = 16_384;
/// A file that is open for a moment: /proc/meminfo is read while connections are opened.
const TRANSIENT: u64 = 1;

/// Slots in one ring's file table, which the hard limit bounds, too. It is a power of two, so that finding a connection
/// takes no division.
pub(crate) fn ring_slots(host: &Host) -> u32 {
    1 << host.files.hard.clamp(1, RING_SLOTS.into()).ilog2()
}

/// Files that throng has open besides connections and rings, including those at its start.
fn own(case: &Case) -> u64 {
    if case.proxy {
        return 0;
    }
    let workers = u64::from(case.workers);
    let loops = workers * case.engine.files_per_worker(case.ends_own);
    // `load --self` has a listener for each worker.
    let listeners = match (case.ends_own, case.connects()) {
        _ if case.question.relays => u64::from(case.question.listeners),
        (2, _) => workers,
        (_, false) => u64::from(case.question.listeners),
        (_, true) => 0,
    };
    // If the target listens on this machine, each worker asks by netlink how full the accept queue is.
    let targets = &case.question.targets;
    let probes = match targets.iter().any(|t| case.host.has_address(t.ip())) {
        true => workers,
        false => 0,
    };
    let floods = match case.question.relays {
        true => workers * case.engine.floods_per_worker() * case.engine.files_per_flood(),
        false => 0,
    };
    case.host.files.open + loops + floods + listeners + probes + TRANSIENT
}

pub(super) fn limits(case: &Case) -> [Limit; 2] {
    [open_files(case), system_files(case)]
}

fn open_files(case: &Case) -> Limit {
    const KIND: LimitKind = LimitKind::OpenFiles;
    let files = &case.host.files;
    let own = own(case);
    let spare = files.hard.saturating_sub(own);
    let source = format!(
        "RLIMIT_NOFILE: soft {}, hard {} (throng raises the soft limit itself)",
        limit(files.soft),
        limit(files.hard)
    );
    let goal = case.goal(u64::MAX);
    match case.engine.files_per_end() {
        0 => {
            let slots = u64::from(ring_slots(case.host));
            let workers = u64::from(case.workers);
            // Each worker fills rings of its own, and all hold equally many connections.
            let rings_each = spare / (case.ends_own * workers);
            let value = format!(
                "the hard limit on open files is {}; it bounds each of io_uring's tables ({} sockets) separately, and {} tables can be open",
                limit(files.hard),
                count(slots),
                count(spare)
            );
            let allows = rings_each.saturating_mul(slots).saturating_mul(workers);
            let rings = goal
                .saturating_mul(case.ends_own)
                .div_ceil(slots)
                .saturating_add(own + case.ends_own * workers);
            Limit::held(KIND, allows, value, source).lifted(raise(case.host, rings))
        }
        files_per_end => {
            let value = match case.proxy {
                true => format!(
                    "the hard limit on open files is {}, and a proxy needs two per connection",
                    limit(files.hard)
                ),
                false => format!(
                    "the hard limit on open files is {}; the epoll engine needs one per end of a connection, and throng itself {}",
                    limit(files.hard),
                    count(own)
                ),
            };
            let each = files_per_end * case.ends_own;
            let needed = goal.saturating_mul(each).saturating_add(own);
            let mut lifts = Vec::new();
            if case.host.uring.unusable.is_none() && !case.proxy {
                lifts.push(
                    Lift::by("use the engine that it does not limit").command("--engine uring"),
                );
            }
            lifts.extend(raise(case.host, needed));
            Limit::held(KIND, spare / each, value, source).lifted(lifts)
        }
    }
}

/// Ways to raise the hard limit to `needed`, or as far as possible.
fn raise(host: &Host, needed: u64) -> Vec<Lift> {
    let (to, command) = raised(host, needed);
    vec![
        Lift::by("raise the hard limit (ulimit -Hn) of this shell").command(command),
        Lift::by(format!(
            "LimitNOFILE={to} in a systemd unit, --ulimit nofile={to}:{to} for a container"
        )),
    ]
}

/// The limit to raise this shell's to, so that `needed` files fit, and the command for it.
pub(super) fn raised(host: &Host, needed: u64) -> (u64, String) {
    let most = host.files.nr_open.unwrap_or(1 << 20);
    let to = if needed > (1 << 40) {
        most
    } else {
        needed
            .max(host.files.hard.saturating_add(1))
            .next_multiple_of(1000)
    };
    let mut command = format!("sudo prlimit --pid $$ --nofile={to}:{to}");
    if to > most {
        command = format!("sudo sysctl -w fs.nr_open={to} && {command}");
    }
    (to, command)
}

fn system_files(case: &Case) -> Limit {
    const KIND: LimitKind = LimitKind::SystemFiles;
    let files = &case.host.files;
    let (Some(max), Some(open)) = (files.file_max, files.file_nr) else {
        return Limit::unread(KIND, case.host, "fs.file-nr");
    };
    let source = "fs.file-max, fs.file-nr";
    // systemd sets it to the greatest number.
    if max >= i64::MAX as u64 {
        return Limit::free(KIND, "fs.file-max is at its maximum", source);
    }
    let needed = case
        .goal(max.saturating_mul(2) / case.ends_here)
        .saturating_mul(case.ends_here)
        .saturating_add(open)
        .next_multiple_of(1000);
    Limit::held(
        KIND,
        max.saturating_sub(open) / case.ends_here,
        format!(
            "{} files for all processes, {} open; sockets in io_uring's tables count (root is exempt)",
            count(max),
            count(open)
        ),
        source,
    )
    .unsure()
    .lifted([Lift::by("raise it").command(format!("sudo sysctl -w fs.file-max={needed}"))])
}

/// A limit, as ulimit prints it.
fn limit(n: u64) -> String {
    match n {
        u64::MAX => "unlimited".into(),
        n => count(n),
    }
}
