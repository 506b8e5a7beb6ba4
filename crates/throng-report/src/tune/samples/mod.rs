//! Sample configurations of other programs for N connections (`throng tune --for`). Each is a file that prints the
//! configuration with its arithmetic in comments, and is registered by its line below.

mod backends;
mod sample;

pub use sample::Sample;

macro_rules! programs {
    ($($name:ident: $module:ident, $about:literal;)*) => {
        $(mod $module;)*

        /// A program that there is a sample configuration for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Program { $(#[doc = $about] $name,)* }

        impl Program {
            /// Every program.
            pub const ALL: &[Program] = &[$(Program::$name),*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Program::$name => stringify!($module),)* }
            }

            /// What is printed.
            pub fn about(self) -> &'static str {
                match self { $(Program::$name => $about,)* }
            }

            /// The sample configuration for `sample`.
            pub fn configuration(self, sample: &Sample) -> String {
                match self { $(Program::$name => $module::configuration(sample),)* }
            }
        }
    };
}

programs! {
    Nginx: nginx, "nginx.conf: a web server, or with --role both a proxy";
    Haproxy: haproxy, "haproxy.cfg: a TCP proxy";
    Systemd: systemd, "A drop-in for the service of a server";
    Kubernetes: kubernetes, "A Deployment of a server";
    Docker: docker, "compose.yaml of a server";
}

#[cfg(test)]
mod tests {
    use super::sample::WIDTH;
    use super::*;
    use crate::human;
    use throng_core::tune::{Ask, Role};

    fn sample(role: Role, connections: u32) -> Sample {
        Sample {
            ask: Ask {
                role,
                connections,
                ports: Vec::new(),
                with: Vec::new(),
            },
            cores: 4,
        }
    }

    #[test]
    fn each_sample_has_its_number_and_fits_a_page() {
        for program in Program::ALL {
            for role in [Role::Server, Role::Both] {
                for n in [1, 100, 15_000, 1_000_000, u32::MAX] {
                    let text = program.configuration(&sample(role, n));
                    let named = human::things(n.into(), "connection");
                    assert!(text.contains(&named), "{}: {text}", program.name());
                    for line in text.lines() {
                        // A word that is longer has a line of its own.
                        let is_word = !line.trim_start_matches(['#', ' ']).contains(' ');
                        assert!(is_word || line.chars().count() <= WIDTH, "{line}");
                        assert_eq!(line, line.trim_end());
                    }
                }
            }
        }
    }

    #[test]
    fn the_arithmetic_is_what_the_limits_of_each_program_ask_for() {
        let has = |program: Program, role, n, part: &str| {
            let text = program.configuration(&sample(role, n));
            assert!(text.contains(part), "no '{part}':\n{text}");
        };
        // 1,000,000 / 4 cores, a quarter more, and 64.
        has(
            Program::Nginx,
            Role::Server,
            1_000_000,
            "worker_connections 312564;",
        );
        has(
            Program::Nginx,
            Role::Both,
            1_000_000,
            "worker_connections 625064;",
        );
        has(Program::Nginx, Role::Server, 1_000_000, "backlog=65535");
        // 1,000,000 / 64,512 ports.
        has(
            Program::Haproxy,
            Role::Both,
            1_000_000,
            "server s16 127.0.0.16:9000",
        );
        has(Program::Haproxy, Role::Both, 15_000, "maxconn 15000");
        has(Program::Systemd, Role::Server, 15_000, "LimitNOFILE=16024");
        has(Program::Docker, Role::Server, 15_000, "hard: 16024");
        has(
            Program::Kubernetes,
            Role::Both,
            15_000,
            "net.ipv4.ip_local_port_range",
        );
    }
}
