//! io_uring's interface: layouts and numbers from linux-raw-sys (the kernel's
//! `include/uapi/linux/io_uring.h`), and the register call.
//!
//! The entries of the two queues have types of their own: the kernel's consist of unions, which cannot be
//! read without unsafe code. The assertions below say that both lie in memory in the same way.

pub(super) use linux_raw_sys::io_uring::{
    __kernel_timespec as Timespec, IORING_ACCEPT_DONTWAIT, IORING_ASYNC_CANCEL_ALL,
    IORING_ASYNC_CANCEL_FD, IORING_ASYNC_CANCEL_FD_FIXED, IORING_CQ_EVENTFD_DISABLED,
    IORING_CQE_BUFFER_SHIFT, IORING_CQE_F_BUFFER, IORING_CQE_F_MORE, IORING_CQE_F_SOCK_NONEMPTY,
    IORING_ENTER_EXT_ARG, IORING_ENTER_GETEVENTS, IORING_FEAT_EXT_ARG, IORING_FEAT_MIN_TIMEOUT,
    IORING_FEAT_NODROP, IORING_FEAT_SINGLE_MMAP, IORING_OFF_SQ_RING, IORING_OFF_SQES,
    IORING_POLL_ADD_MULTI, IORING_RECV_MULTISHOT, IORING_RECVSEND_POLL_FIRST,
    IORING_RSRC_REGISTER_SPARSE, IORING_SETUP_CLAMP, IORING_SETUP_CQSIZE,
    IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_NO_SQARRAY, IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SUBMIT_ALL, IORING_SETUP_TASKRUN_FLAG, IORING_SQ_CQ_OVERFLOW, IORING_SQ_TASKRUN,
    io_uring_buf as Buf, io_uring_buf_reg as BufferRegistration,
    io_uring_getevents_arg as GetEventsArg, io_uring_op as Opcode, io_uring_params as Params,
    io_uring_register_op as RegisterOp, io_uring_rsrc_register as FilesRegistration,
    io_uring_socket_op as SocketCommand,
};
use linux_raw_sys::io_uring::{
    IO_URING_OP_SUPPORTED, io_uring_buf_ring__bindgen_ty_1__bindgen_ty_1 as BufRingHead,
    io_uring_cqe, io_uring_probe, io_uring_probe_op, io_uring_sqe,
    io_uring_sqe_flags_bit as SqeBit,
};
use std::io;
use std::mem::{self, offset_of};
use std::os::fd::RawFd;

pub(super) const IOSQE_FIXED_FILE: u8 = 1 << SqeBit::IOSQE_FIXED_FILE_BIT as u8;
pub(super) const IOSQE_BUFFER_SELECT: u8 = 1 << SqeBit::IOSQE_BUFFER_SELECT_BIT as u8;
pub(super) const IOSQE_IO_HARDLINK: u8 = 1 << SqeBit::IOSQE_IO_HARDLINK_BIT as u8;
pub(super) const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << SqeBit::IOSQE_CQE_SKIP_SUCCESS_BIT as u8;

/// A submission queue entry. Each field has the name of its union's most general member.
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
    /// msg_flags, accept_flags, cancel_flags, poll32_events and others.
    pub op_flags: u32,
    pub user_data: u64,
    /// Also the group of provided buffers.
    pub buf_index: u16,
    pub personality: u16,
    /// Slot + 1 of the file table that a new file goes into. Also optlen.
    pub file_index: u32,
    pub addr3: u64,
    pub pad: u64,
}

/// A completion queue entry.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Cqe {
    pub user_data: u64,
    pub res: i32,
    pub flags: u32,
}

/// Asserts that a field of ours lies where the kernel's does.
macro_rules! same_place {
    ($($ours:ident.$field:ident = $kernel:ident.$member:ident),* $(,)?) => {
        $(assert!(offset_of!($ours, $field) == offset_of!($kernel, $member));)*
    };
}

const _: () = {
    assert!(size_of::<Sqe>() == 64 && size_of::<io_uring_sqe>() == 64);
    assert!(size_of::<Cqe>() == 16 && size_of::<io_uring_cqe>() == 16);
    same_place![
        Sqe.opcode = io_uring_sqe.opcode,
        Sqe.flags = io_uring_sqe.flags,
        Sqe.ioprio = io_uring_sqe.ioprio,
        Sqe.fd = io_uring_sqe.fd,
        Sqe.off = io_uring_sqe.__bindgen_anon_1,
        Sqe.addr = io_uring_sqe.__bindgen_anon_2,
        Sqe.len = io_uring_sqe.len,
        Sqe.op_flags = io_uring_sqe.__bindgen_anon_3,
        Sqe.user_data = io_uring_sqe.user_data,
        Sqe.buf_index = io_uring_sqe.__bindgen_anon_4,
        Sqe.personality = io_uring_sqe.personality,
        Sqe.file_index = io_uring_sqe.__bindgen_anon_5,
        Sqe.addr3 = io_uring_sqe.__bindgen_anon_6,
        Cqe.user_data = io_uring_cqe.user_data,
        Cqe.res = io_uring_cqe.res,
        Cqe.flags = io_uring_cqe.flags,
        // The tail of a ring of buffers lies in the first entry's `resv`.
        Buf.resv = BufRingHead.tail,
    ];
};

/// Which operations the kernel has (IORING_REGISTER_PROBE).
#[repr(C)]
pub(super) struct Probe {
    head: io_uring_probe,
    ops: [io_uring_probe_op; Probe::OPS],
}

impl Probe {
    const OPS: usize = 256;

    /// Asks the ring `fd`.
    pub fn new(fd: RawFd) -> io::Result<Probe> {
        // SAFETY: plain integers, for which zero is valid.
        let mut probe: Probe = unsafe { mem::zeroed() };
        let ask = RegisterOp::IORING_REGISTER_PROBE;
        register(fd, ask, (&raw mut probe).cast(), Probe::OPS as u32)?;
        Ok(probe)
    }

    /// Whether the kernel has `op`.
    pub fn has(&self, op: Opcode) -> bool {
        let op = op as usize;
        op < usize::from(self.head.ops_len)
            && u32::from(self.ops[op].flags) & IO_URING_OP_SUPPORTED != 0
    }
}

/// Calls io_uring_register with `n` of what `arg` points to. The type behind `arg` depends on `op`.
pub(super) fn register(
    fd: RawFd,
    op: RegisterOp,
    arg: *const libc::c_void,
    n: u32,
) -> io::Result<()> {
    // SAFETY: each caller passes what this operation reads (and n of it), alive during the call.
    let done = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, op as u32, arg, n) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
