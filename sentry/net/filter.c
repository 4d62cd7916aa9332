/* Socket filters. See filter.h; net/core/filter.c for the order of checks. */
#include "sentry/net/filter.h"

#include "sentry/base/alloc.h"
#include <string.h>

static struct net_filter *copy_of(const struct bpf_insn *insns, u32 n)
{
    struct net_filter *f = try_zalloc(1, sizeof *f + n * sizeof *insns);

    if (!f) return NULL;
    f->n = n;
    memcpy(f->insns, insns, n * sizeof *insns);
    return f;
}

static int replace(struct socket *s, struct net_filter *f)
{
    int r = 0;

    lock(&s->lock);
    struct net_filter *old = s->filter;
    if (s->filter_locked) r = -EPERM;
    else if (!f && !old) r = -ENOENT;
    if (!r) s->filter = f;
    unlock(&s->lock);
    free(r ? f : old);
    return r;
}

int filter_attach(struct socket *s, const struct bpf_insn *insns, u32 n)
{
    if (s->host) return -EOPNOTSUPP;
    if (s->filter_locked) return -EPERM;
    int r = bpf_verify(insns, n, BPF_FOR_PACKETS);
    if (r) return r;
    struct net_filter *f = copy_of(insns, n);
    return f ? replace(s, f) : -ENOMEM;
}

int filter_detach(struct socket *s) { return replace(s, NULL); }

int filter_lock(struct socket *s, bool on)
{
    int r = 0;

    lock(&s->lock);
    if (s->filter_locked && !on) r = -EPERM;
    else s->filter_locked = on;
    unlock(&s->lock);
    return r;
}

ssize_t filter_get(struct socket *s, struct bpf_insn *out, u32 room)
{
    lock(&s->lock);
    const struct net_filter *f = s->filter;
    ssize_t n = f ? f->n : 0;
    if (f && room && room < f->n) n = -EINVAL;
    else if (f && room) memcpy(out, f->insns, f->n * sizeof *out);
    unlock(&s->lock);
    return n;
}

void filter_inherit_locked(struct socket *to, const struct socket *from)
{
    if (from->filter) to->filter = copy_of(from->filter->insns, from->filter->n);
    to->filter_locked = from->filter_locked;
}

void filter_free(struct socket *s) { free(s->filter); }

u32 filter_run(struct socket *s, const struct bpf_input *in)
{
    u32 keep = in->len ? in->len : 1;

    if (!atomic_load(&s->filter)) return keep;
    lock(&s->lock);
    if (s->filter) keep = MIN(keep, bpf_run(s->filter->insns, in));
    unlock(&s->lock);
    return keep;
}

u32 filter_run_plain(struct socket *s, const u8 *data, u32 len, u16 proto)
{
    const struct bpf_packet p = { .frame = data, .frame_len = len, .proto = proto };
    const struct bpf_input in = { .bytes = data, .len = len, .packet = &p };

    return filter_run(s, &in);
}
