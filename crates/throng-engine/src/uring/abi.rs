//! The layouts and numbers of io_uring's interface, as the kernel has them
//! (`include/uapi/linux/io_uring.h`). Only what the event loop needs is here.

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
pub(super) struct SqOffsets {
    pub head: u32,
    pub tail: u32,
    pub ring_mask: u32,
    pub ring_entries: u32,
    pub flags: u32,
    pub dropped: u32,
    pub array: u32,
    pub resv1: u32,
    pub user_addr: u64,
}

#[repr(C)]
#[derive(Default)]
pub(super) struct CqOffsets {
    pub head: u32,
    pub tail: u32,
    pub ring_mask: u32,
    pub ring_entries: u32,
    pub overflow: u32,
    pub cqes: u32,
    pub flags: u32,
    pub resv1: u32,
    pub user_addr: u64,
}

#[repr(C)]
#[derive(Default)]
pub(super) struct Params {
    pub sq_entries: u32,
    pub cq_entries: u32,
    pub flags: u32,
    pub sq_thread_cpu: u32,
    pub sq_thread_idle: u32,
    pub features: u32,
    pub wq_fd: u32,
    pub resv: [u32; 3],
    pub sq_off: SqOffsets,
    pub cq_off: CqOffsets,
}

/// struct io_uring_getevents_arg.
#[repr(C)]
#[derive(Default)]
pub(super) struct GetEventsArg {
    pub sigmask: u64,
    pub sigmask_sz: u32,
    pub min_wait_usec: u32,
    pub ts: u64,
}

/// struct io_uring_buf; the ring's tail lies in the first one's `resv`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Buf {
    pub addr: u64,
    pub len: u32,
    pub bid: u16,
    pub resv: u16,
}

pub(super) const SETUP_CQSIZE: u32 = 1 << 3;
pub(super) const SETUP_CLAMP: u32 = 1 << 4;
pub(super) const SETUP_SUBMIT_ALL: u32 = 1 << 7;
pub(super) const SETUP_TASKRUN_FLAG: u32 = 1 << 9;
pub(super) const SETUP_SINGLE_ISSUER: u32 = 1 << 12;
pub(super) const SETUP_DEFER_TASKRUN: u32 = 1 << 13;
pub(super) const SETUP_NO_SQARRAY: u32 = 1 << 16;

pub(super) const FEAT_SINGLE_MMAP: u32 = 1 << 0;
pub(super) const FEAT_NODROP: u32 = 1 << 1;
pub(super) const FEAT_EXT_ARG: u32 = 1 << 8;
/// Waits may have a shortest time, too (Linux 6.12).
pub(super) const FEAT_MIN_TIMEOUT: u32 = 1 << 15;

pub(super) const ENTER_GETEVENTS: u32 = 1 << 0;
pub(super) const ENTER_EXT_ARG: u32 = 1 << 3;

pub(super) const SQ_CQ_OVERFLOW: u32 = 1 << 1;
pub(super) const SQ_TASKRUN: u32 = 1 << 2;
pub(super) const CQ_EVENTFD_DISABLED: u32 = 1 << 0;

pub(super) const OFF_SQ_RING: i64 = 0;
pub(super) const OFF_SQES: i64 = 0x1000_0000;

pub(super) const REGISTER_EVENTFD: u32 = 4;
pub(super) const UNREGISTER_FILES: u32 = 3;
pub(super) const REGISTER_PROBE: u32 = 8;
pub(super) const REGISTER_FILES2: u32 = 13;
pub(super) const REGISTER_PBUF_RING: u32 = 22;
pub(super) const RSRC_REGISTER_SPARSE: u32 = 1 << 0;

pub(super) const IOSQE_FIXED_FILE: u8 = 1 << 0;
pub(super) const IOSQE_BUFFER_SELECT: u8 = 1 << 5;
pub(super) const IOSQE_IO_HARDLINK: u8 = 1 << 3;
pub(super) const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;

pub(super) const CQE_F_BUFFER: u32 = 1 << 0;
pub(super) const CQE_F_MORE: u32 = 1 << 1;
pub(super) const CQE_BUFFER_SHIFT: u32 = 16;
