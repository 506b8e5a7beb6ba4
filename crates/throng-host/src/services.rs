//! Ports by the names of services: /etc/services.

use std::io;

/// The port of the TCP service `name` (or an alias of it); `None` if there is no such service.
///
/// # Errors
/// /etc/services can't be read; Debian's package `netbase` has it.
pub fn tcp_port(name: &str) -> io::Result<Option<u16>> {
    let table = std::fs::read("/etc/services")?;
    Ok(find(&String::from_utf8_lossy(&table), name))
}

/// The port in the text of such a table: `name port/protocol aliases... # remark`.
fn find(table: &str, name: &str) -> Option<u16> {
    table.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (first, port) = (words.next()?, words.next()?);
        let port = port.strip_suffix("/tcp")?.parse().ok()?;
        (first == name || words.any(|alias| alias == name)).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_name_and_alias() {
        let table = "\
# Network services, Internet style
echo\t\t7/tcp
echo\t\t7/udp
discard\t\t9/tcp\t\tsink null
domain\t\t53/udp
http\t\t80/tcp\t\twww\t\t# WorldWideWeb HTTP
nonsense
bad\t\tx/tcp
";
        for (name, port) in [
            ("echo", Some(7)),
            ("null", Some(9)),
            ("www", Some(80)),
            ("http", Some(80)),
            ("domain", None),
            ("WorldWideWeb", None),
            ("nonsense", None),
            ("bad", None),
            ("", None),
        ] {
            assert_eq!(find(table, name), port, "{name}");
        }
    }
}
