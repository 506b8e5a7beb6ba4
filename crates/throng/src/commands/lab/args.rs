//! The options of `throng lab`.

use crate::cli::serve_mode;
use std::ffi::OsString;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::str::FromStr;
use throng_core::lab::{MOST_ADDRESSES, MOST_HOSTS};
use throng_core::protocol::ServeMode;
use throng_core::units::Bandwidth;

const EXAMPLES: &str = "\
Examples:
  throng lab 2 --serve echo -- load -c 1k {server}:9000
      A server and a client with a network between them.
  throng lab 8 --start 'nginx -c /nginx.conf' -- http {server}/
      Your server in place of throng's.
  throng lab 8 --serve sink -- fleet run load -c 16k {server}:9000
      One load from eight hosts, with one summary.
  throng lab 1 --serve chargen -m tick -- load -c 9 {server}:9000
      A server that sends of itself.
  throng lab 4 --rate-limit 100Mbps --loss 1%
      A lab with slow and lossy links that stands until Ctrl-C.
  throng lab --on 3 -- load -c 20k {server}:9000
      In a command of a lab: run throng load on its host 3.";

/// Make hosts on this machine, and run a command among them
///
/// Each host is a network namespace with addresses of its own, on one network with a server's host and the one that COMMAND
/// runs on. They are gone with all that runs on them when COMMAND ends, and also when throng is killed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Number of hosts besides the server's
    #[arg(value_name = "N", value_parser = hosts, required_unless_present_any = ["on", "become_host"])]
    pub hosts: Option<u32>,

    /// Run `throng serve` with this mode on the server's host
    #[arg(long, value_name = "MODE", value_parser = serve_mode(), conflicts_with = "start")]
    pub serve: Option<ServeMode>,

    /// Port of --serve
    #[arg(long, value_name = "PORT", default_value = "9000", requires = "serve", value_parser = port)]
    pub port: u16,

    /// Message that --serve chargen sends again and again on each connection; repeatable, sent in turn
    #[arg(
        short,
        long = "message",
        value_name = "S",
        requires = "serve",
        allow_hyphen_values = true
    )]
    pub messages: Vec<OsString>,

    /// Shell command that runs another server on the server's host, in the foreground or not; {server} is its address
    #[arg(long, value_name = "CMD")]
    pub start: Option<String>,

    /// Addresses of each host: 198.18.HOST.1 and the following ones
    #[arg(long, value_name = "N", default_value = "1", value_parser = addresses)]
    pub addresses: u32,

    /// Bandwidth of the link of each host (not of the server's, and not of COMMAND, which is beside them), in each direction: 10Mbps (bits) or 1MBps (bytes)
    #[arg(long, value_name = "BW", value_parser = rate_limit)]
    pub rate_limit: Option<Bandwidth>,

    /// Share of packets that the network loses between hosts, in each direction, but not COMMAND's; needs nft
    #[arg(long, value_name = "PERCENT", value_parser = loss)]
    pub loss: Option<f64>,

    /// In a command of a lab: run COMMAND on this of its hosts, a number from 1 or `server`
    #[arg(long, value_name = "HOST", conflicts_with_all = ["serve", "start", "rate_limit", "loss", "hosts"])]
    pub on: Option<String>,

    /// Be a host with the first of these addresses, and keep its namespace until stdin ends
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub become_host: Option<Ipv4Addr>,

    /// Be a host whose listeners may have long accept queues
    #[arg(long, hide = true)]
    pub long_queues: bool,

    /// Command of throng's, or another program, to run; {server} in it is the server's address
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,
}

fn hosts(text: &str) -> Result<u32, String> {
    up_to(MOST_HOSTS, "a number of hosts", text)
}

fn addresses(text: &str) -> Result<u32, String> {
    up_to(MOST_ADDRESSES, "a number of addresses", text)
}

fn port(text: &str) -> Result<u16, String> {
    up_to(u16::MAX, "a port", text)
}

/// A whole number from 1 to `most`, which is `what`.
fn up_to<N: FromStr + From<u8> + PartialOrd + Display>(
    most: N,
    what: &str,
    text: &str,
) -> Result<N, String> {
    match text.parse() {
        Ok(n) if n >= N::from(1) && n <= most => Ok(n),
        _ => Err(format!(
            "'{text}' is not {what}; write one from 1 to {most}"
        )),
    }
}

/// A bandwidth above zero: none is no limit for the kernel.
fn rate_limit(text: &str) -> Result<Bandwidth, String> {
    let rate: Bandwidth = text.parse().map_err(|e| format!("{e}"))?;
    match rate.get() >= 1.0 {
        true => Ok(rate),
        false => Err(format!("'{text}' lets nothing through; the least is 1Bps")),
    }
}

/// A percentage as a share from 0 to 1.
fn loss(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    match percent {
        Ok(percent) if percent > 0.0 && percent < 100.0 => Ok(percent / 100.0),
        _ => Err(format!(
            "'{text}' is not a share of packets; write it like 0.1% or 2%, below 100%"
        )),
    }
}
