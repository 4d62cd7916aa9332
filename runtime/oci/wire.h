/*
 * Between verbs and a container's supervisor: a SOCK_SEQPACKET socket in the state directory, one message a packet. The
 * directory is its owner's alone, so both sides trust each other; lengths are checked all the same.
 */
#ifndef SUNDOG_OCI_WIRE_H
#define SUNDOG_OCI_WIRE_H

#include "sentry/base/types.h"

enum wire_op {
    WIRE_START = 1,
    WIRE_SIGNAL,         /* a[0]: pid inside (0: the first process; -1: all), a[1]: signal */
    WIRE_EXEC,           /* descriptors: plan, then those it speaks of */
    WIRE_WINSIZE,        /* a: rows, cols; for the exec of this connection */
    WIRE_PAUSE, WIRE_RESUME, WIRE_PS, WIRE_STATS,
    WIRE_LIMITS,         /* struct control_limits, without the CPUs: those the supervisor has itself by now */
    WIRE_WATCH,          /* until this connection ends; answered with the record (base/evlog.h) as descriptor */
    WIRE_REPLY = 64,     /* a[0]: 0 or -errno; a[1]: pid or exit status; then text or records */
    WIRE_EXITED,         /* the exec of this connection: a[0] wait status */
    /* create and its supervisor */
    WIRE_HOOKS,          /* the environment is there: run the hooks of the runtime's namespaces; answered by WIRE_START */
    WIRE_MAP_IDS,        /* it is in its user namespace: write the maps; answered by WIRE_START */
    WIRE_CREATED,
    WIRE_FAILED,         /* text; a[0]: exit status */
};
struct wire_msg { u32 op; s32 a[3]; };
#define WIRE_MAX (32 * 1024)
#define WIRE_FDS 200

int wire_send(int sock, u32 op, s32 a0, s32 a1, const void *more, size_t len);          /* -errno */
int wire_send_fds(int sock, u32 op, s32 a0, s32 a1, const int *fds, unsigned nfds);
/* Bytes of *more (at most size - 1, a NUL follows), or -errno; -EPIPE at the end. fds may be NULL. timeout in ms, -1: none: -ETIMEDOUT */
ssize_t wire_recv(int sock, struct wire_msg *m, void *more, size_t size, int *fds, unsigned *nfds, int timeout);
int wire_listen(int dirfd);                                                              /* "sock" in dirfd; -errno */
int wire_connect(int dirfd);                                                             /* -errno */
/* One request and its answer. a[0] of the answer, or -errno of the way there. */
int wire_request(const char *id, u32 op, s32 a0, s32 a1, struct wire_msg *answer, void *more, size_t size);
int wire_request_with(const char *id, u32 op, const void *data, size_t len, struct wire_msg *answer);

#endif
