//! The options of `throng http`: ab's letters where ab has one, and throng's long names.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::cli::{
    ArrivalsArg, DocumentForm, EngineArg, HttpOptions, LossArgs, RouteArgs, after_help_of_run,
};
use crate::outputs::{HttpOutputs, LoadOutputs, RunOutputs};
use crate::voice::Voice;
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use throng_core::address::SourceRange;
use throng_core::expect::Expectation;
use throng_core::scenario::{ConnectRate, Connections, Objective, bounds};
use throng_core::units::Rate;

/// The headings of the help, besides that of HTTP.
const LOAD: &str = "Load";
const REQUESTS: &str = "HTTP";
const TLS: &str = "TLS";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  throng http -n 100k -c 100 http://10.0.0.7:8080/hello
      100,000 requests over 100 persistent connections.
  throng http -r -n 40000 -c 4000 http://127.0.0.1:8080/hello
      As with ab, but a failed request is never a completed one.
  throng http -t 30 -c 1k --rate 5k http://10.0.0.7:8080/hello
      5,000 requests a second for 30 seconds, whatever the server does.
  throng http -n 10k -c 50 -p body.json -T application/json URL
      POST a file.";

/// Measure an HTTP server, as with ab, wrk or hey
#[derive(clap::Args)]
#[command(next_line_help = false, after_help = after_help_of_run(EXAMPLES))]
pub(crate) struct Args {
    /// What to request, in turn if there are several: [http[s]://]HOST[:PORT]/PATH
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,

    /// Requests in all [default: as many as there is time for]
    #[arg(short = 'n', long, value_name = "N", value_parser = bounds::requests, help_heading = LOAD)]
    pub requests: Option<u32>,

    /// Connections, each with one request at a time; max finds out how many can be held, @p99<50ms how many keep latency
    /// under a bound; max:N and @...:N look no further than N
    /// [default: 10, or as many as requests]
    #[arg(short = 'c', long, value_name = "N|max|@OBJECTIVE", value_parser = Connections::parse, help_heading = LOAD)]
    pub connections: Option<Connections>,

    /// Send requests until the run has taken this long, connecting included; a number alone is seconds
    /// [default: 10s, or with -n until all are answered]
    #[arg(short = 't', long, value_name = "T", value_parser = bounds::positive, help_heading = LOAD)]
    pub time: Option<Duration>,

    /// Requests per second over all connections together [default: each when the one before is answered]
    #[arg(long, value_name = "R", conflicts_with_all = ["profile", "slo"], help_heading = LOAD)]
    pub rate: Option<Rate>,

    /// Like --rate, but varying over time, such as '10s:1k, 30s:1k..50k'
    #[arg(
        long,
        value_name = "SPEC",
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        conflicts_with = "slo",
        help_heading = LOAD
    )]
    pub profile: Option<String>,

    /// How --rate and --profile space requests over time [default: uniform]
    #[arg(long, value_name = "HOW", help_heading = LOAD)]
    pub arrivals: Option<ArrivalsArg>,

    /// Find the highest rate that keeps the time of answers under a bound, such as 'p99<10ms'; -t is the longest time to
    /// search
    #[arg(long, value_name = "PERCENTILE<T", conflicts_with = "requests", help_heading = LOAD)]
    pub slo: Option<Objective>,

    /// Keep connections between requests; the default
    #[arg(short = 'k', long, help_heading = LOAD)]
    pub keep_alive: bool,

    /// A connection a request; the same as --requests-per-connection 1
    #[arg(long, conflicts_with_all = ["keep_alive", "requests-per-connection"], help_heading = LOAD)]
    pub no_keep_alive: bool,

    /// Go on when a connection fails; throng always does
    #[arg(short = 'r', help_heading = LOAD)]
    pub go_on: bool,

    /// Give up on a connection attempt after this long [default: 5s]
    #[arg(long, value_name = "T", value_parser = bounds::positive, help_heading = LOAD)]
    pub connect_timeout: Option<Duration>,

    /// New connections per second; max finds the most that the server takes with a request on each, answered as --slo says
    /// [default: as fast as the server accepts them; with max: --slo 'p99<50ms' and -c 256]
    #[arg(long, value_name = "R|max", help_heading = LOAD)]
    pub connect_rate: Option<ConnectRate>,

    /// Send nothing until all connections are established
    ///
    /// A server that answers requests may accept connections late: nginx accepts one for each round of answers, unless it
    /// has multi_accept on.
    #[arg(long, help_heading = LOAD)]
    pub after_ramp: bool,

    /// Connect from this address, a range or a block; repeatable
    #[arg(short = 'B', long, value_name = "IP", help_heading = LOAD)]
    pub source_ip: Vec<SourceRange>,

    #[command(flatten)]
    pub route: RouteArgs,

    #[command(flatten)]
    pub losses: LossArgs,

    /// Size of the send and receive buffers of sockets, in bytes [default: the kernel adapts it]
    #[arg(short = 'b', long, value_name = "BYTES", value_parser = bounds::buffer, help_heading = LOAD)]
    pub buffer: Option<u64>,

    /// Threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N", value_parser = bounds::workers, help_heading = LOAD)]
    pub workers: Option<u32>,

    /// Event loop: io_uring is not bound by the file limit, epoll works everywhere
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = LOAD)]
    pub engine: EngineArg,

    /// Run even if the plan says it cannot work
    #[arg(long, help_heading = LOAD)]
    pub force: bool,

    /// Fail the run unless this is met, such as 'service.p99<10ms'; repeatable (`throng help verdict`)
    #[arg(long, value_name = "EXPR", help_heading = LOAD)]
    pub expect: Vec<Expectation>,

    #[command(flatten)]
    pub options: HttpOptions,

    /// HEAD requests
    #[arg(short = 'i', long, conflicts_with_all = ["method", "post", "put", "body"], help_heading = REQUESTS)]
    pub head: bool,

    /// POST the bytes of this file
    #[arg(short = 'p', long, value_name = "FILE", conflicts_with_all = ["put", "body"], help_heading = REQUESTS)]
    pub post: Option<PathBuf>,

    /// PUT the bytes of this file
    #[arg(short = 'u', long, value_name = "FILE", conflicts_with = "body", help_heading = REQUESTS)]
    pub put: Option<PathBuf>,

    /// Body of requests; it may have expressions (`throng help messages`)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = REQUESTS)]
    pub body: Option<OsString>,

    /// Content-Type of the body [default: text/plain]
    #[arg(short = 'T', long, value_name = "TYPE", help_heading = REQUESTS)]
    pub content_type: Option<String>,

    /// Cookie to send, NAME=VALUE; repeatable
    #[arg(short = 'C', long, value_name = "COOKIE", help_heading = REQUESTS)]
    pub cookie: Vec<String>,

    /// Basic authentication, USER:PASSWORD
    #[arg(short = 'A', long, value_name = "USER:PASSWORD", help_heading = REQUESTS)]
    pub auth: Option<String>,

    /// Basic authentication at a proxy, USER:PASSWORD
    #[arg(short = 'P', long, value_name = "USER:PASSWORD", requires = "proxy", help_heading = REQUESTS)]
    pub proxy_auth: Option<String>,

    /// Send requests through this proxy; those for https:// in tunnels (CONNECT)
    #[arg(short = 'X', long, value_name = "HOST:PORT", conflicts_with = "tunnel", help_heading = REQUESTS)]
    pub proxy: Option<String>,

    /// Accept answers of different lengths; throng always does
    #[arg(short = 'l', help_heading = REQUESTS)]
    pub variable_length: bool,

    /// Certificates to trust (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = TLS)]
    pub cacert: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, help_heading = TLS)]
    pub insecure: bool,

    /// Server name to send (SNI) and to verify in the certificate [default: the URL's]
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub sni: Option<String>,

    /// Resume sessions if the server allows it [default: a full handshake per connection]
    #[arg(long, help_heading = TLS)]
    pub resume: bool,

    /// Format of the summary; `throng help summary` describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    pub output: DocumentForm,

    /// Write the summary to a file instead of stdout (-)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub output_file: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,

    /// Verbosity: 1 normal, 2 details, 3 everything, 4 also the traffic of one connection
    #[arg(short = 'v', long, value_name = "LEVEL", default_value = "1", value_parser = clap::value_parser!(u8).range(0..=4), help_heading = OUTPUT)]
    pub verbose: u8,

    #[command(flatten)]
    pub of_http: HttpOutputs,

    #[command(flatten)]
    pub of_load: LoadOutputs,

    #[command(flatten)]
    pub outputs: RunOutputs,

    /// Print the summary as an HTML table
    #[arg(short = 'w', long, help_heading = OUTPUT)]
    pub html: bool,

    /// Attributes of the table element of -w
    #[arg(short = 'x', value_name = "ATTRIBUTES", default_value = "", hide_default_value = true, help_heading = OUTPUT)]
    pub table: String,

    /// Attributes of its tr elements
    #[arg(short = 'y', value_name = "ATTRIBUTES", default_value = "", hide_default_value = true, help_heading = OUTPUT)]
    pub tr: String,

    /// Attributes of its td elements
    #[arg(short = 'z', value_name = "ATTRIBUTES", default_value = "", hide_default_value = true, help_heading = OUTPUT)]
    pub td: String,

    /// Print the scenario as a file for `throng run`, then exit
    #[arg(long, help_heading = OUTPUT)]
    pub print_scenario: bool,

    /// Whose output it is, if not throng's own.
    #[arg(skip)]
    pub voice: Option<Rc<dyn Voice>>,
}
