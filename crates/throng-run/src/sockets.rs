//! Socket options: what a scenario asks for as the engine sets it, and what the kernel says to it before the run.

use crate::Failure;
use crate::watch::Watch;
use std::io;
use std::net::SocketAddr;
use throng_core::observer::Note;
use throng_core::scenario::{self, FastOpen, KernelName};
use throng_engine::{Closing, Setting, SocketOptions};
use throng_host::options;

/// What is to be set on listeners, whose connections inherit it.
pub(crate) fn to_listen(asked: &scenario::SocketOptions) -> SocketOptions {
    let bytes = |size: Option<u64>| size.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    SocketOptions {
        nodelay: (!asked.nagle).then_some(true),
        send_buffer: bytes(asked.send_buffer),
        receive_buffer: bytes(asked.receive_buffer),
        keepalive: asked.keepalive,
        user_timeout: asked.user_timeout,
        congestion: asked.congestion.clone(),
        mark: asked.mark,
        tos: asked.tos,
        linger: asked.linger,
        device: asked.bind_device.clone(),
        fastopen: None,
        fastopen_connect: None,
        transparent: false,
        mptcp: asked.mptcp,
    }
}

/// What is to be set on sockets that connect. Each option is a call for each of them, so there is none without effect:
/// where nothing is sent, nothing waits for an acknowledgement.
pub(crate) fn to_connect(
    asked: &scenario::SocketOptions,
    fastopen: Option<FastOpen>,
    sends: bool,
) -> SocketOptions {
    SocketOptions {
        nodelay: (!asked.nagle && sends).then_some(true),
        fastopen_connect: fastopen,
        ..to_listen(asked)
    }
}

/// How connections that are open at the end are closed: a linger time, which is zero, asks for resets.
pub(crate) fn closing(asked: &scenario::SocketOptions) -> Closing {
    match asked.linger {
        Some(_) => Closing::Reset,
        None => Closing::ShutDown,
    }
}

/// Tries what is asked for on sockets that are not used, of the families of `addresses`, before anything is opened.
///
/// # Errors
/// What the kernel refuses, why, and what to do.
pub(crate) fn try_out(
    asked: &scenario::SocketOptions,
    fastopen: Option<FastOpen>,
    addresses: &[SocketAddr],
) -> Result<(), Failure> {
    let four = addresses.iter().any(SocketAddr::is_ipv4);
    let six = addresses.iter().any(SocketAddr::is_ipv6);
    to_connect(asked, fastopen, true)
        .tried(four, six)
        .map_err(|(setting, why)| refused(asked, setting, &why))
}

/// Checks that sockets may have addresses that this machine does not have, of the families of `addresses`, as `option` asks for.
///
/// # Errors
/// What the kernel refuses, and what to do.
pub(crate) fn check_transparent(option: &str, addresses: &[SocketAddr]) -> Result<(), Failure> {
    let four = addresses.iter().any(SocketAddr::is_ipv4);
    let six = addresses.iter().any(SocketAddr::is_ipv6);
    let asked = SocketOptions {
        transparent: true,
        ..SocketOptions::default()
    };
    asked.tried(four, six).map_err(|(_, why)| {
        let remedy = match why.kind() {
            io::ErrorKind::PermissionDenied => {
                "; addresses of others need CAP_NET_ADMIN: run as root, or setcap cap_net_admin+ep on the program"
            }
            _ => "",
        };
        Failure::refused(format!("can't set {option}: {why}{remedy}"))
    })
}

fn refused(asked: &scenario::SocketOptions, setting: Setting, why: &io::Error) -> Failure {
    let option = option(setting);
    let name = |name: &Option<KernelName>| name.clone().map(String::from).unwrap_or_default();
    let remedy = match (setting, why.kind()) {
        (Setting::Congestion, io::ErrorKind::NotFound) => {
            let known = options::congestion_controls()
                .unwrap_or_default()
                .join(", ");
            let name = name(&asked.congestion);
            return Failure::refused(format!(
                "{option} {name}: this kernel has no such congestion control; it has {known} (others are modules: modprobe tcp_{name})"
            ));
        }
        (Setting::Congestion, io::ErrorKind::PermissionDenied) => {
            "; run as root, or add it to net.ipv4.tcp_allowed_congestion_control"
        }
        (Setting::Mark, io::ErrorKind::PermissionDenied) => {
            "; a mark needs CAP_NET_ADMIN: run as root, or setcap cap_net_admin+ep on the program"
        }
        (Setting::Device, io::ErrorKind::PermissionDenied) => {
            "; before Linux 5.7 it needs CAP_NET_RAW: run as root"
        }
        (Setting::Device, _) => {
            let name = name(&asked.bind_device);
            return Failure::refused(format!(
                "{option} {name}: {why}; `ip -br link` lists the interfaces of this machine"
            ));
        }
        (Setting::FastopenConnect, _) => {
            /// The bit for clients.
            const CLIENTS: u32 = 1;
            let Ok(bits) = options::fastopen() else {
                return Failure::refused(format!(
                    "can't set {option}: {why}; it needs Linux 4.11, 4.15 with no-cookie"
                ));
            };
            return Failure::refused(format!(
                "can't set {option}: {why}; net.ipv4.tcp_fastopen is {bits}: sysctl -w net.ipv4.tcp_fastopen={}",
                bits | CLIENTS
            ));
        }
        (Setting::Mptcp, _) => "; sysctl -w net.mptcp.enabled=1 (Linux 5.6, with CONFIG_MPTCP)",
        (_, _) if asked.mptcp => "; MPTCP does not take it: leave out one of the two",
        _ => "",
    };
    Failure::refused(format!("can't set {option}: {why}{remedy}"))
}

/// Checks that listeners may take data that comes with a connection's first packet. setsockopt(2) does not say so.
///
/// # Errors
/// `net.ipv4.tcp_fastopen` does not allow it.
pub(crate) fn check_fastopen() -> Result<(), Failure> {
    /// The bit for servers.
    const SERVERS: u32 = 2;
    match options::fastopen() {
        Ok(bits) if bits & SERVERS == 0 => Err(Failure::refused(format!(
            "--fastopen has no effect, because net.ipv4.tcp_fastopen is {bits}: sysctl -w net.ipv4.tcp_fastopen={}",
            bits | SERVERS
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The option that asks for a setting.
fn option(setting: Setting) -> &'static str {
    match setting {
        Setting::Nodelay => "--nagle off",
        Setting::SendBuffer => "--sndbuf",
        Setting::ReceiveBuffer => "--rcvbuf",
        Setting::Keepalive => "--keepalive",
        Setting::UserTimeout => "--user-timeout",
        Setting::Congestion => "--congestion",
        Setting::Mark => "--mark",
        Setting::Tos => "--tos",
        Setting::Linger => "--linger",
        Setting::Device => "--bind-device",
        Setting::Fastopen | Setting::FastopenConnect => "--fastopen",
        Setting::Transparent => "--transparent",
        Setting::Mptcp => "--mptcp",
    }
}

/// Warns about socket buffers that are smaller than asked for.
pub(crate) fn warn_of_buffers(asked: &scenario::SocketOptions, watch: &mut Watch) {
    let Ok(in_effect) = to_listen(asked).buffers_in_effect() else {
        return;
    };
    let both = [
        (
            "--rcvbuf",
            asked.receive_buffer,
            in_effect.receive,
            "net.core.rmem_max",
        ),
        (
            "--sndbuf",
            asked.send_buffer,
            in_effect.send,
            "net.core.wmem_max",
        ),
    ];
    for (option, asked, granted, sysctl) in both {
        if let Some(asked) = asked.filter(|asked| granted < *asked) {
            watch.note(&Note::SmallBuffer {
                option,
                asked,
                granted,
                sysctl,
            });
        }
    }
}
