/*
 * ioctl: request numbers and argument layouts to those of the host, which files understand. Where layouts differ, the
 * host's form goes through a little guest memory below the red zone of the caller's stack, which is nobody's.
 * Source: sys/filio.h, termios.h, ttycom.h, stropts.h, sockio.h.
 */
#include "abi/solaris/devpoll.h"
#include "abi/solaris/net.h"
#include "abi/solaris/solaris.h"
#include "sentry/vfs/fasync.h"
#include <asm/ioctls.h>
#include <linux/sockios.h>

#define SCRATCH 256
/* Solaris VMIN and VTIME share the places of EOF and EOL. */
enum { S_VEOF = 4, S_VEOL = 5, S_VEOL2 = 6 };
enum { H_VEOF = 4, H_VTIME = 5, H_VMIN = 6, H_VEOL = 11, H_VEOL2 = 16 };
#define L_ICANON 2u
struct host_termios { u32 iflag, oflag, cflag, lflag; u8 line, cc[19]; };
struct host_termio { u16 iflag, oflag, cflag, lflag; u8 line, cc[8]; };
#define S_CBAUD 0xfu
#define S_CBAUDEXT 0x200000u
#define H_CBAUD 0x100fu
#define S_CFLAGS 0x80000ff0u   /* CSIZE CSTOPB CREAD PARENB PARODD HUPCL CLOCAL and CRTSCTS */
#define H_CFLAGS 0x80000ff0u

/* Speeds: B0 to B38400 equal, the faster ones numbered otherwise. */
static const u16 fast[][2] = { { 16, 0x1001 }, { 18, 0x1002 }, { 20, 0x1003 }, { 22, 0x1004 }, { 23, 0x1007 } };

static u32 cflag_out(u32 h)
{
    u32 speed = h & H_CBAUD, out = h & H_CFLAGS;

    if (!(speed & 0x1000)) return out | (speed & S_CBAUD);
    for (size_t i = 0; i < ARRAY_LEN(fast); i++)
        if (fast[i][1] == speed) return out | S_CBAUDEXT | (fast[i][0] & S_CBAUD);
    return out | 15;
}

static u32 cflag_in(u32 s)
{
    u32 out = s & H_CFLAGS, n = (s & S_CBAUD) + 16;

    if (!(s & S_CBAUDEXT)) return out | (s & S_CBAUD);
    for (size_t i = 0; i < ARRAY_LEN(fast); i++)
        if (fast[i][0] == n) return out | fast[i][1];
    return out | 15;
}

static void cc_out(u8 *s, const u8 *h, bool canon, size_t n)
{
    memset(s, 0, n);
    for (size_t i = 0; i < MIN(n, (size_t)16); i++) s[i] = h[i];
    s[S_VEOF] = canon ? h[H_VEOF] : h[H_VMIN];
    s[S_VEOL] = canon ? h[H_VEOL] : h[H_VTIME];
    if (n > S_VEOL2) s[S_VEOL2] = h[H_VEOL2];
    if (n > 11) s[11] = 25;   /* DSUSP: ^Y, which the line discipline here does not know */
}

static void cc_in(u8 *h, const u8 *s, bool canon, size_t n)
{
    for (size_t i = 0; i < MIN(n, (size_t)16); i++)
        if (i != 4 && i != 5 && i != 6 && i != 11) h[i] = s[i];
    if (canon) {
        h[H_VEOF] = s[S_VEOF];
        h[H_VEOL] = s[S_VEOL];
    } else {
        h[H_VMIN] = s[S_VEOF];
        h[H_VTIME] = s[S_VEOL];
    }
    if (n > S_VEOL2) h[H_VEOL2] = s[S_VEOL2];
}

static sysret_t host_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    sysret_t r = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
    return r == -ENOSYS ? -ENOTTY : r;
}

static gaddr_t scratch(void) { return (current->regs.rsp - 128 - SCRATCH) & ~15ULL; }

static sysret_t get_host_termios(struct file *f, struct host_termios *h)
{
    sysret_t r = host_ioctl(f, TCGETS, scratch());
    return r < 0 ? r : copy_in(h, scratch(), sizeof(*h));
}

static sysret_t termios_get(struct file *f, bool old, gaddr_t arg)
{
    struct host_termios h;
    sysret_t r = get_host_termios(f, &h);

    if (r < 0) return r;
    if (old) {
        struct sol_termio t = { .iflag = (u16)h.iflag, .oflag = (u16)h.oflag, .cflag = (u16)cflag_out(h.cflag), .lflag = (u16)h.lflag };
        cc_out(t.cc, h.cc, h.lflag & L_ICANON, sizeof(t.cc));
        return copy_out(arg, &t, 18);
    }
    struct sol_termios t = { .iflag = h.iflag, .oflag = h.oflag, .cflag = cflag_out(h.cflag), .lflag = h.lflag };
    cc_out(t.cc, h.cc, h.lflag & L_ICANON, sizeof(t.cc));
    return copy_out(arg, &t, sizeof(t));
}

static sysret_t termios_set(struct file *f, bool old, u32 host_cmd, gaddr_t arg)
{
    struct host_termios h;
    sysret_t r = get_host_termios(f, &h);

    if (r < 0) return r;
    if (old) {
        struct sol_termio t;
        if (copy_in(&t, arg, 18)) return -EFAULT;
        h.iflag = (h.iflag & 0xffff0000) | t.iflag;
        h.oflag = (h.oflag & 0xffff0000) | t.oflag;
        h.cflag = cflag_in(t.cflag);
        h.lflag = (h.lflag & 0xffff0000) | t.lflag;
        cc_in(h.cc, t.cc, h.lflag & L_ICANON, sizeof(t.cc));
    } else {
        struct sol_termios t;
        if (copy_in(&t, arg, sizeof(t))) return -EFAULT;
        h.iflag = t.iflag, h.oflag = t.oflag, h.cflag = cflag_in(t.cflag), h.lflag = t.lflag;
        cc_in(h.cc, t.cc, h.lflag & L_ICANON, sizeof(t.cc));
    }
    if (copy_out(scratch(), &h, sizeof(h))) return -EFAULT;
    return host_ioctl(f, host_cmd, scratch());
}

static sysret_t flag_bit(struct file *f, gaddr_t arg, u32 bit)
{
    s32 on;

    if (copy_in(&on, arg, sizeof(on))) return -EFAULT;
    if (on) atomic_or(&f->flags, bit);
    else atomic_and(&f->flags, ~bit);
    return 0;
}

/* FIOASYNC */
static sysret_t set_async(struct file *f, int fd, gaddr_t arg)
{
    s32 on;

    if (copy_in(&on, arg, sizeof(on))) return -EFAULT;
    if (on) atomic_or(&f->flags, (u32)O_ASYNC);
    else atomic_and(&f->flags, ~(u32)O_ASYNC);
    file_async_update(f, fd);
    return 0;
}

static sysret_t readable(struct file *f, gaddr_t arg)
{
    struct kstat st;

    if (!S_ISREG(f->inode->mode)) return host_ioctl(f, FIONREAD, arg);
    int r = vfs_stat_file(f, &st);
    if (r) return r;
    lock(&f->pos_lock);
    s32 n = (s32)((s64)st.size - (s64)f->pos);
    unlock(&f->pos_lock);
    return copy_out(arg, &n, sizeof(n));
}

/* STREAMS on terminals: the modules a terminal needs are in it already. */
static bool is_tty(struct file *f)
{
    struct host_termios h;
    return S_ISCHR(f->inode->mode) && get_host_termios(f, &h) >= 0;
}

static sysret_t streams(struct file *f, u32 cmd, gaddr_t arg)
{
    static const char *const modules[] = { "ptem", "ldterm", "ttcompat" };
    char name[16];
    struct { s32 cmd, timeout, len, pad; u64 dp; } si;
    ssize_t n;

    switch (cmd) {
    case 0x5302: case 0x530b:            /* I_PUSH, I_FIND */
        n = copy_in_str(name, arg, sizeof(name));
        if (n < 0) return n == -ENAMETOOLONG ? -EINVAL : n;
        if (!is_tty(f)) return cmd == 0x530b ? 0 : -ENOTTY;
        for (size_t i = 0; i < ARRAY_LEN(modules); i++)
            if (!strcmp(name, modules[i])) return cmd == 0x530b ? 1 : 0;
        return -EINVAL;
    case 0x5308:                         /* I_STR: of a pty master, grantpt and unlockpt */
        if (copy_in(&si, arg, sizeof(si))) return -EFAULT;
        switch (si.cmd) {
        case ('P' << 8) | 1: return is_tty(f) ? 0 : -EINVAL;      /* ISPTM */
        case ('P' << 8) | 2: {                                    /* UNLKPT */
            s32 zero = 0;
            if (copy_out(scratch(), &zero, sizeof(zero))) return -EFAULT;
            return host_ioctl(f, TIOCSPTLCK, scratch());
        }
        case ('P' << 8) | 5: return 0;                            /* OWNERPT */
        default: return -EINVAL;
        }
    case 0x5305: return host_ioctl(f, TCFLSH, arg == 1 ? 0 : arg == 2 ? 1 : 2);   /* I_FLUSH */
    case 0x5322: return vfs_poll(f, NULL) & POLLOUT ? 1 : 0;      /* I_CANPUT */
    case 0x5303: case 0x5304: case 0x5315:                        /* POP, LOOK, LIST */
        return is_tty(f) ? -EINVAL : -ENOTTY;
    default: return -ENOTTY;
    }
}

/* The same layout under another number. */
static const struct { u32 sol, host; } same[] = {
    { 0x5405, TCSBRK }, { 0x5406, TCXONC }, { 0x5407, TCFLSH }, { 0x5468, TIOCGWINSZ }, { 0x5467, TIOCSWINSZ }, { 0x7414, TIOCGPGRP },
    { 0x7415, TIOCSPGRP }, { 0x7416, TIOCGSID }, { 0x7484, TIOCSCTTY }, { 0x7471, TIOCNOTTY }, { 0x7473, TIOCOUTQ }, { 0x740d, TIOCEXCL },
    { 0x740e, TIOCNXCL }, { 0x7417, TIOCSTI }, { 0x741d, TIOCMGET }, { 0x741a, TIOCMSET }, { 0x7400, TIOCGETD }, { 0x7401, TIOCSETD },
    { 0x40047307, SIOCATMARK }, { 0x80047308, SIOCSPGRP }, { 0x40047309, SIOCGPGRP }, { 0x8004667c, FIOSETOWN }, { 0x4004667b, FIOGETOWN },
};

sysret_t solaris_ioctl(const struct syscall_args *a)
{
    int fd = ARG_INT(0);
    u32 cmd = ARG_U32(1);
    gaddr_t arg = a->a[2];

    FILE_ARG(f, fd);
    if (unlikely(sol_file_is_devpoll(f))) return sol_devpoll_ioctl(f, cmd, arg);
    switch (cmd) {
    case 0x20006601: return fd_set_cloexec(fd, true);
    case 0x20006602: return fd_set_cloexec(fd, false);
    case 0x8004667e: return flag_bit(f, arg, O_NONBLOCK);
    case 0x8004667d: return set_async(f, fd, arg);
    case 0x4004667f: case 0x5301: return readable(f, arg);     /* FIONREAD, I_NREAD */
    case 0x5401: return termios_get(f, true, arg);
    case 0x5402: return termios_set(f, true, TCSETS, arg);
    case 0x5403: return termios_set(f, true, TCSETSW, arg);
    case 0x5404: return termios_set(f, true, TCSETSF, arg);
    case 0x540d: return termios_get(f, false, arg);
    case 0x540e: return termios_set(f, false, TCSETS, arg);
    case 0x540f: return termios_set(f, false, TCSETSW, arg);
    case 0x5410: return termios_set(f, false, TCSETSF, arg);
    default: break;
    }
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (same[i].sol == cmd) return host_ioctl(f, same[i].host, arg);
    if ((cmd & 0xffffff00) == 0x5300) return streams(f, cmd, arg);
    if ((cmd & 0xff00) == 0x6900) return sol_if_ioctl(f, cmd, arg);
    return -ENOTTY;
}
