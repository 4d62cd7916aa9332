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
    u64 pad[6];
    struct stub_op op[STUB_MAX_OPS];
};
_Static_assert(sizeof(struct stub_op) == STUB_OP_SIZE, "stub_text.S");
_Static_assert(offsetof(struct stub_op, off) == STUB_OP_OFF && offsetof(struct stub_op, fd) == STUB_OP_FD, "stub_text.S");
_Static_assert(offsetof(struct stub_ops, slot) == STUB_OPS_SLOT && offsetof(struct stub_ops, op) == STUB_OPS_OP, "stub_text.S");
_Static_assert(sizeof(struct stub_ops) <= GPAGE_SIZE, "one page");

#define STUB_MAX_SLOTS 65536u
#define STUB_MAX_FDS 16

/* Rings the other side's bell and passes descriptors along. -EFAULT: nobody there any more. */
int stub_send(int sock, const int *fds, unsigned nfds);
/* Length of the next message, at most len bytes of it in buf. -EFAULT: the other side died. */
int stub_recv(int sock, void *buf, size_t len);
/* Best effort: latency, not correctness, depends on it. */
void stub_pin(pid_t tid, int cpu);

#endif
