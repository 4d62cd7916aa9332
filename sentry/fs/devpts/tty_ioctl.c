/* Terminal control: ioctl_tty(2), job control of termios(3). */
#include "sentry/fs/devpts/tty.h"

#include <asm/ioctls.h>
#include <string.h>

/* struct termios of the old requests is the head of termios2 without the speeds. */
#define TERMIOS_OLD_SIZE 36
_Static_assert(offsetof(struct termios2, c_ispeed) == TERMIOS_OLD_SIZE, "struct termios");

struct termio_v7 { u16 c_iflag, c_oflag, c_cflag, c_lflag; u8 c_line, c_cc[8]; };

static sysret_t set_termios(struct tty *tty, u32 cmd, gaddr_t arg)
{
    struct termios2 new_, old;
    int err = tty_check_background(tty, SIGTTOU);
    if (err) return err;
    lock(&tty->lock);
    new_ = tty->t;
    unlock(&tty->lock);
    if (cmd == TCSETA || cmd == TCSETAW || cmd == TCSETAF) {
        struct termio_v7 v;
        if ((err = copy_in(&v, arg, sizeof(v)))) return err;
        new_.c_iflag = (new_.c_iflag & 0xffff0000) | v.c_iflag;
        new_.c_oflag = (new_.c_oflag & 0xffff0000) | v.c_oflag;
        new_.c_cflag = (new_.c_cflag & 0xffff0000) | v.c_cflag;
        new_.c_lflag = (new_.c_lflag & 0xffff0000) | v.c_lflag;
        memcpy(new_.c_cc, v.c_cc, sizeof(v.c_cc));
    } else {
        bool v2 = cmd == TCSETS2 || cmd == TCSETSW2 || cmd == TCSETSF2;
        if ((err = copy_in(&new_, arg, v2 ? sizeof(new_) : TERMIOS_OLD_SIZE))) return err;
    }
    /* pty_set_termios: always 8 bits, no parity */
    new_.c_cflag = (new_.c_cflag & ~(u32)(CSIZE | PARENB)) | CS8 | CREAD;
    lock(&tty->lock);
    if (cmd == TCSETSF || cmd == TCSETSF2 || cmd == TCSETAF) ldisc_flush(tty, TCIFLUSH);
    old = tty->t;
    tty->t = new_;
    ldisc_termios_changed(tty, &old);
    unlock(&tty->lock);
    return 0;
}

static sysret_t get_termios(struct tty *tty, u32 cmd, gaddr_t arg)
{
    lock(&tty->lock);
    struct termios2 t = tty->t;
    unlock(&tty->lock);
    if (cmd == TCGETA) {
        struct termio_v7 v = { (u16)t.c_iflag, (u16)t.c_oflag, (u16)t.c_cflag, (u16)t.c_lflag, t.c_line, { 0 } };
        memcpy(v.c_cc, t.c_cc, sizeof(v.c_cc));
        return copy_out(arg, &v, sizeof(v));
    }
    return copy_out(arg, &t, cmd == TCGETS2 ? sizeof(t) : TERMIOS_OLD_SIZE);
}

void tty_set_winsize(struct tty *tty, const struct kwinsize *ws)
{
    lock(&tty->lock);
    bool changed = memcmp(&tty->ws, ws, sizeof(*ws)) != 0;
    tty->ws = *ws;
    s32 pgid = tty->pgid;
    unlock(&tty->lock);
    struct ksiginfo info = { .signo = SIGWINCH, .code = SI_KERNEL };
    if (changed && pgid) signal_send_pgrp(pgid, &info, false);
}

/* Makes tty the controlling terminal of current's session (TIOCSCTTY). */
static sysret_t set_controlling(struct tty *tty, bool steal)
{
    sysret_t r = 0;
    struct tty *dropped = NULL;
    lock(&tty->lock);
    lock(&kernel.tasklist);
    struct pgrp *pg = current->tg->pgrp;
    struct session *s = pg->session;
    if (s->sid == current->tg->tgid && tty->session == s) {
        /* already */
    } else if (s->sid != current->tg->tgid || s->tty) {
        r = -EPERM;
    } else if (tty->session && !(steal && capable(21 /* CAP_SYS_ADMIN */))) {
        r = -EPERM;
    } else {
        if (tty->session) {
            tty->session->tty = NULL;
            dropped = tty;
        }
        tty->session = s;
        s->tty = tty;
        tty_get(tty);
        tty->pgid = pg->pgid;
    }
    unlock(&kernel.tasklist);
    unlock(&tty->lock);
    if (dropped) tty_put(dropped);
    return r;
}

static sysret_t drop_controlling(struct tty *tty)
{
    lock(&kernel.tasklist);
    struct session *s = current->tg->pgrp->session;
    bool mine = s->tty == tty;
    bool leader = mine && s->sid == current->tg->tgid;
    unlock(&kernel.tasklist);
    if (!mine) return -ENOTTY;
    /* A session loses its terminal only with its leader (no_tty of one process alone is not kept track of). */
    if (leader) tty_session_exit(s);
    return 0;
}

static sysret_t get_pgrp(struct tty *tty, bool master, gaddr_t arg)
{
    lock(&kernel.tasklist);
    bool mine = tty->session && current->tg->pgrp->session == tty->session;
    unlock(&kernel.tasklist);
    if (!mine && !master) return -ENOTTY;
    lock(&tty->lock);
    s32 pgid = pid_out(tty->pgid);
    unlock(&tty->lock);
    return copy_out(arg, &pgid, sizeof(pgid));
}

static sysret_t set_pgrp(struct tty *tty, gaddr_t arg)
{
    int err = tty_check_background(tty, SIGTTOU);
    if (err == -EIO) return -ENOTTY; /* an orphaned background group */
    if (err) return err;
    s32 pgid;
    if ((err = copy_in(&pgid, arg, sizeof(pgid)))) return err;
    if (pgid < 0) return -EINVAL;
    pgid = pid_in(pgid);
    sysret_t r = 0;
    lock(&tty->lock);
    lock(&kernel.tasklist);
    struct pgrp *pg = pgrp_lookup_locked(pgid);
    if (!tty->session || current->tg->pgrp->session != tty->session) r = -ENOTTY;
    else if (!pg) r = -ESRCH;
    else if (pg->session != tty->session) r = -EPERM;
    else tty->pgid = pgid;
    unlock(&kernel.tasklist);
    unlock(&tty->lock);
    return r;
}

static sysret_t get_sid(struct tty *tty, bool master, gaddr_t arg)
{
    lock(&kernel.tasklist);
    bool mine = tty->session && (master || current->tg->pgrp->session == tty->session);
    s32 sid = tty->session ? pid_out(tty->session->sid) : 0;
    unlock(&kernel.tasklist);
    return mine ? copy_out(arg, &sid, sizeof(sid)) : -ENOTTY;
}

/* TIOCGPTPEER: the slave, opened through the master, whatever is mounted on /dev/pts. */
static sysret_t open_peer(struct tty *tty, u32 flags)
{
    struct file *f = file_new(&tty_slave_fops, NULL, tty->inode, flags & ~(u32)O_CLOEXEC);
    int err = tty_slave_open(tty, f);
    if (err) {
        f->ops = NULL; /* not open as a slave: nothing to release */
        file_put(f);
        return err;
    }
    int fd = fd_install(f, flags & O_CLOEXEC);
    if (fd < 0) file_put(f);
    return fd;
}

static sysret_t pty_ioctl(struct tty *tty, u32 cmd, gaddr_t arg)
{
    s32 v;
    int err;
    switch (cmd) {
    case TIOCGPTN: {
        u32 n = tty->index;
        return copy_out(arg, &n, sizeof(n));
    }
    case TIOCSPTLCK:
        if ((err = copy_in(&v, arg, sizeof(v)))) return err;
        lock(&tty->lock);
        tty->locked = v != 0;
        unlock(&tty->lock);
        return 0;
    case TIOCGPTLCK: v = tty->locked; return copy_out(arg, &v, sizeof(v));
    case TIOCPKT:
        if ((err = copy_in(&v, arg, sizeof(v)))) return err;
        lock(&tty->lock);
        tty->packet = v != 0;
        tty->packet_status = 0;
        unlock(&tty->lock);
        return 0;
    case TIOCGPKT: v = tty->packet; return copy_out(arg, &v, sizeof(v));
    case TIOCSIG: {
        if (arg < 1 || arg > 64) return -EINVAL;
        struct ksiginfo info = { .signo = (int)arg, .code = SI_KERNEL };
        if (tty->pgid) signal_send_pgrp(tty->pgid, &info, false);
        return 0;
    }
    case TIOCGPTPEER: return open_peer(tty, (u32)arg);
    default: return -ENOTTY;
    }
}

static sysret_t flow(struct tty *tty, u64 how)
{
    int err = tty_check_background(tty, SIGTTOU);
    if (err) return err;
    lock(&tty->lock);
    switch (how) {
    case TCOOFF: tty->stopped = true; break;
    case TCOON:
        tty->stopped = false;
        waitq_wake(&tty->slave_wait, POLLOUT);
        break;
    case TCIOFF: case TCION: break; /* asks the other end to send STOP/START: a pty's other end is a program */
    default: err = -EINVAL;
    }
    unlock(&tty->lock);
    return err;
}

static sysret_t fake_input(struct tty *tty, gaddr_t arg)
{
    u8 c;
    size_t taken;
    lock(&kernel.tasklist);
    bool mine = current->tg->pgrp->session->tty == tty;
    unlock(&kernel.tasklist);
    if (!mine && !capable(21)) return -EPERM;
    int err = copy_in(&c, arg, 1);
    if (err) return err;
    lock(&tty->lock);
    ldisc_input(tty, &c, 1, &taken);
    unlock(&tty->lock);
    return 0;
}

sysret_t tty_ioctl(struct file *f, struct tty *tty, bool master, u32 cmd, gaddr_t arg)
{
    struct kwinsize ws;
    s32 v;
    int err;
    if (tty->hung && !master) return -EIO;
    switch (cmd) {
    case TCGETS: case TCGETS2: case TCGETA: return get_termios(tty, cmd, arg);
    case TCSETS: case TCSETSW: case TCSETSF: case TCSETS2: case TCSETSW2: case TCSETSF2: case TCSETA: case TCSETAW: case TCSETAF:
        return set_termios(tty, cmd, arg);
    case TIOCGWINSZ:
        lock(&tty->lock);
        ws = tty->ws;
        unlock(&tty->lock);
        return copy_out(arg, &ws, sizeof(ws));
    case TIOCSWINSZ:
        if ((err = copy_in(&ws, arg, sizeof(ws)))) return err;
        tty_set_winsize(tty, &ws);
        return 0;
    case TIOCSCTTY: return master ? -EIO : set_controlling(tty, arg == 1);
    case TIOCNOTTY: return drop_controlling(tty);
    case TIOCGPGRP: return get_pgrp(tty, master, arg);
    case TIOCSPGRP: return set_pgrp(tty, arg);
    case TIOCGSID: return get_sid(tty, master, arg);
    case FIONREAD:
        lock(&tty->lock);
        v = master ? (s32)tty->out_len : (s32)ldisc_readable(tty);
        unlock(&tty->lock);
        return copy_out(arg, &v, sizeof(v));
    case TIOCOUTQ:
        v = master ? 0 : (s32)tty->out_len;
        return copy_out(arg, &v, sizeof(v));
    case TCFLSH:
        if ((err = tty_check_background(tty, SIGTTOU))) return err;
        if (arg > TCIOFLUSH) return -EINVAL;
        lock(&tty->lock);
        ldisc_flush(tty, (int)arg);
        unlock(&tty->lock);
        return 0;
    case TCSBRK: case TCSBRKP: return tty_check_background(tty, SIGTTOU); /* no line to break; drained by the reader */
    case TCXONC: return flow(tty, arg);
    case TIOCSTI: return fake_input(tty, arg);
    case TIOCEXCL: tty->exclusive = true; return 0;
    case TIOCNXCL: tty->exclusive = false; return 0;
    case TIOCGEXCL: v = tty->exclusive; return copy_out(arg, &v, sizeof(v));
    case TIOCGETD: v = 0; return copy_out(arg, &v, sizeof(v)); /* N_TTY */
    case TIOCSETD:
        if ((err = copy_in(&v, arg, sizeof(v)))) return err;
        return v == 0 ? 0 : -EINVAL;
    case TIOCGDEV: {
        u32 dev = master ? 0x502 : (u32)tty_dev(tty);
        return copy_out(arg, &dev, sizeof(dev));
    }
    case TIOCVHANGUP:
        if (!capable(21)) return -EPERM;
        tty_hangup(tty);
        return 0;
    case TIOCGSOFTCAR: v = 0; return copy_out(arg, &v, sizeof(v));
    case TIOCSSOFTCAR: return 0;
    default: break;
    }
    (void)f;
    return master ? pty_ioctl(tty, cmd, arg) : -ENOTTY;
}
