//! `throng-floor`: the barest io_uring program that holds both ends of N loopback TCP connections
//! in one process and, if asked, echoes small messages over them. It is a yardstick, not a product:
//! it shows what the kernel itself costs, and so what throng adds.
//!
//! * A thread owns *lanes*. A lane is a ring, a sparse table of direct descriptors, and a listener
//!   on a port of its own. Both ends of a lane's connections sit in its table: clients in the lower
//!   half, servers in the upper. `RLIMIT_NOFILE` bounds a table, not the process, so more
//!   connections need only more lanes; and lanes share nothing.
//! * Set-up submits SOCKET, CONNECT, ACCEPT for 64 connections at a time. SQEs are issued in order and the loopback
//!   handshake runs inside CONNECT, so each ACCEPT finds its connection waiting, and at most 64 are ever in the accept
//!   queue. Then it arms a multishot RECV at both ends, as a program that holds connections must.
//! * In the echo a send wakes the receiver at the other end of the same lane, so each wait is for as
//!   many completions as there were sends.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{alloc, fmt, fs, mem, process, ptr, thread};

use io_uring::types::{self, BufRingEntry, DestinationSlot, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const HELP: &str = "\
throng-floor: hold both ends of N loopback TCP connections with the barest io_uring program

usage: throng-floor [--connections N] [--threads N] [--hold SECS]
                    [--echo SECS] [--size BYTES] [--in-flight K]

  --connections N  connections to open; 2N sockets in this process (default 16000)
  --threads N      threads; each drives both ends of its own share (default 2)
  --hold SECS      keep everything open and idle for SECS after set-up, before any echo
  --echo SECS      then run a closed-loop echo for SECS
  --size BYTES     bytes in a message, 1 to 4096 (default 16)
  --in-flight K    messages in flight over all connections together, shared out evenly to the
                   threads; at least 1 and at most 4096 a thread (default 64 a thread)

One JSON object goes to stdout. Its times are of set-up: from before the first thread starts to the
moment both ends of every connection are up (connect and accept completed, a receive armed at
both), rings, tables and listeners included. CPU is that of the whole process (user + system) over the same time. Memory is
the growth of its resident set over the same time: user memory for both ends together. A connection
that fails ends the program with status 1: none is ever counted that was not made.

Echo: in flight are K messages, each on another connection: the client sends BYTES, the server sends back what it gets, and when the client has all
BYTES back the round trip counts and the message moves K connections on (per thread), so that
messages pass over all connections in turn, again and again. \"connections_used\" says how many had a
round trip completed.";

/// Most table slots in a lane, two per connection.
const LANE_SLOTS: u64 = 16_000;
/// Connections that a lane opens at a time: three SQEs each must fit its submission queue.
const BATCH: u32 = 64;
const SQ_ENTRIES: u32 = 256;
/// Destination addresses of a lane: with 8,000 connections to 8 x 28,232 ports, the port search stays short.
const DESTINATIONS: u32 = 8;
const BACKLOG: i32 = 4096;
const MAX_IN_FLIGHT: u32 = 4096;
/// The longest wait for completions; longer is a failure.
const STALL: Duration = Duration::from_secs(20);

/// The operation of a completion: the top 16 bits of its user data, above a buffer id and a slot.
const OPS: [&str; 7] = [
    "socket", "connect", "accept", "recv", "recv", "send", "send",
];
const SOCKET: u64 = 0;
const CONNECT: u64 = 1;
const ACCEPT: u64 = 2;
const CLIENT_RECV: u64 = 3;
const SERVER_RECV: u64 = 4;
const CLIENT_SEND: u64 = 5;
const SERVER_SEND: u64 = 6;

fn tag(op: u64, slot: u32, buffer: u16) -> u64 {
    op << 48 | u64::from(buffer) << 32 | u64::from(slot)
}

fn fail(message: impl fmt::Display) -> ! {
    // The lock is kept, so that only one line is printed when several threads fail.
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "throng-floor: {message}");
    process::exit(1)
}

fn fail_os(what: &str) -> ! {
    fail(format_args!("{what}: {}", io::Error::last_os_error()))
}

/// A lane's provided-buffer ring; lives to the end of the process.
struct Buffers {
    ring: *mut BufRingEntry,
    data: *mut u8,
    entries: u16,
    size: u32,
    tail: u16,
}

impl Buffers {
    fn new(uring: &IoUring, entries: u16, size: u32) -> Self {
        let zeroed = |bytes: usize| {
            let layout = alloc::Layout::from_size_align(bytes, 4096).expect("a small layout");
            // SAFETY: neither `entries` nor `size` is 0, so the layout's size is not 0.
            let memory = unsafe { alloc::alloc_zeroed(layout) };
            if memory.is_null() {
                alloc::handle_alloc_error(layout)
            } else {
                memory
            }
        };
        let ring = zeroed(usize::from(entries) * mem::size_of::<BufRingEntry>()).cast();
        let data = zeroed(usize::from(entries) * size as usize);
        // SAFETY: `ring` is page-aligned memory for `entries` entries that is never freed.
        unsafe {
            uring
                .submitter()
                .register_buf_ring_with_flags(ring as u64, entries, 0, 0)
        }
        .unwrap_or_else(|error| fail(format_args!("register buffers: {error}")));
        let mut buffers = Self {
            ring,
            data,
            entries,
            size,
            tail: 0,
        };
        (0..entries).for_each(|id| buffers.give(id));
        buffers
    }

    fn address(&self, id: u16) -> *mut u8 {
        // SAFETY: ids run from 0 to `entries`, and `data` holds `entries` times `size` bytes.
        unsafe { self.data.add(usize::from(id) * self.size as usize) }
    }

    /// Gives a buffer (back) to the kernel.
    fn give(&mut self, id: u16) {
        let index = usize::from(self.tail & (self.entries - 1));
        // SAFETY: `index` is within the ring, and the kernel does not use an entry past the tail.
        let entry = unsafe { &mut *self.ring.add(index) };
        entry.set_addr(self.address(id) as u64);
        entry.set_len(self.size);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the ring's first entry, aligned, and is ours alone to write.
        let tail = unsafe { &*BufRingEntry::tail(self.ring).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

/// A ring with both ends of `pairs` connections: client `i` in slot `i`, servers from slot `pairs`.
struct Lane {
    ring: IoUring,
    pairs: u32,
    buffers: Option<Buffers>,
    /// Sends queued since the last wait: each will bring a receive at the other end.
    sends: usize,
}

impl Lane {
    fn new(pairs: u32, cq_entries: u32) -> Self {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_no_sqarray()
            .setup_cqsize(cq_entries)
            .build(SQ_ENTRIES)
            .unwrap_or_else(|error| fail(format_args!("set up a ring: {error}")));
        if let Err(error) = ring.submitter().register_files_sparse(2 * pairs) {
            fail(format_args!(
                "register a table of {} files: {error}",
                2 * pairs
            ));
        }
        Self {
            ring,
            pairs,
            buffers: None,
            sends: 0,
        }
    }

    /// Queues an operation, submitting what is queued if there is no room.
    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what entries point to outlives them: addresses live until `connect` has seen all
        // its completions, payload and buffers to the end of the process.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.submit();
        }
    }

    fn submit(&self) {
        if let Err(error) = self.ring.submit() {
            fail(format_args!("submit: {error}"));
        }
    }

    /// Submits all that is queued, waits for `want` completions and puts all that are available into `done`.
    fn turn(&mut self, want: usize, done: &mut Vec<cqueue::Entry>) {
        done.clear();
        let (started, tick) = (Instant::now(), types::Timespec::new().sec(1));
        let wait = types::SubmitArgs::new().timespec(&tick);
        while done.len() < want {
            match self
                .ring
                .submitter()
                .submit_with_args(want - done.len(), &wait)
            {
                Err(error) if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => {
                    fail(format_args!("wait for completions: {error}"))
                }
                Err(_) if started.elapsed() > STALL => {
                    fail(format_args!("no completion for {} s", STALL.as_secs()))
                }
                _ => done.extend(self.ring.completion()),
            }
            if let Some(failed) = done.iter().find(|entry| entry.result() < 0) {
                let error = io::Error::from_raw_os_error(-failed.result());
                let op = OPS[(failed.user_data() >> 48) as usize];
                fail(format_args!("{op}: {error}"));
            }
        }
    }

    /// Opens the lane's connections and arms a receive at both ends of each, as a program that holds connections must,
    /// to see them close.
    fn connect(&mut self, first_address: u32, in_flight: u32, size: u32) {
        // A message occupies at most two: one whose echo was sent but not seen yet, and one at its client.
        let entries = (2 * in_flight).next_power_of_two() as u16;
        self.buffers = Some(Buffers::new(&self.ring, entries, size));
        let (listener, port) = listen();
        let to: Vec<_> = (0..DESTINATIONS)
            .map(|i| address(first_address + i, port))
            .collect();
        let slot = |slot| Some(DestinationSlot::try_from_slot_target(slot).expect("a small slot"));
        let mut done = Vec::new();
        for first in (0..self.pairs).step_by(BATCH as usize) {
            let batch = first..self.pairs.min(first + BATCH);
            for i in batch.clone() {
                let socket = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0);
                let socket = socket
                    .file_index(slot(i))
                    .build()
                    .user_data(tag(SOCKET, i, 0));
                self.push(&socket.flags(squeue::Flags::SKIP_SUCCESS));
                let to = &raw const to[(i % DESTINATIONS) as usize];
                let length = mem::size_of::<libc::sockaddr_in>() as u32;
                let connect = opcode::Connect::new(Fixed(i), to.cast(), length).build();
                self.push(&connect.user_data(tag(CONNECT, i, 0)));
                let accept =
                    opcode::Accept::new(types::Fd(listener), ptr::null_mut(), ptr::null_mut());
                let accept = accept.file_index(slot(self.pairs + i)).build();
                self.push(&accept.user_data(tag(ACCEPT, self.pairs + i, 0)));
            }
            // Any failure is an error here: skipped successes are not waited for.
            self.turn(2 * batch.len(), &mut done);
            for i in batch {
                self.receive(i);
                self.receive(self.pairs + i);
            }
        }
        self.submit();
    }

    fn receive(&mut self, slot: u32) {
        const POLL_FIRST: u16 = 1;
        const MULTISHOT: u16 = 2;
        let op = if slot < self.pairs {
            CLIENT_RECV
        } else {
            SERVER_RECV
        };
        let recv = opcode::Recv::new(Fixed(slot), ptr::null_mut(), 0)
            .ioprio(POLL_FIRST | MULTISHOT)
            .build();
        self.push(
            &recv
                .flags(squeue::Flags::BUFFER_SELECT)
                .user_data(tag(op, slot, 0)),
        );
    }

    fn send(&mut self, op: u64, slot: u32, data: *const u8, length: u32, buffer: u16) {
        let send = opcode::Send::new(Fixed(slot), data, length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .user_data(tag(op, slot, buffer));
        // The server's send has a completion, which shows when its buffer is free.
        let skip = op == CLIENT_SEND;
        self.push(&if skip {
            send.flags(squeue::Flags::SKIP_SUCCESS)
        } else {
            send
        });
        self.sends += 1;
    }
}

fn address(ip: u32, port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: ip.to_be() },
        sin_zero: [0; 8],
    }
}

/// A listener on a free port of the loopback network; its connections inherit the option to reset
/// instead of entering TIME_WAIT when closed, so that one run does not affect the next.
fn listen() -> (i32, u16) {
    let mut length = mem::size_of::<libc::sockaddr_in>() as u32;
    let mut any = address(0, 0);
    let reset = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: each pointer is to a live value of the type and length given with it.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let size = mem::size_of_val(&reset) as u32;
        let reset = (&raw const reset).cast();
        if fd < 0
            || libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, reset, size) != 0
            || libc::bind(fd, (&raw const any).cast(), length) != 0
            || libc::listen(fd, BACKLOG) != 0
            || libc::getsockname(fd, (&raw mut any).cast(), &mut length) != 0
        {
            fail_os("listen");
        }
        (fd, u16::from_be(any.sin_port))
    }
}

/// Echoes over a thread's connections; returns round trips done and connections used.
fn echo(lanes: &mut [Lane], in_flight: u32, payload: &[u8], until: Instant) -> (u64, u64) {
    let total: u32 = lanes.iter().map(|lane| lane.pairs).sum();
    let (per_lane, size) = (
        lanes.first().map_or(1, |lane| lane.pairs),
        payload.len() as u32,
    );
    let start = |lanes: &mut [Lane], i: u32| {
        let lane = &mut lanes[(i / per_lane) as usize];
        lane.send(CLIENT_SEND, i % per_lane, payload.as_ptr(), size, 0);
    };
    let mut received = vec![0_u32; total as usize];
    let mut first_pass = vec![true; in_flight as usize];
    let (mut trips, mut used, mut done) = (0, 0, Vec::new());
    (0..in_flight).for_each(|i| start(lanes, i));
    while in_flight > 0 && Instant::now() < until {
        for at in 0..lanes.len() {
            let want = mem::take(&mut lanes[at].sends);
            if want == 0 {
                continue;
            }
            lanes[at].turn(want, &mut done);
            for entry in &done {
                let (slot, length) = (entry.user_data() as u32, entry.result() as u32);
                let lane = &mut lanes[at];
                let buffers = lane.buffers.as_mut().expect("receives are armed");
                let op = entry.user_data() >> 48;
                if op == SERVER_SEND {
                    buffers.give((entry.user_data() >> 32) as u16);
                    continue;
                }
                let Some(id) = cqueue::buffer_select(entry.flags()) else {
                    fail("a connection was closed during the echo");
                };
                if op == SERVER_RECV {
                    let data = buffers.address(id);
                    lane.send(SERVER_SEND, slot, data, length, id);
                } else {
                    buffers.give(id);
                }
                if !cqueue::more(entry.flags()) {
                    lane.receive(slot);
                }
                if op == CLIENT_RECV {
                    let i = at as u32 * per_lane + slot;
                    received[i as usize] += length;
                    if received[i as usize] == size {
                        received[i as usize] = 0;
                        trips += 1;
                        let message = i % in_flight;
                        used += u64::from(first_pass[message as usize]);
                        let next = i + in_flight;
                        first_pass[message as usize] &= next < total;
                        start(lanes, if next < total { next } else { message });
                    }
                }
            }
        }
    }
    (trips, used)
}

/// The process's user and system CPU time, in seconds.
fn cpu() -> (f64, f64) {
    // SAFETY: rusage is plain numbers, for which zeroes are valid.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a live rusage.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}

/// The process's resident memory, in bytes.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_else(|| fail("cannot read /proc/self/statm")) * 4096
}

fn main() {
    let [mut connections, mut threads, mut hold, mut seconds] = [16_000, 2, 0, 0];
    let [mut size, mut in_flight] = [16, 0];
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let (value, range) = match name.as_str() {
            "--connections" => (&mut connections, 1..=10_000_000),
            "--threads" => (&mut threads, 1..=1024),
            "--hold" => (&mut hold, 0..=1_000_000),
            "--echo" => (&mut seconds, 0..=1_000_000),
            "--size" => (&mut size, 1..=4096),
            "--in-flight" => (&mut in_flight, 1..=10_000_000),
            "-h" | "--help" => return println!("{HELP}"),
            _ => fail(format_args!("unknown option {name}: see --help")),
        };
        let given = arguments.next().and_then(|text| text.parse().ok());
        *value = given
            .filter(|given| range.contains(given))
            .unwrap_or_else(|| {
                fail(format_args!(
                    "{name} takes a number from {} to {}",
                    range.start(),
                    range.end()
                ))
            });
    }
    let threads = threads.min(connections) as u32;
    let share = |all: u64, t: u32| {
        (all / u64::from(threads)) as u32 + u32::from(u64::from(t) < all % u64::from(threads))
    };
    if in_flight == 0 {
        in_flight = u64::from(64 * threads);
    }
    in_flight = in_flight.clamp(u64::from(threads), connections);
    if share(in_flight, 0) > MAX_IN_FLIGHT {
        fail(format_args!(
            "--in-flight: at most {MAX_IN_FLIGHT} per thread"
        ));
    }
    // SAFETY: rlimit is plain numbers, for which zeroes are valid, and the pointer is to a live one.
    let limit = unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur
    };
    let lane_pairs = (LANE_SLOTS.min(limit) / 2).max(1) as u32;

    let barrier = Arc::new(Barrier::new(threads as usize + 1));
    let payload: &[u8] = vec![b'.'; size as usize].leak();
    let (started, cpu_before, resident_before) = (Instant::now(), cpu(), resident());
    let workers: Vec<_> = (0..threads)
        .map(|t| {
            let (mut left, in_flight) = (share(connections, t), share(in_flight, t));
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                let mut lanes = Vec::new();
                while left > 0 {
                    let cq_entries = (4 * in_flight).next_power_of_two().max(1024);
                    let mut lane = Lane::new(left.min(lane_pairs), cq_entries);
                    // From 127.0.0.1 on, up to 127.255.x.x.
                    lane.connect(0x7f00_0001 + (t << 14) % 0xff_0000, in_flight, size as u32);
                    left -= lane.pairs;
                    lanes.push(lane);
                }
                barrier.wait();
                barrier.wait();
                let mut counts = (0, 0);
                if seconds > 0 {
                    let until = Instant::now() + Duration::from_secs(seconds);
                    counts = echo(&mut lanes, in_flight, payload, until);
                }
                // The kernel cleans up once the process has printed its result.
                mem::forget(lanes);
                counts
            })
        })
        .collect();
    barrier.wait();
    let (time, cpu_after) = (started.elapsed().as_secs_f64(), cpu());
    let grown = resident().saturating_sub(resident_before);
    let (user, system) = (cpu_after.0 - cpu_before.0, cpu_after.1 - cpu_before.1);
    let n = connections as f64;
    let mut json = format!(
        "{{\"connections\":{connections},\"threads\":{threads},\"seconds\":{time:.6},\
         \"connections_per_second\":{:.0},\"cpu_user_s\":{user:.6},\"cpu_system_s\":{system:.6},\
         \"cpu_us_per_connection\":{:.3},\"rss_growth_bytes\":{grown},\"bytes_per_connection\":{:.2}",
        n / time,
        (user + system) * 1e6 / n,
        grown as f64 / n,
    );
    thread::sleep(Duration::from_secs(hold));
    barrier.wait();
    let (started, cpu_before) = (Instant::now(), cpu());
    let (mut trips, mut used) = (0, 0);
    for worker in workers {
        let counts = worker.join().unwrap_or_else(|_| fail("a thread panicked"));
        (trips, used) = (trips + counts.0, used + counts.1);
    }
    if seconds > 0 {
        let (time, cpu_after) = (started.elapsed().as_secs_f64(), cpu());
        let spent = cpu_after.0 - cpu_before.0 + cpu_after.1 - cpu_before.1;
        json += &format!(
            ",\"echo\":{{\"size\":{size},\"in_flight\":{in_flight},\
             \"round_trips\":{trips},\"seconds\":{time:.6},\"round_trips_per_second\":{:.0},\
             \"cpu_us_per_round_trip\":{:.3},\"connections_used\":{used}}}",
            trips as f64 / time,
            spent * 1e6 / (trips as f64).max(1.0),
        );
    }
    println!("{json}}}");
    // Without running destructors: rings and connections go with the process.
    process::exit(0);
}
