/*
 * Filters that a program attaches to a socket: classic BPF, run on each message before it is queued. socket(7),
 * Documentation/networking/filter.rst. Streams of the sandbox are no packets: theirs are kept, reported and not run.
 */
#ifndef SUNDOG_NET_FILTER_H
#define SUNDOG_NET_FILTER_H

#include "sentry/kernel/bpf.h"
#include "sentry/net/socket.h"

struct net_filter { u32 n; struct bpf_insn insns[]; };     /* immutable */

/* insns is copied. -EPERM: locked; -EINVAL: not a program for packets; -EOPNOTSUPP: a host socket; -ENOMEM */
int filter_attach(struct socket *s, const struct bpf_insn *insns, u32 n);
int filter_detach(struct socket *s);                       /* -EPERM; -ENOENT: there is none */
int filter_lock(struct socket *s, bool on);                /* -EPERM: it is on for good */
/* Instructions of s's filter, 0: none. With room for them, they are copied out; -EINVAL: less room. */
ssize_t filter_get(struct socket *s, struct bpf_insn *out, u32 room);
void filter_inherit_locked(struct socket *to, const struct socket *from);
void filter_free(struct socket *s);                        /* last reference */
/* How much of the input s takes: at least one byte, or 0: none. Takes s->lock. */
u32 filter_run(struct socket *s, const struct bpf_input *in);
/* The same for a message that has no headers. */
u32 filter_run_plain(struct socket *s, const u8 *data, u32 len, u16 proto);

#endif
