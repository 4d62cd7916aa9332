/*
 * The ABI seam: everything that differs between guest operating systems. A task has one ABI, chosen at exec by looking
 * at the image. The kernel core calls through this; it knows no guest structure or number itself.
 */
#ifndef SUNDOG_ABI_H
#define SUNDOG_ABI_H

#include "sentry/kernel/signal.h"

struct task;
struct mm;
struct file;
struct exec_image;
struct strbuf;
struct synth_entry;
struct core_dump;

/* What uname(2) and /proc say: the Linux whose behaviour abi/linux follows. */
#define KERNEL_RELEASE "6.12.0-sundog"
#define KERNEL_VERSION "#1 SMP PREEMPT_DYNAMIC sundog"

enum syscall_status { SC_FULL, SC_PARTIAL, SC_STUB, SC_ENOSYS, SC_EPERM };

/* Kinds of arguments, for the tracer. */
enum arg_kind {
    A_NONE, A_INT, A_UINT, A_LONG, A_ULONG, A_HEX, A_OCT, A_FD, A_ATFD, A_PID, A_UID, A_SIG, A_SIZE, A_OFF, A_PTR, A_STR, A_PATH,
    A_BUFIN, A_BUFOUT, A_FLAGS, A_STRUCT,
};

struct syscall_args { u64 a[6]; };

struct syscall_desc {
    const char *name;                           /* NULL: no such number */
    sysret_t (*fn)(const struct syscall_args *a);
    u8 status;                                  /* enum syscall_status */
    u8 nargs;
    u8 args[6];                                 /* enum arg_kind */
    const char *arg_decoder[6];                 /* name of flag or struct decoder for A_FLAGS, A_STRUCT; else NULL */
    u16 err;                                    /* errno of ENOSYS/EPERM rows */
    const char *note, *test;
};

struct abi {
    const char *name;                           /* "linux", "solaris" */
    const struct syscall_desc *table; unsigned table_len;
    /* Serves the system call that *t->regs asks for, including result encoding. Called by the run loop. */
    void (*syscall)(struct task *t);
    /* A CPU exception before it becomes a signal: true when the ABI consumed it (fast traps, vsyscall). */
    bool (*exception)(struct task *t, const struct platform_exit *e);
    /* Before every return to the guest with signals pending: builds handler frames, resolves restarts. */
    void (*deliver_signals)(struct task *t);
    void (*task_notify)(struct task *t);
    /*
     * Own thread, about to enter guest code with an exclusive CPU number (kernel/cpu_number.h) that it may not have had all
     * the time since it last ran. False: a signal was sent instead.
     */
    bool (*cpu_moved)(struct task *t);
    /* Is this image (first bytes, whole header page) ours? Higher wins; 0: no. */
    int (*recognise)(const u8 *head, size_t len);
    /* Loads a recognised image into current's fresh mm and sets registers. exec_image: sentry/loader/loader.h */
    int (*load)(struct exec_image *img);
    int (*task_fork)(struct task *parent, struct task *child, u64 clone_flags);   /* copies abi_data */
    void (*task_exit)(struct task *t);   /* own thread, mm still there, at exit and at exec: robust list, ... (not clear_child_tid) */
    void (*task_free)(struct task *t);
    void (*core)(struct core_dump *c);   /* writes the core file of current's process (kernel/coredump.h); NULL: it never has one */
    const char *(*sysname)(void);                                                 /* uname sysname */
    const char *(*errno_name)(int err);
    const char *(*signal_name)(int sig);
    /* Children of /proc/PID as this system's programs see them (sentry/fs/proc/synth.h); NULL: Linux's. */
    const struct synth_entry *proc_process;
    bool (*decode)(const char *decoder, u64 v, struct strbuf *out);               /* A_FLAGS decoders of its own; may be NULL */
};

extern const struct abi abi_linux;
extern const struct abi abi_solaris;
/* All ABIs in this build, NULL-terminated. */
extern const struct abi *const abi_all[];
const struct abi *abi_by_name(const char *name);
/* Start-up only: the ABI of images that do not say theirs (kernel/exec.c); a directory of files for Solaris programs. */
void exec_prefer_abi(const char *name);
struct super;
void sol_pieces_init(struct super *sb);

#endif
