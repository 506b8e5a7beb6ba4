//! systemd: a drop-in for a service.

use super::sample::{Sample, comment, head, rest_of_system};
use crate::human::{count, things};
use std::fmt::Write;
use throng_core::tune::wanted_files;

pub(super) fn configuration(sample: &Sample) -> String {
    let files = wanted_files(&sample.ask);
    let mut text = head("A service", sample, "systemd-analyze verify NAME.service");
    text += &comment(
        "Write it to /etc/systemd/system/NAME.service.d/connections.conf, then run systemctl daemon-reload and restart the service.",
    );
    text += "[Service]\n";
    text += &comment(&format!(
        "Open files: {}, and {} for others. fs.nr_open bounds it.",
        things(sample.ask.ends(), "socket"),
        count(files - sample.ask.ends())
    ));
    let _ = writeln!(text, "LimitNOFILE={files}");
    text += &comment(&format!(
        "Tasks: the default is 15 % of the machine's. A server with a thread or process for each connection needs {}; one with an \
         event loop needs no more than the default:",
        count(sample.connections())
    ));
    let _ = writeln!(
        text,
        "# TasksMax={}",
        sample.connections().saturating_add(1024)
    );
    text += &comment(
        "MemoryMax= of the service counts the kernel's memory for its sockets, too: some 3.5 KiB each, and what waits in their buffers.",
    );
    text + &rest_of_system(sample)
}
