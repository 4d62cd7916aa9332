/* Terminals: life cycle, hang-up, job control, the slave's file operations. */
#include "sentry/fs/devpts/tty.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

u64 tty_dev(const struct tty *tty) { return makedev(136 + tty->index / 256, tty->index % 256); }

struct tty *tty_new(unsigned index)
{
    struct tty *tty = xnew(struct tty);
    ref_init(&tty->refs);
    tty->index = index;
    lock_init(&tty->lock, LC_PIPE);
    waitq_init(&tty->slave_wait);
    waitq_init(&tty->master_wait);
    tty->console_event = -1;
    tty->locked = true;
    /* tty_std_termios of drivers/tty/tty_io.c; c_cc: INIT_C_CC */
    tty->t = (struct termios2){
        .c_iflag = ICRNL | IXON, .c_oflag = OPOST | ONLCR, .c_cflag = B38400 | CS8 | CREAD | HUPCL,
        .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN, .c_ispeed = 38400, .c_ospeed = 38400,
        .c_cc = { [VINTR] = 3, [VQUIT] = 034, [VERASE] = 0177, [VKILL] = 025, [VEOF] = 4, [VMIN] = 1, [VSTART] = 021, [VSTOP] = 023,
                  [VSUSP] = 032, [VREPRINT] = 022, [VDISCARD] = 017, [VWERASE] = 027, [VLNEXT] = 026 },
    };
    return tty;
}

void tty_get(struct tty *tty) { ref_get(&tty->refs); }

void tty_put(struct tty *tty)
{
    if (!ref_put(&tty->refs)) return;
    waitq_fini(&tty->slave_wait);
    waitq_fini(&tty->master_wait);
    lock_fini(&tty->lock);
    free(tty);
}

/* Detaches the session from the terminal; the caller drops the reference that the session held. */
static struct session *detach_session_locked(struct tty *tty)
{
    struct session *s = tty->session;
    if (!s) return NULL;
    tty->session = NULL;
    s->tty = NULL;
    return s;
}

static void signal_session_leader(s32 sid, s32 pgid)
{
    struct ksiginfo hup = { .signo = SIGHUP, .code = SI_KERNEL }, cont = { .signo = SIGCONT, .code = SI_KERNEL };
    struct tgroup *leader = tgroup_lookup_get(sid);
    if (leader) {
        signal_send_group(leader, &hup);
        signal_send_group(leader, &cont);
        tgroup_put(leader);
    }
    if (pgid && pgid != sid) {
        signal_send_pgrp(pgid, &hup, false);
        signal_send_pgrp(pgid, &cont, false);
    }
}

void tty_hangup(struct tty *tty)
{
    lock(&tty->lock);
    if (tty->hung) {
        unlock(&tty->lock);
        return;
    }
    tty->hung = true;
    s32 pgid = tty->pgid;
    tty->pgid = 0;
    waitq_wake_all(&tty->slave_wait, 0);
    waitq_wake_all(&tty->master_wait, 0);
    unlock(&tty->lock);

    lock(&kernel.tasklist);
    struct session *s = detach_session_locked(tty);
    s32 sid = s ? s->sid : 0;
    unlock(&kernel.tasklist);
    if (!s) return;
    signal_session_leader(sid, pgid);
    tty_put(tty);
}

void tty_session_exit(struct session *s)
{
    lock(&kernel.tasklist);
    struct tty *tty = s->tty;
    if (tty) detach_session_locked(tty);
    unlock(&kernel.tasklist);
    if (!tty) return;
    lock(&tty->lock);
    s32 pgid = tty->pgid;
    tty->pgid = 0;
    unlock(&tty->lock);
    /* disassociate_ctty(): the foreground group of a dying session is told. */
    struct ksiginfo hup = { .signo = SIGHUP, .code = SI_KERNEL }, cont = { .signo = SIGCONT, .code = SI_KERNEL };
    if (pgid) {
        signal_send_pgrp(pgid, &hup, false);
        signal_send_pgrp(pgid, &cont, false);
    }
    tty_put(tty);
}

struct tty *tty_current_get(void)
{
    lock(&kernel.tasklist);
    struct tty *tty = current->tg->pgrp ? current->tg->pgrp->session->tty : NULL;
    if (tty) tty_get(tty);
    unlock(&kernel.tasklist);
    return tty;
}

s32 tty_session_id(struct tty *tty)
{
    lock(&kernel.tasklist);
    s32 sid = tty->session ? tty->session->sid : 0;
    unlock(&kernel.tasklist);
    return sid;
}

int tty_check_background(struct tty *tty, int sig)
{
    lock(&tty->lock);
    s32 fg = tty->pgid;
    unlock(&tty->lock);
    lock(&kernel.tasklist);
    struct pgrp *pg = current->tg->pgrp;
    bool mine = pg && tty->session && pg->session == tty->session;
    s32 own = pg ? pg->pgid : 0;
    bool orphaned = pg && pgrp_is_orphaned_locked(pg);
    unlock(&kernel.tasklist);
    if (!mine || !fg || own == fg) return 0;

    lock(&current->tg->sighand->lock);
    bool ignored = ksigset_has(&current->blocked, sig) || current->tg->sighand->action[sig].handler == 1;
    unlock(&current->tg->sighand->lock);
    if (ignored) return sig == SIGTTIN ? -EIO : 0;
    if (orphaned) return -EIO;
    struct ksiginfo info = { .signo = sig, .code = SI_KERNEL };
    signal_send_pgrp(own, &info, false);
    return -ERESTARTSYS;
}

struct tty *file_tty(struct file *f)
{
    return f->ops == &tty_slave_fops || f->ops == &pty_master_fops ? f->priv : NULL;
}

/* A session leader without a terminal that opens one gets it, unless O_NOCTTY (tty_open_proc_set_tty). */
static void maybe_become_controlling(struct tty *tty, struct file *f)
{
    if ((f->flags & O_NOCTTY) || !(f->mode & FMODE_READ)) return;
    lock(&tty->lock);
    lock(&kernel.tasklist);
    struct pgrp *pg = current->tg->pgrp;
    if (pg && pg->session->sid == current->tg->tgid && !pg->session->tty && !tty->session && !tty->hung) {
        tty->session = pg->session;
        pg->session->tty = tty;
        tty_get(tty);
        tty->pgid = pg->pgid;
    }
    unlock(&kernel.tasklist);
    unlock(&tty->lock);
}

int tty_slave_open(struct tty *tty, struct file *f)
{
    lock(&tty->lock);
    int err = 0;
    if (tty->hung || !tty->masters || tty->locked) err = -EIO;
    else if (tty->exclusive && !capable(21 /* CAP_SYS_ADMIN */)) err = -EBUSY;
    else {
        tty->slaves++;
        tty->slave_opened_ever = 1;
    }
    if (!err) waitq_wake(&tty->master_wait, POLLOUT);
    unlock(&tty->lock);
    if (err) return err;
    tty_get(tty);
    f->ops = &tty_slave_fops;
    f->priv = tty;
    maybe_become_controlling(tty, f);
    return 0;
}

static void slave_release(struct file *f)
{
    struct tty *tty = f->priv;
    lock(&tty->lock);
    if (--tty->slaves == 0) waitq_wake(&tty->master_wait, POLLHUP | POLLIN); /* master: EIO until reopened */
    unlock(&tty->lock);
    tty_put(tty);
}

static ktime_t deciseconds(u8 v) { return clock_mono() + (ktime_t)v * 100 * NSEC_PER_MSEC; }

/* Is there something to return? Non-canonical VMIN/VTIME rules of termios(3). tty->lock held. */
static bool read_satisfied(struct tty *tty, size_t want)
{
    if (tty->t.c_lflag & ICANON) return tty->in_lines > 0;
    u8 min = tty->t.c_cc[VMIN], time = tty->t.c_cc[VTIME];
    if (min == 0) return tty->in_len > 0 || time == 0;
    return tty->in_len >= MIN((size_t)min, want);
}

static ssize_t slave_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct tty *tty = f->priv;
    u8 buf[TTY_IN_MAX];
    size_t want = MIN(u->resid, sizeof(buf));
    int err = tty_check_background(tty, SIGTTIN);
    if (err) return err;
    if (!want) return 0;

    struct waiter w;
    waiter_init_current(&w, POLLIN | POLLRDNORM);
    waitq_add(&tty->slave_wait, &w);
    ktime_t deadline = KTIME_NEVER;
    unsigned seen = 0;
    ssize_t r = 0;
    lock(&tty->lock);
    if (!(tty->t.c_lflag & ICANON) && !tty->t.c_cc[VMIN] && tty->t.c_cc[VTIME]) deadline = deciseconds(tty->t.c_cc[VTIME]);
    for (;;) {
        bool raw = !(tty->t.c_lflag & ICANON);
        if (read_satisfied(tty, want)) break;
        if (tty->hung || !tty->masters) {
            r = tty->hung || tty->in_len == 0 ? 0 : r;
            if (!tty->in_len || !raw) goto out;
            break;
        }
        if (file_nonblock(f, flags)) {
            if (raw && tty->in_len) break;
            r = -EAGAIN;
            goto out;
        }
        if (raw && tty->t.c_cc[VMIN] && tty->t.c_cc[VTIME] && tty->in_len > seen) { /* inter-byte timer */
            seen = tty->in_len;
            deadline = deciseconds(tty->t.c_cc[VTIME]);
        }
        unlock(&tty->lock);
        int s = task_sleep(deadline);
        lock(&tty->lock);
        if (s == -ETIMEDOUT) break;
        if (s < 0) {
            if (raw && tty->in_len) break;
            r = s;
            goto out;
        }
    }
    bool eof;
    size_t n = ldisc_read(tty, buf, want, &eof);
    unlock(&tty->lock);
    waitq_del(&w);
    if (!n) return 0;
    return uio_copy_out(u, buf, n);
out:
    unlock(&tty->lock);
    waitq_del(&w);
    return r;
}

static ssize_t slave_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct tty *tty = f->priv;
    u8 buf[2048];
    ssize_t total = 0;
    if (tty->t.c_lflag & TOSTOP) {
        int err = tty_check_background(tty, SIGTTOU);
        if (err) return err;
    }
    struct waiter w;
    waiter_init_current(&w, POLLOUT | POLLWRNORM);
    waitq_add(&tty->slave_wait, &w);
    while (u->resid) {
        struct uio peek;
        size_t want = MIN(u->resid, sizeof(buf));
        uio_clone(&peek, u);
        ssize_t got = uio_copy_in(&peek, buf, want);
        uio_fini(&peek);
        if (got < 0) {
            if (!total) total = got;
            break;
        }
        lock(&tty->lock);
        if (tty->hung || !tty->masters) {
            unlock(&tty->lock);
            if (!total) total = -EIO;
            break;
        }
        size_t done = ldisc_output(tty, buf, (size_t)got);
        unlock(&tty->lock);
        uio_skip(u, done);
        total += (ssize_t)done;
        if (done) continue;
        if (file_nonblock(f, flags)) {
            if (!total) total = -EAGAIN;
            break;
        }
        int s = task_sleep(KTIME_NEVER);
        if (s < 0) {
            if (!total) total = s;
            break;
        }
    }
    waitq_del(&w);
    return total;
}

static u32 slave_poll(struct file *f, struct waiter *w)
{
    struct tty *tty = f->priv;
    if (w) waitq_add(&tty->slave_wait, w);
    u32 r = 0;
    lock(&tty->lock);
    if (ldisc_input_ready(tty)) r |= POLLIN | POLLRDNORM;
    if (tty->hung || !tty->masters) r |= POLLHUP | POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    else if (!tty->stopped && ldisc_output_room(tty) >= 256) r |= POLLOUT | POLLWRNORM;
    unlock(&tty->lock);
    return r;
}

static sysret_t slave_ioctl(struct file *f, u32 cmd, gaddr_t arg) { return tty_ioctl(f, f->priv, false, cmd, arg); }

const struct file_ops tty_slave_fops = {
    .read = slave_read, .write = slave_write, .poll = slave_poll, .ioctl = slave_ioctl, .release = slave_release,
};
