/* Guest structures of poll, epoll, signalfd and inotify. Source: include/uapi/linux of the same names. */
#ifndef SUNDOG_LINUX_UAPI_POLL_H
#define SUNDOG_LINUX_UAPI_POLL_H

#include "sentry/base/types.h"

struct linux_pollfd { s32 fd; s16 events, revents; };
_Static_assert(sizeof(struct linux_pollfd) == 8, "pollfd");
struct linux_epoll_event { u32 events; u64 data; } __attribute__((packed));
_Static_assert(sizeof(struct linux_epoll_event) == 12, "epoll_event is packed on x86-64");
struct linux_sigset_arg { u64 p, len; };   /* sixth argument of pselect6 */
_Static_assert(sizeof(struct linux_sigset_arg) == 16, "pselect6 mask");
struct linux_signalfd_siginfo {
    u32 signo; s32 err, code;
    u32 pid, uid; s32 fd; u32 tid, band, overrun, trapno; s32 status, value_int;
    u64 ptr, utime, stime, addr;
    u16 addr_lsb, pad2; s32 syscall; u64 call_addr; u32 arch;
    u8 pad[28];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "signalfd_siginfo");
_Static_assert(offsetof(struct linux_signalfd_siginfo, ptr) == 48, "ssi_ptr");
_Static_assert(offsetof(struct linux_signalfd_siginfo, arch) == 96, "ssi_arch");

#endif
