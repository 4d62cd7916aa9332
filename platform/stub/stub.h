/*
 * Stub processes: host processes that hold nothing but a guest's mappings and threads to run it (shared by the
 * platforms that let the host's page tables do the work).
 *
 * A *template* is forked from the sentry once, at start, and emptied; each stub is a clone of it, a child of the
 * sentry. A stub's first thread, the *mapper*, never runs guest code and changes the mappings on request.
 *
 * Trust: a stub process is hostile once a guest ran in it. What is believed of it: the kernel's word (wait status,
 * registers of a stopped thread, message lengths on the mapper's socket), never its memory.
 *
 * Signals: stubs have no exit signal, so their death raises no SIGCHLD by itself; wait needs __WALL.
 */
#ifndef SUNDOG_STUB_H
#define SUNDOG_STUB_H

#include "platform/platform.h"
#include "sentry/base/list.h"
#include "sentry/base/lock.h"

extern const u8 stub_text_start[], stub_text_end[], stub_text_template[], stub_text_trace_ret[],
    stub_text_pause_ret[], stub_text_exit[], stub_text_exit_ret[];
extern const u8 trap_text_start[], trap_text_end[], trap_text_handler[], trap_text_futex_ret[],
    trap_text_unmask_ret[], trap_text_base_ret[], trap_text_restorer[], trap_text_patched[];

struct stub_proc;

/* One thread of a stub process that runs guest code. Counted together with its process; see stub_thread_*. */
struct stub_thread {
    struct stub_proc *proc; /* (c) counted */
    pid_t tid;              /* (c) */
    int cpu;                /* (c) CPU it was made on and pinned to */
    bool gone;              /* proc->lock: waited for; tid means nothing any more */
    bool released;          /* proc->lock: its context let go of it */
    LIST_ENTRY(stub_thread) link; /* proc->lock: in proc->threads while not gone */
};

/*
 * A guest thread of the trap platform. It never ends before its process: between contexts it is parked, waiting for an
 * answer to its last event. Only its holder may touch it.
 */
struct stub_runner {
    struct stub_proc *proc;   /* (c) borrowed; the holder has a reference */
    pid_t tid;                /* (c) */
    int cpu;                  /* (holder) CPU it is pinned to, -1: none */
    u32 slot;                 /* (c) of its area in the sentry */
    u8 *area;                 /* (c) the sentry's mapping of it */
    u64 addr;                 /* (c) the stub's */
    u32 seq;                  /* (holder) of the last event that was taken */
    u8 *state;                /* (holder) room for extended state: in this area or, by exchange, in that of another runner */
    u64 state_addr;           /* (holder) the same in the stub */
    bool state_clean;         /* (holder) the header of what is there is as xsave leaves it */
    u64 fs_base, gs_base;     /* (holder) without FSGSBASE: what the host was told last */
    bool bases_known;         /* (holder) that was by this holder, and done */
    TAILQ_ENTRY(stub_runner) all_link; /* proc->lock */
    TAILQ_ENTRY(stub_runner) link;     /* proc->lock: in proc->parked */
};

struct stub_template {
    u64 base;          /* (c) of the stub region in every stub */
    int memfile_fd;    /* (c) */
    int sock;          /* (c) to the template */
    pid_t pid;         /* (c) */
    u8 *orders;        /* (c) the sentry's mapping of all order pages; page 0 is the template's */

    bool trap;         /* (c) stubs have signal handlers, guest threads are runners */
    int areas_fd;      /* (c) trap: memory of all areas */
    u8 *areas;         /* (c) trap: the sentry's mapping of it */
    u64 areas_base;    /* (c) trap: where a stub's first area lies */
    u32 areas_per_proc; /* (c) */
    u8 selector[32];   /* (c) trap: values of es that guest threads can be told apart by */
    unsigned nselectors; /* (c) */
    bool fsgsbase;     /* (c) trap: guest threads have the FSGSBASE instructions */

    lock_t lock;       /* LC_PLATFORM */
    u32 *free_areas;   /* (lock) stack of areas to use again */
    u32 nfree_areas, area_high;
    u32 *free_slots;   /* (lock) stack of order pages to use again */
    u32 nfree, slot_high;
    TAILQ_HEAD(, stub_proc) dying; /* (lock) killed, not yet waited for */
    unsigned ndying;
    bool dead;
};

struct stub_proc {
    struct stub_template *tmpl; /* (c) */
    refcount_t refs;
    pid_t pid;         /* (c) of the process and of its mapper */
    int sock;          /* (lock) -1 once killed */
    u32 slot;          /* (c) */
    lock_t lock;       /* LC_PLATFORM, outside the template's; one conversation with the mapper at a time */
    int mapper_cpu;    /* (lock) */
    bool dead;         /* (a) killed or found dead; never goes back */
    LIST_HEAD(, stub_thread) threads; /* (lock) */
    TAILQ_HEAD(, stub_runner) runners; /* (lock) all */
    TAILQ_HEAD(, stub_runner) parked;  /* (lock) those without a context */
    u32 nrunners;      /* (lock) */
    bool runner_ready; /* (lock) this conversation's new runner has said so */
    TAILQ_ENTRY(stub_proc) dying_link; /* template's lock */
};

/* Single-threaded caller. On failure -errno and a sentence in why. The calling thread must live as long as the process. */
int stub_template_start(struct stub_template *t, int memfile_fd, bool trap, char *why, size_t why_len);
/* Every stub must have been killed. */
void stub_template_stop(struct stub_template *t);

/* A new stub with nothing mapped below GUEST_ADDR_MAX; one reference. -EAGAIN, -ENOMEM, -EMFILE. */
int stub_proc_new(struct stub_template *t, struct stub_proc **out);
/* platform_ops.as_update. */
int stub_proc_update(struct stub_proc *p, const struct platform_mapop *ops, size_t n);
/* SIGKILL, and waits for it now or later; no guest code of it runs after this. Any thread; does not drop a reference. */
void stub_proc_kill(struct stub_proc *p);
/* Asks the host whether the process still lives; false: it is marked dead now. */
bool stub_proc_check(struct stub_proc *p);
/* The process was seen dead: further use gives -EFAULT. */
void stub_proc_mark_dead(struct stub_proc *p);
void stub_proc_put(struct stub_proc *p);

/*
 * A new thread on its way to the stub's pause loop, not yet seized. Its filter is installed when it stops by
 * PTRACE_EVENT_SECCOMP (seize with PTRACE_O_TRACESECCOMP), or is found between stub_text_trace_ret and
 * stub_text_pause_ret. -EFAULT, -EAGAIN.
 */
int stub_thread_new(struct stub_proc *p, struct stub_thread **out);
/* Its context is done with it. It must have been made to exit already, or the process be dead. */
void stub_thread_release(struct stub_thread *th);
/* It was waited for. */
void stub_thread_set_gone(struct stub_thread *th);

/*
 * A runner to hold, parked or new; it waits for an answer (request.h). Takes a reference on p. Its extended state is
 * undefined. -EFAULT, -EAGAIN, -ENOMEM.
 */
int stub_runner_get(struct stub_proc *p, struct stub_runner **out);
/* Offset in an area of the place where extended state is saved on order. */
u32 stub_state_offset(void);
/* Does it fit into REQ_ROOM, where it stays while other guest code runs? */
bool stub_state_stays(void);
/* Its last event was taken and it still waits for the answer. */
void stub_runner_put(struct stub_runner *r);

#endif
