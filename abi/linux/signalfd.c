/* signalfd(2). */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_poll.h"
#include "sentry/fs/anon/anon.h"
#include <string.h>
#include <sys/signalfd.h>

/* Which fields count follows signo and code as in signalfd_copyinfo(). */
static void encode(const struct ksiginfo *i, void *record)
{
    struct linux_signalfd_siginfo s = { .signo = (u32)i->signo, .err = i->err, .code = i->code };

    if (i->code == SI_TIMER) {
        s.tid = (u32)i->timer_id;
        s.overrun = (u32)i->overrun;
        s.ptr = i->value;
        s.value_int = (s32)i->value;
    } else if (i->code <= 0) {
        s.pid = (u32)i->pid;
        s.uid = uid_out(i->uid);
        if (i->code != SI_USER && i->code != SI_TKILL) {
            s.ptr = i->value;
            s.value_int = (s32)i->value;
        }
    } else if (i->code != SI_KERNEL) {
        switch (i->signo) {
        case SIGCHLD:
            s.pid = (u32)i->pid;
            s.uid = uid_out(i->uid);
            s.status = i->status;
            s.utime = (u64)i->utime;
            s.stime = (u64)i->stime;
            break;
        case SIGSEGV:
        case SIGBUS:
        case SIGILL:
        case SIGFPE:
        case SIGTRAP:
            s.addr = i->addr;
            s.addr_lsb = i->addr_lsb;
            s.trapno = i->trapno;
            break;
        case SIGIO:
            s.band = (u32)i->band;
            s.fd = i->fd;
            break;
        case SIGSYS:
            s.call_addr = i->call_addr;
            s.syscall = i->syscall;
            s.arch = i->arch;
            break;
        default: /* a signal that F_SETSIG chose */
            if (i->code <= 6) {
                s.band = (u32)i->band;
                s.fd = i->fd;
            }
            break;
        }
    }
    memcpy(record, &s, sizeof s);
}

__attribute__((constructor)) static void signalfd_setup(void) { signalfd_encode = encode; }

static sysret_t create(int fd, gaddr_t mask, u64 size, u32 flags)
{
    ksigset_t m;
    struct file *f, *old = NULL;
    int r;

    if (flags & ~(u32)(SFD_CLOEXEC | SFD_NONBLOCK)) return -EINVAL;
    r = linux_copy_in_sigset(&m, mask, size);
    if (r) return r;
    if (fd != -1) {
        old = fd_get(fd);
        if (!old) return -EBADF;
        r = signalfd_create(old, &m, 0, NULL);
        file_put(old);
        return r ? r : fd;
    }
    r = signalfd_create(NULL, &m, flags & SFD_NONBLOCK, &f);
    if (r) return r;
    r = fd_install(f, flags & SFD_CLOEXEC);
    if (r < 0) file_put(f);
    return r;
}

sysret_t linux_signalfd(const struct syscall_args *a) { return create(ARG_INT(0), a->a[1], a->a[2], 0); }
sysret_t linux_signalfd4(const struct syscall_args *a) { return create(ARG_INT(0), a->a[1], a->a[2], ARG_U32(3)); }
