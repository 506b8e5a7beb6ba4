//! One io_uring instance: its queues, its system calls, its registered tables.

use super::abi::*;
use super::buffers::{BufferRing, Group, Pools};
use super::mapping::Mapping;
use super::op::{Op, Tag};
use super::unsettled::SilentSends;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The number of completions that the kernel produces at a time when none are waited for
/// (IO_LOCAL_TW_DEFAULT_MAX).
const AT_A_TIME: u32 = 20;

/// An io_uring instance. Only the thread that created it may use it.
pub(super) struct Ring {
    fd: OwnedFd,
    sq_head: NonNull<AtomicU32>,
    sq_tail: NonNull<AtomicU32>,
    sq_flags: NonNull<AtomicU32>,
    sq_mask: u32,
    sq_entries: u32,
    sqes: NonNull<Sqe>,
    cq_head: NonNull<AtomicU32>,
    cq_tail: NonNull<AtomicU32>,
    cq_flags: NonNull<AtomicU32>,
    cq_mask: u32,
    cqes: NonNull<Cqe>,
    /// The user's copy of the SQ's tail. The kernel sees it at the next enter.
    tail: u32,
    /// Entries that did not fit into the SQ, in order.
    queue: VecDeque<Sqe>,
    /// By [`Group`].
    bufs: [Option<BufferRing>; 2],
    /// Unsettled sends: see [`silent`](super::unsettled).
    pub silent: SilentSends,
    /// Whether the kernel has waits with a minimum time.
    gathers: bool,
    _rings: Mapping,
    _sqes: Mapping,
}

/// Sets up a ring, with `flags` in addition to those that all rings have.
fn setup(entries: u32, cq_entries: u32, flags: u32) -> io::Result<(OwnedFd, Params)> {
    // SAFETY: plain integers, for which zero is valid.
    let mut params: Params = unsafe { mem::zeroed() };
    params.cq_entries = cq_entries;
    params.flags = flags
        | IORING_SETUP_CQSIZE
        | IORING_SETUP_CLAMP
        | IORING_SETUP_SUBMIT_ALL
        | IORING_SETUP_TASKRUN_FLAG
        | IORING_SETUP_SINGLE_ISSUER
        | IORING_SETUP_DEFER_TASKRUN;
    // SAFETY: the kernel fills in `params`, which is of its layout.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, &raw mut params) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok((unsafe { OwnedFd::from_raw_fd(fd as RawFd) }, params))
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// The argument of an enter that waits for at most `timeout`, which must outlive the call, and for at
/// least `least`.
fn events_arg(timeout: Option<&Timespec>, least: Duration) -> GetEventsArg {
    GetEventsArg {
        sigmask: 0,
        sigmask_sz: 0,
        min_wait_usec: least.as_micros() as u32,
        ts: timeout.map_or(0, |t| std::ptr::from_ref(t) as u64),
    }
}

impl Ring {
    /// A ring with `entries` submission and `cq_entries` completion slots. The kernel produces completions only
    /// while this thread enters the ring (DEFER_TASKRUN, Linux 6.1): nothing interrupts the thread, and
    /// buffers are filled only then.
    pub fn new(entries: u32, cq_entries: u32) -> io::Result<Ring> {
        // Entries are submitted in order, so the array that says which is next is not needed (Linux 6.6).
        let (fd, params) = match setup(entries, cq_entries, IORING_SETUP_NO_SQARRAY) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => setup(entries, cq_entries, 0)?,
            done => done?,
        };
        let needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
        if params.features & needed != needed {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let has_array = params.flags & IORING_SETUP_NO_SQARRAY == 0;
        let sq_bytes = match has_array {
            true => params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>(),
            false => 0,
        };
        let cq_bytes = params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<Cqe>();
        let shared = libc::MAP_SHARED | libc::MAP_POPULATE;
        let rings = Mapping::new(
            fd.as_raw_fd(),
            IORING_OFF_SQ_RING.into(),
            sq_bytes.max(cq_bytes),
            shared,
        )?;
        let sqes = Mapping::new(
            fd.as_raw_fd(),
            IORING_OFF_SQES.into(),
            params.sq_entries as usize * size_of::<Sqe>(),
            shared,
        )?;
        // The array maps each position to itself.
        for i in (0..params.sq_entries).filter(|_| has_array) {
            let at = rings.field::<u32>(params.sq_off.array + i * 4);
            // SAFETY: inside the mapping; the kernel reads it only during enter.
            unsafe { at.write(i) };
        }
        Ok(Ring {
            sq_head: rings.field(params.sq_off.head),
            sq_tail: rings.field(params.sq_off.tail),
            sq_flags: rings.field(params.sq_off.flags),
            sq_mask: params.sq_entries - 1,
            sq_entries: params.sq_entries,
            sqes: sqes.field(0),
            cq_head: rings.field(params.cq_off.head),
            cq_tail: rings.field(params.cq_off.tail),
            cq_flags: rings.field(params.cq_off.flags),
            cq_mask: params.cq_entries - 1,
            cqes: rings.field(params.cq_off.cqes),
            tail: 0,
            queue: VecDeque::new(),
            bufs: [None, None],
            silent: SilentSends::default(),
            gathers: params.features & IORING_FEAT_MIN_TIMEOUT != 0,
            _rings: rings,
            _sqes: sqes,
            fd,
        })
    }

    /// Whether this kernel has all of `operations`.
    pub fn has(&self, operations: &[Opcode]) -> io::Result<bool> {
        let probe = Probe::new(self.fd.as_raw_fd())?;
        Ok(operations.iter().all(|op| probe.has(*op)))
    }

    /// Gives the ring a table of `slots` empty places for direct descriptors. Fails with EMFILE if that
    /// is more than RLIMIT_NOFILE.
    pub fn register_files(&self, slots: u32) -> io::Result<()> {
        let arg = FilesRegistration {
            nr: slots,
            flags: IORING_RSRC_REGISTER_SPARSE,
            resv2: 0,
            data: 0,
            tags: 0,
        };
        register(
            self.fd.as_raw_fd(),
            RegisterOp::IORING_REGISTER_FILES2,
            (&raw const arg).cast(),
            size_of::<FilesRegistration>() as u32,
        )
    }

    /// Closes every file in the table. A file that a request still holds stays open until the request
    /// ends.
    pub fn unregister_files(&self) -> io::Result<()> {
        let op = RegisterOp::IORING_UNREGISTER_FILES;
        register(self.fd.as_raw_fd(), op, ptr::null(), 0)
    }

    /// Makes the ring signal `eventfd` when it has work, while [`Ring::notify`] is on.
    pub fn register_eventfd(&self, eventfd: RawFd) -> io::Result<()> {
        register(
            self.fd.as_raw_fd(),
            RegisterOp::IORING_REGISTER_EVENTFD,
            (&raw const eventfd).cast(),
            1,
        )
    }

    /// Makes all buffers of `pools` available to receives of this ring. A worker gives the same pools to all its rings:
    /// with DEFER_TASKRUN a ring fills buffers only while it is entered, and the worker deals with all completions of a
    /// ring before it enters another, so only one ring at a time has buffers in use.
    pub fn provide(&mut self, pools: &Pools) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        let receives = BufferRing::new(fd, Group::Receives, &pools.receives)?;
        let looks = pools.looks.as_ref();
        let looks = looks.map(|pool| BufferRing::new(fd, Group::Looks, pool));
        self.bufs = [Some(receives), looks.transpose()?];
        Ok(())
    }

    /// Makes buffer `bid` of this group available to receives of this ring again.
    pub fn give_back(&mut self, pools: &Pools, group: Group, bid: u16) {
        if let Some(bufs) = &mut self.bufs[group as usize] {
            bufs.give_back(pools.of(group), bid);
        }
    }

    fn room(&self) -> u32 {
        // SAFETY: points into the ring's mapping.
        let head = unsafe { self.sq_head.as_ref() }.load(Ordering::Acquire);
        self.sq_entries - self.tail.wrapping_sub(head)
    }

    /// Whether entries were pushed that are not submitted yet.
    pub fn has_pending(&self) -> bool {
        self.room() < self.sq_entries || !self.queue.is_empty()
    }

    /// Queues `sqe` for the next enter. Entries that do not fit are submitted by later ones, in order. Addresses in
    /// it must stay valid until its completion or, for connect, bind and setsockopt, until it is submitted.
    pub fn push(&mut self, sqe: Sqe) {
        if self.queue.is_empty() && self.room() > 0 {
            self.place(sqe);
        } else {
            self.queue.push_back(sqe);
        }
    }

    /// Writes into the SQ, which has room.
    fn place(&mut self, sqe: Sqe) {
        // SAFETY: the slot is inside the mapping and free: callers looked at the room.
        unsafe {
            self.sqes
                .add((self.tail & self.sq_mask) as usize)
                .write(sqe)
        };
        self.tail = self.tail.wrapping_add(1);
    }

    /// Moves waiting entries into the SQ.
    fn fill(&mut self) {
        for _ in 0..self.room() {
            let Some(sqe) = self.queue.pop_front() else {
                break;
            };
            self.place(sqe);
        }
    }

    /// The next completion.
    pub fn pop(&mut self) -> Option<Cqe> {
        // SAFETY: these point into the ring's mapping; only we write the head, and entries between head
        // and tail are the kernel's finished work.
        unsafe {
            let head = self.cq_head.as_ref().load(Ordering::Relaxed);
            if head == self.cq_tail.as_ref().load(Ordering::Acquire) {
                return None;
            }
            let cqe = self.cqes.add((head & self.cq_mask) as usize).read();
            self.cq_head
                .as_ref()
                .store(head.wrapping_add(1), Ordering::Release);
            Some(cqe)
        }
    }

    /// Records what the waiting completions say about silent sends, and makes them empty ones.
    pub fn take_silent_completions(&mut self) {
        // SAFETY: these point into the ring's mapping; entries between head and tail are the kernel's finished
        // work, which it does not look at again.
        unsafe {
            let mut head = self.cq_head.as_ref().load(Ordering::Relaxed);
            let tail = self.cq_tail.as_ref().load(Ordering::Acquire);
            while head != tail {
                let cqe = self.cqes.add((head & self.cq_mask) as usize).as_mut();
                let tag = Tag::decode(cqe.user_data);
                if tag.op == Op::Silent {
                    self.silent.cut_short(tag.extra, cqe.res);
                    cqe.user_data = Tag::new(Op::Quiet, 0, 0, 0).encode();
                }
                head = head.wrapping_add(1);
            }
        }
    }

    /// Whether there is work for an enter or a pop.
    pub fn has_work(&self) -> bool {
        // SAFETY: points into the ring's mapping.
        let flags = unsafe { self.sq_flags.as_ref() }.load(Ordering::Acquire);
        flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW) != 0 || self.has_completions()
    }

    /// Whether completions wait: in the queue, or outside because it was full.
    pub fn has_completions(&self) -> bool {
        // SAFETY: these point into the ring's mapping.
        let queued = unsafe {
            self.cq_head.as_ref().load(Ordering::Relaxed)
                != self.cq_tail.as_ref().load(Ordering::Acquire)
        };
        queued || self.has_overflowed()
    }

    /// Whether completions wait outside the queue because it was full.
    pub fn has_overflowed(&self) -> bool {
        // SAFETY: points into the ring's mapping.
        unsafe { self.sq_flags.as_ref() }.load(Ordering::Acquire) & IORING_SQ_CQ_OVERFLOW != 0
    }

    /// Turns signals of the registered eventfd on or off.
    pub fn notify(&self, on: bool) {
        // SAFETY: points into the ring's mapping; we alone write these flags.
        unsafe { self.cq_flags.as_ref() }.store(
            if on { 0 } else { IORING_CQ_EVENTFD_DISABLED },
            Ordering::Relaxed,
        );
    }

    /// Submits what was pushed and gets completions, [`AT_A_TIME`] or twice as many. Does not wait.
    pub fn enter(&mut self) -> io::Result<()> {
        self.call(0, IORING_ENTER_GETEVENTS, ptr::null(), 0)
    }

    /// The same, but gets `n` completions if as many are ready. If fewer are, this costs a timer that fires at
    /// once: a few microseconds.
    pub fn enter_for(&mut self, n: u32) -> io::Result<()> {
        if n <= AT_A_TIME {
            return self.enter();
        }
        let no_time = timespec(Duration::ZERO);
        let arg = events_arg(Some(&no_time), Duration::ZERO);
        let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
        self.call(n, flags, (&raw const arg).cast(), size_of::<GetEventsArg>())
    }

    /// Submits what was pushed. Only what completes by that has a completion.
    pub fn submit(&mut self) -> io::Result<()> {
        self.call(0, 0, ptr::null(), 0)
    }

    /// The same, and waits until there is a completion or `timeout` has passed.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.wait_for(1, Duration::ZERO, timeout)
    }

    /// The same, and waits until there are `n` completions, or `within` has passed and there is one, or `timeout`
    /// has passed. A kernel without this wait (before Linux 6.12) waits for one completion.
    pub fn wait_for(
        &mut self,
        n: u32,
        within: Duration,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let gathers = self.gathers && within > Duration::ZERO;
        let timeout = timeout.map(timespec);
        let least = if gathers { within } else { Duration::ZERO };
        let arg = events_arg(timeout.as_ref(), least);
        self.call(
            if gathers { n } else { 1 },
            IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
            (&raw const arg).cast(),
            size_of::<GetEventsArg>(),
        )
    }

    fn call(
        &mut self,
        min_complete: u32,
        flags: u32,
        arg: *const libc::c_void,
        arg_len: usize,
    ) -> io::Result<()> {
        self.fill();
        let to_submit = self.sq_entries - self.room();
        // SAFETY: the tail is in the mapping; entries before it are complete. `arg` is null or points to
        // what the flags promise, alive during the call.
        let done = unsafe {
            self.sq_tail.as_ref().store(self.tail, Ordering::Release);
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.fd.as_raw_fd(),
                to_submit,
                min_complete,
                flags,
                arg,
                arg_len,
            )
        };
        if done >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // The time has passed, a signal came, or the completion queue must be emptied first.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        }
    }
}
