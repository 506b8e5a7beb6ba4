//! A plan for people: the answer in the first line, then a row for each limit with what it allows, the source of that
//! number and what lifts it; then warnings, clients, proxies and assumptions. Commands have lines of their own, so that
//! they can be pasted.

use crate::colour::{BAD, GOOD, ODD, PLAIN, TITLE, paint};
use crate::human::{bytes, count, things};
use crate::text::{shell_lines, wrapped};
use std::io::{self, Write};
use throng_core::capacity::{
    Capacity, Clients, Lift, Limit, LimitKind, Measure, Proxies, Role, Warning,
};

/// Columns of a row's mark and label.
const LABEL: usize = 19;
/// Columns of a row's number.
const NUMBER: usize = 13;
/// The column at which a row's text begins.
const WORDS: usize = LABEL + NUMBER + 2;
/// With less room beside its number, a row's text is on lines of its own.
const NARROW: usize = 30;
/// The indents of a remedy and of its command.
const LIFT: usize = 6;
const COMMAND: usize = 8;

/// Writes `capacity` to `out`, in lines of at most `columns`, in colour if `colour`. `here` says that it is about this
/// machine.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_text(
    capacity: &Capacity,
    here: bool,
    out: &mut impl Write,
    columns: usize,
    colour: bool,
) -> io::Result<()> {
    let style = match capacity.fits {
        Some(false) => BAD,
        Some(true) => GOOD,
        None => TITLE,
    };
    let subject = match (&capacity.host, here) {
        (Some(name), false) => name.clone(),
        _ => "this machine".into(),
    };
    let mut page = Page {
        out,
        columns,
        colour,
        asked: capacity.question.asked_here(),
    };
    for line in wrapped(&answer(capacity, &subject), columns) {
        page.line(&line, style)?;
    }
    let others = others(capacity);
    if !others.is_empty() {
        page.prose(0, &others)?;
    }
    page.limits(capacity)?;
    page.warnings(&capacity.warnings)?;
    if let Some(clients) = &capacity.clients {
        page.clients(clients)?;
    }
    if let Some(proxies) = &capacity.proxies {
        page.proxies(proxies)?;
    }
    page.basis(capacity)
}

/// The first line.
fn answer(c: &Capacity, subject: &str) -> String {
    let to = what_for(c);
    let binds = match c.bound_by {
        Some(kind) => format!("; limited first by {}", limiting(kind)),
        None => String::new(),
    };
    let holds = match c.allows {
        Some(n) => format!("{subject} can hold {}{to}{binds}", things(n, "connection")),
        None => format!("nothing that can be read limits the connections of {subject}{to}"),
    };
    let text = match (c.fits, c.question.asked_here()) {
        (Some(fits), Some(asked)) => format!(
            "{}{} {}fit: {holds}",
            things(asked, "connection"),
            match (c.question.proxies, c.question.per_client) {
                (Some(_), _) => " through each proxy",
                (None, Some(_)) if c.question.role == Role::Client => " on each client",
                _ => "",
            },
            if fits { "" } else { "do not " },
        ),
        _ => holds,
    };
    let mut letters = text.chars();
    match letters.next() {
        // A host's name stays as it is.
        Some(first) if !text.starts_with(subject) || subject == "this machine" => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => text,
    }
}

/// Which connections the answer is about.
fn what_for(c: &Capacity) -> String {
    let q = &c.question;
    let targets = match &q.targets[..] {
        [] => String::new(),
        [one] => format!(" to {one}"),
        [one, ..] => format!(" to {one} and {} more", q.targets.len() - 1),
    };
    match (q.role, q.targets.is_empty()) {
        _ if q.proxies.is_some() => match q.targets.is_empty() {
            true => " as a reverse proxy of one backend".into(),
            false => format!("{targets} as a reverse proxy"),
        },
        (Role::Server, _) => " as a server".into(),
        (Role::Both, true) => " with both ends here".into(),
        (Role::Both, false) => format!("{targets} with both ends here"),
        (Role::Client, true) => " as a client of one address and port".into(),
        (Role::Client, false) => targets,
    }
}

/// A limit within a sentence.
fn limiting(kind: LimitKind) -> String {
    match kind {
        LimitKind::FourTuples => "four-tuples (source ports)".into(),
        LimitKind::ProxyPorts
        | LimitKind::SystemFiles
        | LimitKind::CgroupMemory
        | LimitKind::TargetFiles
        | LimitKind::TargetConnections => format!("the {}", kind.words()),
        _ => kind.words().into(),
    }
}

fn others(c: &Capacity) -> String {
    let parts: Vec<String> = c
        .others
        .iter()
        .map(|other| {
            let what = match other.role {
                Role::Server => "as a server",
                Role::Client => "as a client of one address and port elsewhere",
                Role::Both => "with both ends here",
            };
            let by = other
                .bound_by
                .map_or_else(String::new, |kind| format!(" ({})", kind.words()));
            format!(
                "{what} {}{by}",
                other.allows.map_or("any number".into(), count)
            )
        })
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("With one end here: {}.", parts.join("; ")),
    }
}

/// The output, and how it is drawn.
struct Page<'a, W: Write> {
    out: &'a mut W,
    columns: usize,
    colour: bool,
    asked: Option<u64>,
}

impl<W: Write> Page<'_, W> {
    fn line(&mut self, text: &str, style: anstyle::Style) -> io::Result<()> {
        writeln!(self.out, "{}", paint(text, style, self.colour))
    }

    fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out)?;
        self.line(text, TITLE)
    }

    /// Columns after an indent.
    fn room(&self, indent: usize) -> usize {
        self.columns.saturating_sub(indent)
    }

    fn prose(&mut self, indent: usize, text: &str) -> io::Result<()> {
        for line in wrapped(text, self.room(indent)) {
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    /// An item of a list. Its further lines are indented like its text.
    fn item(&mut self, text: &str) -> io::Result<()> {
        for (i, line) in wrapped(text, self.room(4)).iter().enumerate() {
            writeln!(self.out, "{}{line}", if i == 0 { "  - " } else { "    " })?;
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> io::Result<()> {
        for line in shell_lines(command, self.room(COMMAND)) {
            writeln!(self.out, "{:COMMAND$}{line}", "")?;
        }
        Ok(())
    }

    fn limits(&mut self, c: &Capacity) -> io::Result<()> {
        let (held, at_once): (Vec<&Limit>, Vec<&Limit>) =
            c.limits.iter().partition(|l| l.measure == Measure::Held);
        for (title, rows) in [("Limits", held), ("At the same moment", at_once)] {
            if rows.is_empty() {
                continue;
            }
            self.title(&format!(
                "{title:<width$}{:>NUMBER$}",
                "allows",
                width = LABEL
            ))?;
            for (i, limit) in rows.into_iter().enumerate() {
                let first = i == 0 && title == "Limits" && limit.allows.is_some();
                self.limit(limit, first)?;
            }
        }
        Ok(())
    }

    fn limit(&mut self, limit: &Limit, binding: bool) -> io::Result<()> {
        let short = self.asked.is_some_and(|asked| limit.is_short_of(asked));
        let (number, style) = match (limit.allows, &limit.unread) {
            (_, Some(_)) => ("?".into(), ODD),
            (None, _) => ("no limit".into(), PLAIN),
            (Some(n), _) if short => (count(n), BAD),
            (Some(n), _) => (count(n), PLAIN),
        };
        let mark = match (binding, short) {
            (true, _) => ">",
            (false, true) => "!",
            (false, false) => " ",
        };
        let number = paint(&format!("{number:>NUMBER$}"), style, self.colour);
        let label = format!("{mark} {:<width$}", limit.kind.words(), width = LABEL - 2);
        let indent = match self.room(WORDS) < NARROW {
            true => LIFT,
            false => WORDS,
        };
        let mut words = match &limit.unread {
            None => wrapped(&limit.value, self.room(indent)),
            Some(why) => wrapped(&format!("not read: {why}"), self.room(indent)),
        };
        if limit.unread.is_none() {
            words.extend(wrapped(
                &format!("from {}", limit.source),
                self.room(indent),
            ));
        }
        let mut words = words.iter();
        match words.next() {
            Some(beside) if indent == WORDS => {
                writeln!(self.out, "{label}{number}  {beside}")?;
            }
            first => {
                writeln!(self.out, "{label}{number}")?;
                first.map_or(Ok(()), |line| writeln!(self.out, "{:indent$}{line}", ""))?;
            }
        }
        for line in words {
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        // All remedies of a limit that is too low, the best one of each other limit.
        let lifts = match (self.asked, limit.allows.is_some()) {
            (_, false) => 0,
            (Some(_), _) if !short => 0,
            _ if short || binding => limit.lifts.len(),
            _ => limit.lifts.len().min(1),
        };
        for lift in &limit.lifts[..lifts] {
            self.lift(lift)?;
        }
        Ok(())
    }

    fn lift(&mut self, lift: &Lift) -> io::Result<()> {
        let mut text = lift.what.clone();
        if let Some(n) = lift.allows {
            text += &format!(" (allows {})", count(n));
        }
        if lift.command.is_some() {
            text += ":";
        }
        for (i, line) in wrapped(&text, self.room(LIFT + 2)).iter().enumerate() {
            let mark = if i == 0 { "+" } else { " " };
            writeln!(self.out, "{:LIFT$}{mark} {line}", "")?;
        }
        match &lift.command {
            Some(command) => self.command(command),
            None => Ok(()),
        }
    }

    fn warnings(&mut self, warnings: &[Warning]) -> io::Result<()> {
        if warnings.is_empty() {
            return Ok(());
        }
        self.title("Warnings")?;
        for warning in warnings {
            let mut text = warning.text.clone();
            if let Some(remedy) = &warning.remedy {
                text += &format!("; {remedy}");
            }
            if warning.command.is_some() {
                text += ":";
            }
            self.item(&text)?;
            if let Some(command) = &warning.command {
                self.command(command)?;
            }
        }
        Ok(())
    }

    fn clients(&mut self, c: &Clients) -> io::Result<()> {
        self.title("Clients")?;
        let mut text = format!(
            "{} at {} each need {}.",
            things(c.connections, "connection"),
            count(c.each),
            things(c.hosts, "client host")
        );
        if c.last != c.each && c.hosts > 1 {
            text += &format!(" The last one has {}.", count(c.last));
        }
        text += &match c.default_ports_do {
            true => format!(
                " Each needs {} local ports to a target, which Linux's default range has.",
                count(c.ports)
            ),
            false => format!(
                " Each needs {} local ports to a target: more than Linux's default range has (28,232), so widen it there.",
                count(c.ports)
            ),
        };
        self.prose(2, &text)?;
        self.prose(2, "On each of them:")?;
        self.command(&c.command)?;
        self.prose(
            2,
            "Or as containers on this machine, from an image that runs throng (each has its own address):",
        )?;
        self.command(&c.docker)
    }

    fn proxies(&mut self, p: &Proxies) -> io::Result<()> {
        self.title("Behind the proxies")?;
        self.item(&format!(
            "{} x {} x {} ports x {} are {} connections; {} through each proxy.",
            things(p.proxies, "proxy").replace("proxys", "proxies"),
            things(p.addresses_each, "address").replace("addresss", "addresses"),
            count(p.ports),
            things(p.backends, "backend"),
            count(p.allows),
            count(p.per_proxy)
        ))?;
        if let (Some(proxies), Some(backends), Some(addresses)) =
            (p.proxies_needed, p.backends_needed, p.addresses_needed)
        {
            self.item(&format!(
                "For all of them: {} in all with these backends, or {} (address and port) with these proxies, or {} on each proxy.",
                things(proxies, "proxy").replace("proxys", "proxies"),
                things(backends, "backend"),
                things(addresses, "address").replace("addresss", "addresses")
            ))?;
        }
        self.item(&format!(
            "Each proxy has two sockets per connection: {} files and {} of kernel memory.",
            count(p.files_per_proxy),
            bytes(p.memory_per_proxy)
        ))?;
        self.item(
            "A transparent proxy connects from the client's own address and port and does not have this limit. It needs CAP_NET_ADMIN and IP_TRANSPARENT (nginx: proxy_bind $remote_addr transparent; haproxy: source 0.0.0.0 usesrc clientip), the backends must send their answers through it, and it must accept them:",
        )?;
        for command in &p.transparent {
            self.command(command)?;
        }
        Ok(())
    }

    /// What the numbers assume.
    fn basis(&mut self, c: &Capacity) -> io::Result<()> {
        self.title("Assumptions")?;
        let mut engine = format!(
            "engine {}, {}, Linux {}",
            c.engine.name(),
            things(c.workers.into(), "worker"),
            c.kernel
        );
        if let Some(why) = &c.why_epoll {
            engine += &format!("; io_uring can't be used: {why}");
        }
        self.prose(2, &engine)?;
        let mut memory = format!(
            "per connection: {} bytes in the kernel ({}), {} in throng",
            count(c.bytes.kernel),
            c.bytes.source,
            count(c.bytes.user)
        );
        if c.question.tls {
            memory += ", most of it for TLS";
        }
        if c.bytes.until_ticket > 0 {
            memory += &format!(
                " ({} until its server has sent a ticket or data)",
                count(c.bytes.until_ticket)
            );
        }
        if c.bytes.buffers > 0 {
            memory += &format!(", {} in socket buffers", count(c.bytes.buffers));
        }
        memory += &format!(
            "; plus {} for all connections together",
            bytes(c.bytes.fixed)
        );
        self.prose(2, &memory)
    }
}
