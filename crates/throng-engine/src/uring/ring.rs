//! One io_uring instance: its shared memory, its system calls, its registered tables.
//!
//! The layouts are the kernel's (`include/uapi/linux/io_uring.h`). Only what the event loop needs is
//! here. All unsafe code that touches memory shared with the kernel is in this file.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

/// A submission queue entry (struct io_uring_sqe), with the names of its unions' most general members.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Sqe {
    pub opcode: u8,
    pub flags: u8,
    pub ioprio: u16,
    pub fd: i32,
    /// Also addr2, and cmd_op in its low half.
    pub off: u64,
    pub addr: u64,
    pub len: u32,
    /// msg_flags, accept_flags, cancel_flags, poll32_events …
    pub op_flags: u32,
    pub user_data: u64,
    /// Also the provided-buffer group.
    pub buf_index: u16,
    pub personality: u16,
    /// Slot + 1 of the table that a new file goes into. Also optlen.
    pub file_index: u32,
    pub addr3: u64,
    pub pad: u64,
}

/// A completion queue entry (struct io_uring_cqe).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Cqe {
    pub user_data: u64,
    pub res: i32,
    pub flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    resv1: u32,
    user_addr: u64,
}

#[repr(C)]
#[derive(Default)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    resv1: u32,
    user_addr: u64,
}

#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    resv: [u32; 3],
    sq_off: SqOffsets,
    cq_off: CqOffsets,
}

/// struct io_uring_getevents_arg.
#[repr(C)]
#[derive(Default)]
struct GetEventsArg {
    sigmask: u64,
    sigmask_sz: u32,
    min_wait_usec: u32,
    ts: u64,
}

/// struct io_uring_buf; the ring's tail lies in the first one's `resv`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Buf {
    addr: u64,
    len: u32,
    bid: u16,
    resv: u16,
}

const SETUP_CQSIZE: u32 = 1 << 3;
const SETUP_CLAMP: u32 = 1 << 4;
const SETUP_SUBMIT_ALL: u32 = 1 << 7;
const SETUP_TASKRUN_FLAG: u32 = 1 << 9;
const SETUP_SINGLE_ISSUER: u32 = 1 << 12;
const SETUP_DEFER_TASKRUN: u32 = 1 << 13;

const FEAT_SINGLE_MMAP: u32 = 1 << 0;
const FEAT_NODROP: u32 = 1 << 1;
const FEAT_EXT_ARG: u32 = 1 << 8;

const ENTER_GETEVENTS: u32 = 1 << 0;
const ENTER_EXT_ARG: u32 = 1 << 3;

const SQ_CQ_OVERFLOW: u32 = 1 << 1;
const SQ_TASKRUN: u32 = 1 << 2;
const CQ_EVENTFD_DISABLED: u32 = 1 << 0;

const OFF_SQ_RING: i64 = 0;
const OFF_SQES: i64 = 0x1000_0000;

const REGISTER_EVENTFD: u32 = 4;
const UNREGISTER_FILES: u32 = 3;
const REGISTER_PROBE: u32 = 8;
const REGISTER_FILES2: u32 = 13;
const REGISTER_PBUF_RING: u32 = 22;
const RSRC_REGISTER_SPARSE: u32 = 1 << 0;

pub(super) const IOSQE_FIXED_FILE: u8 = 1 << 0;
pub(super) const IOSQE_BUFFER_SELECT: u8 = 1 << 5;
pub(super) const IOSQE_IO_HARDLINK: u8 = 1 << 3;
pub(super) const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;

pub(super) const CQE_F_BUFFER: u32 = 1 << 0;
pub(super) const CQE_F_MORE: u32 = 1 << 1;
pub(super) const CQE_BUFFER_SHIFT: u32 = 16;

/// Memory mapped from the kernel, unmapped on drop.
struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(fd: RawFd, offset: i64, len: usize, flags: i32) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing existing is touched.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd,
                offset,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast())
            .map(|at| Mapping { at, len })
            .ok_or_else(io::Error::last_os_error)
    }

    /// The `T` at byte `offset`.
    fn field<T>(&self, offset: u32) -> NonNull<T> {
        assert!(
            offset as usize + size_of::<T>() <= self.len,
            "the kernel gave an offset outside its mapping"
        );
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.at.add(offset as usize).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and whoever points into it goes with it.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// Added to the distance between buffers. If all began at the same place of a page, the first line of
/// each, which is all that a short message needs, would fall into the same few places of a cache.
const COLOUR: usize = 64;

/// Buffers that any ring of one worker may receive into. See [`Ring::provide`].
pub(super) struct BufferPool {
    memory: Mapping,
    size: u32,
    count: u16,
    /// From one buffer to the next; 0 if all are the same memory, which nobody writes to or reads.
    step: usize,
}

impl BufferPool {
    /// `count` (a power of two) buffers of `size` bytes.
    pub fn new(count: u16, size: u32) -> io::Result<BufferPool> {
        assert!(count.is_power_of_two());
        let len = usize::from(count) * (size as usize + COLOUR);
        let memory = Mapping::new(-1, 0, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)?;
        Ok(BufferPool {
            memory,
            size,
            count,
            step: size as usize + COLOUR,
        })
    }

    /// `count` (a power of two) buffers of `size` bytes for receives that discard what comes (see
    /// [`op::discard`](super::op::discard)): they are only numbers and cost no memory.
    pub fn for_discards(count: u16, size: u32) -> io::Result<BufferPool> {
        assert!(count.is_power_of_two());
        let memory = Mapping::new(
            -1,
            0,
            size as usize,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        )?;
        Ok(BufferPool {
            memory,
            size,
            count,
            step: 0,
        })
    }

    /// Address of buffer `bid`.
    pub fn address(&self, bid: u16) -> u64 {
        self.memory.at.as_ptr() as u64 + u64::from(bid) * self.step as u64
    }

    /// The first `len` bytes of buffer `bid`, which a completion said were received. Valid until the
    /// buffer is given back with [`Ring::give_back`].
    pub fn bytes(&self, bid: u16, len: usize) -> &[u8] {
        assert!(bid < self.count && len <= self.size as usize);
        // SAFETY: inside the mapping, initialised (anonymous memory is zeroed), and the kernel writes
        // to a buffer only between giving it back and its completion.
        unsafe { std::slice::from_raw_parts(self.address(bid) as *const u8, len) }
    }
}

/// An io_uring instance of the calling thread, which alone may use it.
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
    /// Our own copy of the SQ's tail; the kernel sees it at the next enter.
    tail: u32,
    /// What did not fit in the SQ, in order.
    queue: VecDeque<Sqe>,
    bufs: Option<BufferRing>,
    _rings: Mapping,
    _sqes: Mapping,
}

struct BufferRing {
    memory: Mapping,
    mask: u16,
    tail: u16,
}

fn register(fd: RawFd, opcode: u32, arg: *const libc::c_void, n: u32) -> io::Result<()> {
    // SAFETY: each caller passes what this opcode reads (and n of it), alive during the call.
    let done = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, opcode, arg, n) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

impl Ring {
    /// A ring with `entries` submission and `cq_entries` completion slots. Completions are worked out
    /// only when this thread enters the ring (DEFER_TASKRUN, Linux 6.1): no interrupts between, and
    /// received data appears only while we look at this ring.
    pub fn new(entries: u32, cq_entries: u32) -> io::Result<Ring> {
        let mut params = Params {
            flags: SETUP_CQSIZE
                | SETUP_CLAMP
                | SETUP_SUBMIT_ALL
                | SETUP_TASKRUN_FLAG
                | SETUP_SINGLE_ISSUER
                | SETUP_DEFER_TASKRUN,
            cq_entries,
            ..Params::default()
        };
        // SAFETY: the kernel fills in `params`, which is of its layout.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, &raw mut params) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        let needed = FEAT_SINGLE_MMAP | FEAT_NODROP | FEAT_EXT_ARG;
        if params.features & needed != needed {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let sq_bytes = params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cq_bytes = params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<Cqe>();
        let shared = libc::MAP_SHARED | libc::MAP_POPULATE;
        let rings = Mapping::new(fd.as_raw_fd(), OFF_SQ_RING, sq_bytes.max(cq_bytes), shared)?;
        let sqes = Mapping::new(
            fd.as_raw_fd(),
            OFF_SQES,
            params.sq_entries as usize * size_of::<Sqe>(),
            shared,
        )?;
        // The indirection array maps each position to itself, once and for all.
        for i in 0..params.sq_entries {
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
            bufs: None,
            _rings: rings,
            _sqes: sqes,
            fd,
        })
    }

    /// Which of `opcodes` this kernel does not have.
    pub fn lacks(&self, opcodes: &[u8]) -> io::Result<Vec<u8>> {
        const OPS: usize = 256;
        // struct io_uring_probe: 16 bytes of header, then 8 bytes an operation: op, resv, flags (u16), resv2.
        let mut probe = [0u64; 2 + OPS];
        register(
            self.fd.as_raw_fd(),
            REGISTER_PROBE,
            probe.as_mut_ptr().cast(),
            OPS as u32,
        )?;
        let supported = |op: u8| probe[2 + usize::from(op)].to_ne_bytes()[2] & 1 == 1;
        Ok(opcodes
            .iter()
            .copied()
            .filter(|op| !supported(*op))
            .collect())
    }

    /// Gives the ring a table of `slots` empty places for direct descriptors. Fails with EMFILE if that
    /// is more than RLIMIT_NOFILE.
    pub fn register_table(&self, slots: u32) -> io::Result<()> {
        // struct io_uring_rsrc_register: nr, flags, resv2, data, tags.
        #[repr(C)]
        struct Register {
            nr: u32,
            flags: u32,
            resv2: u64,
            data: u64,
            tags: u64,
        }
        let arg = Register {
            nr: slots,
            flags: RSRC_REGISTER_SPARSE,
            resv2: 0,
            data: 0,
            tags: 0,
        };
        register(
            self.fd.as_raw_fd(),
            REGISTER_FILES2,
            (&raw const arg).cast(),
            size_of::<Register>() as u32,
        )
    }

    /// Closes every file in the table. What requests still hold stays open until they end.
    pub fn unregister_table(&self) -> io::Result<()> {
        register(self.fd.as_raw_fd(), UNREGISTER_FILES, ptr::null(), 0)
    }

    /// Makes the ring signal `eventfd` when there is something to do, while [`Ring::notify`] is on.
    pub fn register_eventfd(&self, eventfd: RawFd) -> io::Result<()> {
        register(
            self.fd.as_raw_fd(),
            REGISTER_EVENTFD,
            (&raw const eventfd).cast(),
            1,
        )
    }

    /// Lets receives of this ring choose from all buffers of `pool` (group 0). A worker gives the same
    /// pool to all its rings: with DEFER_TASKRUN a ring fills buffers only while it is entered, and the
    /// worker deals with all completions of a ring before it enters another, so at any instant only
    /// one ring has buffers in use.
    pub fn provide(&mut self, pool: &BufferPool) -> io::Result<()> {
        let len = usize::from(pool.count) * size_of::<Buf>();
        let memory = Mapping::new(-1, 0, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)?;
        // struct io_uring_buf_reg: ring_addr, ring_entries, bgid, flags, resv[3].
        #[repr(C)]
        struct Register {
            addr: u64,
            entries: u32,
            bgid: u16,
            flags: u16,
            resv: [u64; 3],
        }
        let arg = Register {
            addr: memory.at.as_ptr() as u64,
            entries: pool.count.into(),
            bgid: 0,
            flags: 0,
            resv: [0; 3],
        };
        register(
            self.fd.as_raw_fd(),
            REGISTER_PBUF_RING,
            (&raw const arg).cast(),
            1,
        )?;
        self.bufs = Some(BufferRing {
            memory,
            mask: pool.count - 1,
            tail: 0,
        });
        for bid in 0..pool.count {
            self.give_back(pool, bid);
        }
        Ok(())
    }

    /// Lets receives of this ring choose buffer `bid` of `pool` again.
    pub fn give_back(&mut self, pool: &BufferPool, bid: u16) {
        let Some(bufs) = &mut self.bufs else { return };
        let slot = bufs
            .memory
            .field::<Buf>(u32::from(bufs.tail & bufs.mask) * size_of::<Buf>() as u32);
        bufs.tail = bufs.tail.wrapping_add(1);
        // SAFETY: inside the mapping; this entry is ours until the tail passes it. `resv` of the first
        // entry is the tail and must not be overwritten, so the fields are written one by one.
        unsafe {
            (&raw mut (*slot.as_ptr()).addr).write(pool.address(bid));
            (&raw mut (*slot.as_ptr()).len).write(pool.size);
            (&raw mut (*slot.as_ptr()).bid).write(bid);
            let tail = bufs
                .memory
                .field::<AtomicU16>(mem::offset_of!(Buf, resv) as u32);
            tail.as_ref().store(bufs.tail, Ordering::Release);
        }
    }

    fn room(&self) -> u32 {
        // SAFETY: points into the ring's mapping.
        let head = unsafe { self.sq_head.as_ref() }.load(Ordering::Acquire);
        self.sq_entries - self.tail.wrapping_sub(head)
    }

    /// Whether anything was pushed and not yet submitted.
    pub fn has_pending(&self) -> bool {
        self.room() < self.sq_entries || !self.queue.is_empty()
    }

    /// Queues `sqe` for the next enter; what does not fit goes with a later one, in order. Addresses in
    /// it must stay valid until its completion, or, for connect, bind and setsockopt, until it is
    /// submitted.
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

    /// Moves what waits into the SQ.
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

    /// Whether there is something for an enter or a pop to do.
    pub fn has_work(&self) -> bool {
        // SAFETY: points into the ring's mapping.
        let flags = unsafe { self.sq_flags.as_ref() }.load(Ordering::Acquire);
        flags & (SQ_TASKRUN | SQ_CQ_OVERFLOW) != 0 || self.has_completions()
    }

    /// Whether completions wait here: in the queue, or beside it because it was full.
    pub fn has_completions(&self) -> bool {
        // SAFETY: these point into the ring's mapping.
        unsafe {
            self.cq_head.as_ref().load(Ordering::Relaxed)
                != self.cq_tail.as_ref().load(Ordering::Acquire)
                || self.sq_flags.as_ref().load(Ordering::Acquire) & SQ_CQ_OVERFLOW != 0
        }
    }

    /// Whether the registered eventfd is signalled when there is something to do.
    pub fn notify(&self, on: bool) {
        // SAFETY: points into the ring's mapping; we alone write these flags.
        unsafe { self.cq_flags.as_ref() }
            .store(if on { 0 } else { CQ_EVENTFD_DISABLED }, Ordering::Relaxed);
    }

    /// Submits what was pushed and works out what completed, without waiting. The kernel works out some
    /// twenty completions a call.
    pub fn enter(&mut self) -> io::Result<()> {
        self.call(0, ENTER_GETEVENTS, ptr::null(), 0)
    }

    /// Submits what was pushed; only what completes by that appears.
    pub fn submit(&mut self) -> io::Result<()> {
        self.call(0, 0, ptr::null(), 0)
    }

    /// The same, and waits until `at_least` completions are there or `timeout` has passed.
    pub fn wait(&mut self, at_least: u32, timeout: Option<Duration>) -> io::Result<()> {
        let ts = libc::timespec {
            tv_sec: timeout.map_or(0, |t| t.as_secs() as libc::time_t),
            tv_nsec: timeout.map_or(0, |t| libc::c_long::from(t.subsec_nanos())),
        };
        let arg = GetEventsArg {
            ts: timeout.map_or(0, |_| (&raw const ts) as u64),
            ..GetEventsArg::default()
        };
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
        self.call(
            at_least,
            flags,
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
            // The time passed, a signal came, or the completion queue must be emptied first: look again.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        }
    }
}
