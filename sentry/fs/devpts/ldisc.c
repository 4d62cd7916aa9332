/* The line discipline N_TTY: echo, line editing, signals from characters, output post-processing. termios(3). */
#include "sentry/fs/devpts/tty.h"

#include <string.h>
#include <unistd.h>

#define IN_EOL 1
#define IN_EOF 2

#define I(tty, f) ((tty)->t.c_iflag & (f))
#define O(tty, f) ((tty)->t.c_oflag & (f))
#define L(tty, f) ((tty)->t.c_lflag & (f))
#define CC(tty, n) ((tty)->t.c_cc[n])
#define DISABLED 0 /* _POSIX_VDISABLE */

size_t ldisc_output_room(const struct tty *tty) { return TTY_OUT_MAX - tty->out_len; }

static void out_byte(struct tty *tty, u8 c)
{
    if (tty->out_len == TTY_OUT_MAX) return; /* echo is dropped when the terminal does not read, as on Linux */
    tty->out[(tty->out_head + tty->out_len++) % TTY_OUT_MAX] = c;
}

/* One byte of program output through OPOST. False when there is no room for its expansion. */
static bool out_processed(struct tty *tty, u8 c)
{
    size_t room = ldisc_output_room(tty);
    if (!O(tty, OPOST)) {
        if (!room) return false;
        out_byte(tty, c);
        return true;
    }
    switch (c) {
    case '\n':
        if (O(tty, ONLCR)) {
            if (room < 2) return false;
            out_byte(tty, '\r');
            tty->column = 0;
        } else if (O(tty, ONLRET)) {
            tty->column = 0;
        }
        break;
    case '\r':
        if (O(tty, ONOCR) && tty->column == 0) return true;
        if (O(tty, OCRNL)) {
            c = '\n';
            if (O(tty, ONLRET)) tty->column = 0;
            break;
        }
        tty->column = 0;
        break;
    case '\t': {
        unsigned spaces = 8 - (tty->column & 7);
        if (O(tty, TABDLY) == XTABS) {
            if (room < spaces) return false;
            tty->column += spaces;
            while (spaces--) out_byte(tty, ' ');
            return true;
        }
        tty->column += spaces;
        break;
    }
    case '\b':
        if (tty->column) tty->column--;
        break;
    default:
        if (O(tty, OLCUC) && c >= 'a' && c <= 'z') c = (u8)(c - 32);
        if (c >= 32 && c != 127 && !(I(tty, IUTF8) && (c & 0xc0) == 0x80)) tty->column++;
        break;
    }
    if (!ldisc_output_room(tty)) return false;
    out_byte(tty, c);
    return true;
}

void ldisc_wake_output(struct tty *tty)
{
    waitq_wake(&tty->master_wait, POLLIN | POLLRDNORM);
    if (tty->console_event >= 0) {
        u64 one = 1;
        ssize_t r = write(tty->console_event, &one, sizeof(one));
        (void)r; /* an eventfd that is already set says the same */
    }
}

size_t ldisc_output(struct tty *tty, const u8 *buf, size_t n)
{
    size_t done = 0;
    if (tty->stopped) return 0;
    while (done < n && out_processed(tty, buf[done])) done++;
    if (done) ldisc_wake_output(tty);
    return done;
}

static void echo(struct tty *tty, u8 c)
{
    if (L(tty, ECHOCTL) && (c < 32 || c == 127) && c != '\t' && c != '\n') {
        out_byte(tty, '^');
        out_byte(tty, c ^ 0x40);
        tty->column += 2;
        return;
    }
    out_processed(tty, c);
}

static void push(struct tty *tty, u8 c, u8 mark)
{
    if (tty->in_len == TTY_IN_MAX) return;
    unsigned i = (tty->in_head + tty->in_len++) % TTY_IN_MAX;
    tty->in[i] = c;
    tty->mark[i] = mark;
    if (mark) tty->in_lines++;
}

static void commit_line(struct tty *tty, u8 last, u8 mark)
{
    for (unsigned i = 0; i < tty->edit_len; i++) push(tty, tty->edit[i], 0);
    tty->edit_len = 0;
    push(tty, last, mark);
}

/* Columns that one edited byte took on the screen. */
static unsigned echo_width(struct tty *tty, u8 c)
{
    if ((c < 32 || c == 127) && c != '\t') return L(tty, ECHOCTL) ? 2 : 0;
    return 1;
}

static void erase_one(struct tty *tty)
{
    if (!tty->edit_len) return;
    if (I(tty, IUTF8))
        while (tty->edit_len > 1 && (tty->edit[tty->edit_len - 1] & 0xc0) == 0x80) tty->edit_len--;
    u8 c = tty->edit[--tty->edit_len];
    if (!L(tty, ECHO)) return;
    if (!L(tty, ECHOE)) {
        echo(tty, CC(tty, VERASE));
        return;
    }
    if (c == '\t') { /* back over the whole tab: recompute where the line stood before it */
        unsigned col = 0, line = 0;
        for (unsigned i = 0; i < tty->edit_len; i++) line += tty->edit[i] == '\t' ? 8 - (line & 7) : echo_width(tty, tty->edit[i]);
        col = 8 - (line & 7);
        while (col--) out_processed(tty, '\b');
        return;
    }
    for (unsigned w = (c & 0x80) ? 1 : echo_width(tty, c); w; w--) {
        out_processed(tty, '\b');
        out_processed(tty, ' ');
        out_processed(tty, '\b');
    }
}

static bool word_char(u8 c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80; }

static void erase_word(struct tty *tty)
{
    while (tty->edit_len && !word_char(tty->edit[tty->edit_len - 1])) erase_one(tty);
    while (tty->edit_len && word_char(tty->edit[tty->edit_len - 1])) erase_one(tty);
}

static void kill_line(struct tty *tty)
{
    if (L(tty, ECHO) && L(tty, ECHOKE) && L(tty, ECHOE)) {
        while (tty->edit_len) erase_one(tty);
        return;
    }
    tty->edit_len = 0;
    if (!L(tty, ECHO)) return;
    echo(tty, CC(tty, VKILL));
    if (L(tty, ECHOK)) out_processed(tty, '\n');
}

static void reprint(struct tty *tty)
{
    if (!L(tty, ECHO)) return;
    echo(tty, CC(tty, VREPRINT));
    out_processed(tty, '\n');
    for (unsigned i = 0; i < tty->edit_len; i++) echo(tty, tty->edit[i]);
}

static void signal_foreground(struct tty *tty, int sig)
{
    if (!tty->pgid) return;
    struct ksiginfo info = { .signo = sig, .code = SI_KERNEL };
    signal_send_pgrp(tty->pgid, &info, false);
}

static bool char_signal(struct tty *tty, u8 c)
{
    int sig = 0;
    if (!L(tty, ISIG) || c == DISABLED) return false;
    if (c == CC(tty, VINTR)) sig = SIGINT;
    else if (c == CC(tty, VQUIT)) sig = SIGQUIT;
    else if (c == CC(tty, VSUSP)) sig = SIGTSTP;
    if (!sig) return false;
    if (!L(tty, NOFLSH)) {
        ldisc_flush(tty, TCIFLUSH);
        if (sig != SIGTSTP) ldisc_flush(tty, TCOFLUSH);
    }
    if (L(tty, ECHO)) echo(tty, c);
    signal_foreground(tty, sig);
    return true;
}

static void canonical_char(struct tty *tty, u8 c)
{
    if (c != DISABLED && (!L(tty, EXTPROC))) {
        if (c == CC(tty, VERASE)) { erase_one(tty); return; }
        if (c == CC(tty, VKILL)) { kill_line(tty); return; }
        if (L(tty, IEXTEN)) {
            if (c == CC(tty, VWERASE)) { erase_word(tty); return; }
            if (c == CC(tty, VREPRINT)) { reprint(tty); return; }
        }
        if (c == CC(tty, VEOF)) { commit_line(tty, 0, IN_EOF); return; }
    }
    if (c == '\n') {
        if (L(tty, ECHO) || L(tty, ECHONL)) out_processed(tty, '\n');
        commit_line(tty, c, IN_EOL);
        return;
    }
    if (c != DISABLED && (c == CC(tty, VEOL) || (L(tty, IEXTEN) && c == CC(tty, VEOL2)))) {
        if (L(tty, ECHO)) echo(tty, c);
        commit_line(tty, c, IN_EOL);
        return;
    }
    if (tty->edit_len >= TTY_IN_MAX - 1) { /* a full line: the byte is lost, the bell rings */
        if (I(tty, IMAXBEL)) out_byte(tty, '\a');
        return;
    }
    tty->edit[tty->edit_len++] = c;
    if (L(tty, ECHO)) echo(tty, c);
}

static void input_char(struct tty *tty, u8 c)
{
    if (I(tty, ISTRIP)) c &= 0x7f;
    if (tty->lnext) {
        tty->lnext = false;
        if (L(tty, ICANON)) {
            if (tty->edit_len < TTY_IN_MAX - 1) tty->edit[tty->edit_len++] = c;
        } else {
            push(tty, c, 0);
        }
        if (L(tty, ECHO)) echo(tty, c);
        return;
    }
    if (c == '\r') {
        if (I(tty, IGNCR)) return;
        if (I(tty, ICRNL)) c = '\n';
    } else if (c == '\n' && I(tty, INLCR)) {
        c = '\r';
    }
    if (I(tty, IUCLC) && L(tty, IEXTEN) && c >= 'A' && c <= 'Z') c = (u8)(c + 32);
    if (I(tty, IXON) && c != DISABLED && !L(tty, EXTPROC)) {
        if (c == CC(tty, VSTOP) || c == CC(tty, VSTART)) {
            bool stop = c == CC(tty, VSTOP) && !(c == CC(tty, VSTART) && tty->stopped);
            tty->stopped = stop;
            if (!stop) waitq_wake(&tty->slave_wait, POLLOUT);
            return;
        }
    }
    if (char_signal(tty, c)) return;
    if (tty->stopped && I(tty, IXANY)) tty->stopped = false;
    if (L(tty, IEXTEN) && c == CC(tty, VLNEXT) && c != DISABLED && L(tty, ICANON)) {
        tty->lnext = true;
        if (L(tty, ECHO) && L(tty, ECHOCTL)) {
            out_byte(tty, '^');
            out_byte(tty, '\b');
        }
        return;
    }
    if (L(tty, ICANON)) {
        canonical_char(tty, c);
        return;
    }
    push(tty, c, 0);
    if (L(tty, ECHO)) echo(tty, c);
    else if (c == '\n' && L(tty, ECHONL) && L(tty, ICANON)) out_processed(tty, '\n');
}

void ldisc_input(struct tty *tty, const u8 *buf, size_t n, size_t *taken)
{
    unsigned had_out = tty->out_len;
    size_t i;
    for (i = 0; i < n; i++) {
        /* A full queue holds the writer back, except in canonical mode without a line, which could never drain. */
        if (tty->in_len + tty->edit_len >= TTY_IN_MAX - 1 && tty->in_len) {
            bool special = L(tty, ISIG) && (buf[i] == CC(tty, VINTR) || buf[i] == CC(tty, VQUIT) || buf[i] == CC(tty, VSUSP));
            if (!special) break;
        }
        input_char(tty, buf[i]);
    }
    *taken = i;
    if (ldisc_input_ready(tty)) waitq_wake(&tty->slave_wait, POLLIN | POLLRDNORM);
    if (tty->out_len != had_out) ldisc_wake_output(tty);
}

bool ldisc_input_ready(const struct tty *tty)
{
    if (L(tty, ICANON)) return tty->in_lines > 0;
    unsigned min = CC(tty, VTIME) ? 1 : MAX(CC(tty, VMIN), (u8)1);
    return tty->in_len >= min;
}

size_t ldisc_readable(const struct tty *tty)
{
    if (!L(tty, ICANON)) return tty->in_len;
    size_t n = 0, upto = 0;
    for (unsigned i = 0; i < tty->in_len; i++) {
        u8 m = tty->mark[(tty->in_head + i) % TTY_IN_MAX];
        if (m != IN_EOF) n++;
        if (m) upto = n;
    }
    return upto;
}

size_t ldisc_read(struct tty *tty, u8 *buf, size_t n, bool *eof)
{
    size_t done = 0;
    bool canon = L(tty, ICANON);
    *eof = false;
    while (tty->in_len) {
        u8 c = tty->in[tty->in_head], m = tty->mark[tty->in_head];
        /* An EOF mark right after the last byte that fits belongs to this read. */
        if (done == n && !(canon && m == IN_EOF)) break;
        tty->in_head = (tty->in_head + 1) % TTY_IN_MAX;
        tty->in_len--;
        if (m) tty->in_lines--;
        if (m == IN_EOF && canon) {
            *eof = done == 0;
            break;
        }
        buf[done++] = c;
        if (m && canon) break;
    }
    if (done || *eof) waitq_wake(&tty->master_wait, POLLOUT | POLLWRNORM);
    return done;
}

void ldisc_flush(struct tty *tty, int which)
{
    if (which == TCIFLUSH || which == TCIOFLUSH) {
        tty->in_len = tty->in_lines = tty->edit_len = 0;
        tty->lnext = false;
        waitq_wake(&tty->master_wait, POLLOUT | POLLWRNORM);
    }
    if (which == TCOFLUSH || which == TCIOFLUSH) {
        if (tty->console_event < 0) tty->out_len = 0; /* the user's own screen keeps what was already printed */
        waitq_wake(&tty->slave_wait, POLLOUT | POLLWRNORM);
    }
    if (tty->packet) {
        tty->packet_status |= (which != TCOFLUSH ? 1 /* TIOCPKT_FLUSHREAD */ : 0) | (which != TCIFLUSH ? 2 /* FLUSHWRITE */ : 0);
        waitq_wake(&tty->master_wait, POLLPRI | POLLIN);
    }
}

void ldisc_termios_changed(struct tty *tty, const struct termios2 *old)
{
    if ((old->c_lflag & ICANON) && !L(tty, ICANON)) {
        for (unsigned i = 0; i < tty->edit_len; i++) push(tty, tty->edit[i], 0);
        tty->edit_len = 0;
    } else if (!(old->c_lflag & ICANON) && L(tty, ICANON) && tty->in_len) {
        /* What was typed in raw mode becomes readable as one line. */
        unsigned last = (tty->in_head + tty->in_len - 1) % TTY_IN_MAX;
        if (!tty->mark[last]) {
            tty->mark[last] = IN_EOL;
            tty->in_lines++;
        }
    }
    if (!I(tty, IXON) && tty->stopped) {
        tty->stopped = false;
        waitq_wake(&tty->slave_wait, POLLOUT);
    }
    if (tty->packet) {
        bool was = (old->c_iflag & IXON) && old->c_cc[VSTOP] == 023 && old->c_cc[VSTART] == 021;
        bool is = I(tty, IXON) && CC(tty, VSTOP) == 023 && CC(tty, VSTART) == 021;
        if (was != is) {
            tty->packet_status &= (u8)~0x30;
            tty->packet_status |= is ? 0x20 /* TIOCPKT_DOSTOP */ : 0x10 /* TIOCPKT_NOSTOP */;
            waitq_wake(&tty->master_wait, POLLPRI | POLLIN);
        }
    }
    if (ldisc_input_ready(tty)) waitq_wake(&tty->slave_wait, POLLIN | POLLRDNORM);
}
