/* Inside platform/stub only: the page of orders, and messages on the sockets of template and mappers. */
#ifndef SUNDOG_STUB_PROTO_H
#define SUNDOG_STUB_PROTO_H

#include "platform/stub/stub_layout.h"
#include "sentry/base/types.h"

struct stub_op {
    u32 kind, prot, flags, fd;
    u64 addr, len, off;
};

struct stub_ops {
    u32 n, nfds;
    u64 slot; /* template: file offset of the new stub's page of orders */
    u64 stack[3]; /* runner: stack_t */
    u64 pad[3];
    struct stub_op op[STUB_MAX_OPS];
    u64 areas[STUB_MAX_SELECTOR];
};
_Static_assert(sizeof(struct stub_op) == STUB_OP_SIZE, "stub_text.S");
_Static_assert(offsetof(struct stub_op, off) == STUB_OP_OFF && offsetof(struct stub_op, fd) == STUB_OP_FD, "stub_text.S");
_Static_assert(offsetof(struct stub_ops, slot) == STUB_OPS_SLOT && offsetof(struct stub_ops, op) == STUB_OPS_OP, "stub_text.S");
_Static_assert(offsetof(struct stub_ops, areas) == STUB_OPS_AREAS, "trampolines");
_Static_assert(offsetof(struct stub_ops, stack) == STUB_OPS_STACK, "stub_text.S");
_Static_assert(sizeof(struct stub_ops) <= GPAGE_SIZE, "one page");

#define STUB_MAX_SLOTS 65536u
#define STUB_MAX_FDS 16

/* Rings the other side's bell and passes descriptors along. -EFAULT: nobody there any more. */
int stub_send(int sock, const int *fds, unsigned nfds);
/* Length of the next message, at most len bytes of it in buf. -EFAULT: the other side died. */
int stub_recv(int sock, void *buf, size_t len);
struct stub_template;
struct stub_proc;
struct stub_ops *stub_orders(struct stub_template *t, u32 slot);
/*
 * One batch, already in the page of orders. Returns how many operations were done; if fewer than ops->n, *err is why.
 * -EFAULT when the stub is dead. Process lock held.
 */
int stub_converse_locked(struct stub_proc *p, const int *fds, unsigned nfds, int *err);
/* The three messages with the number of a new thread, after stub_converse_locked; with `ready` also the thread's own. */
int stub_thread_tid_locked(struct stub_proc *p, bool ready, pid_t *tid);

/* runner.c: with the template, and with a process whose last reference went (all its threads are dead). */
int stub_areas_start(struct stub_template *t);
void stub_areas_stop(struct stub_template *t);
void stub_runners_free(struct stub_proc *p);

/* Best effort: latency, not correctness, depends on it. */
void stub_pin(pid_t tid, int cpu);

#endif
