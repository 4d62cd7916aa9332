/*
 * Pseudo-terminals: the tty (slave), its line discipline, the master side, job control. tty_ioctl(4), termios(3), pty(7).
 * termios and winsize have the host Linux's layout, which is also the guest's on x86-64 (other ABIs convert at their edge).
 */
#ifndef SUNDOG_DEVPTS_TTY_H
#define SUNDOG_DEVPTS_TTY_H

#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include <asm/termbits.h>

struct session;

#define TTY_IN_MAX 4096   /* N_TTY_BUF_SIZE */
#define TTY_OUT_MAX 16384

struct kwinsize { u16 row, col, xpixel, ypixel; };

struct tty {
    refcount_t refs;
    unsigned index;                    /* (c) /dev/pts/N */
    struct inode *inode;               /* (c) of /dev/pts/N, borrowed from the devpts dentry */
    lock_t lock;                       /* LC_PIPE; guards: */
    struct termios2 t;
    struct kwinsize ws;
    /* Committed input. mark[i]: IN_EOL: a line ends with this byte; IN_EOF: same, and the byte is not handed out. */
    u8 in[TTY_IN_MAX], mark[TTY_IN_MAX];
    unsigned in_head, in_len, in_lines;
    u8 edit[TTY_IN_MAX];               /* the line being edited (ICANON) */
    unsigned edit_len;
    bool lnext, stopped, pending_flush_notice;
    u8 out[TTY_OUT_MAX];               /* what the master reads */
    unsigned out_head, out_len, column;
    u8 packet_status; bool packet, locked, exclusive, hung, extproc;
    unsigned masters, slaves, slave_opened_ever;
    struct waitq slave_wait, master_wait;
    s32 pgid;                          /* foreground process group, 0: none */
    struct session *session;           /* (T) whose controlling terminal this is; borrowed */
    int console_event;                 /* >= 0: eventfd to tell the console pump of output */
};

struct tty *tty_new(unsigned index);
void tty_get(struct tty *tty);
void tty_put(struct tty *tty);
/* Slave lost: readers see EOF, writers EIO, session gets SIGHUP and SIGCONT. Callers hold no lock. */
void tty_hangup(struct tty *tty);
/* The session leader exits (tasklist not held). */
void tty_session_exit(struct session *s);
/* 0 to go on; -ERESTARTSYS after SIGTTIN/SIGTTOU was sent, -EIO for orphaned or blocked ones. */
int tty_check_background(struct tty *tty, int sig);
int tty_slave_open(struct tty *tty, struct file *f);
struct tty *file_tty(struct file *f);                 /* slave or master file's tty, borrowed; NULL */
void tty_set_winsize(struct tty *tty, const struct kwinsize *ws);
/* The terminal that /dev/tty means for current; counted or NULL. */
struct tty *tty_current_get(void);
s32 tty_session_id(struct tty *tty);
sysret_t tty_ioctl(struct file *f, struct tty *tty, bool master, u32 cmd, gaddr_t arg);
u64 tty_dev(const struct tty *tty);

/* Line discipline (ldisc.c); tty->lock held. */
void ldisc_input(struct tty *tty, const u8 *buf, size_t n, size_t *taken);       /* from the terminal; may signal */
size_t ldisc_output_room(const struct tty *tty);
size_t ldisc_output(struct tty *tty, const u8 *buf, size_t n);                   /* from the program: bytes taken */
size_t ldisc_readable(const struct tty *tty);                                    /* bytes a read would get now */
bool ldisc_input_ready(const struct tty *tty);
size_t ldisc_read(struct tty *tty, u8 *buf, size_t n, bool *eof);
void ldisc_flush(struct tty *tty, int which /* TCIFLUSH.. */);
void ldisc_termios_changed(struct tty *tty, const struct termios2 *old);
void ldisc_wake_output(struct tty *tty);

extern const struct file_ops tty_slave_fops, pty_master_fops;
int pty_master_open(struct file *f);                  /* /dev/ptmx */
struct tty *devpts_alloc(void);                       /* new index, node made; counted */
void devpts_remove(struct tty *tty);
struct tty *devpts_find_get(unsigned index);

/* A host terminal shown as a pty: the first process' own, and one for each exec that has one. */
int console_create(int host_fd, u16 rows, u16 cols, struct file **slave);
void console_set_winsize(s32 pid, u16 rows, u16 cols, u16 xpixel, u16 ypixel);   /* of process pid, 0: the first */
void console_finish(void);                            /* all: writes what is still queued, stops the pumps */
void console_finish_of(s32 pid);                      /* the one that was made for process pid, if any */

#endif
