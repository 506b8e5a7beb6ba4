//! Where a run is reported besides its summary: metrics, logs, files. Each output is a file here, with its options and what
//! it writes, and a line in `outputs!`.

mod log;
mod output;

pub(crate) use output::{Occasion, Output};

use std::rc::Rc;

/// Makes of each set in the table the options of all its outputs together, for the subcommands that have them.
macro_rules! outputs {
    ($(
        $(#[$doc:meta])*
        $Set:ident { $($name:ident: $Output:ident,)* }
    )*) => {
        $($(mod $name;)*)*

        $(
            $(#[$doc])*
            #[derive(Clone, Default, clap::Args)]
            pub(crate) struct $Set {
                $(#[command(flatten)] pub $name: $name::$Output,)*
            }

            impl $Set {
                /// The outputs, in the order of the table.
                pub fn all(&self) -> Vec<Rc<dyn Output>> {
                    vec![$(Rc::new(self.$name.clone())),*]
                }
            }
        )*
    };
}

outputs! {
    /// Those of any run, of a server, too.
    RunOutputs {
        report: Report,
        web: Web,
        csv: Csv,
        junit: Junit,
        github: Github,
        prometheus: Prometheus,
        otlp: Otlp,
        tui: Tui,
    }
    /// Those of any load.
    LoadOutputs {
        latency_log: LatencyLog,
        samples: Samples,
        statsd: Statsd,
        watch: Watch,
    }
    /// Those of HTTP alone.
    HttpOutputs {
        percentiles: Percentages,
        gnuplot: Gnuplot,
    }
}

/// Whether one of `outputs` needs each single round trip.
pub(crate) fn keep_samples(outputs: &[Rc<dyn Output>]) -> bool {
    outputs.iter().any(|output| output.keeps_samples())
}
