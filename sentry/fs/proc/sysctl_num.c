#include "sentry/fs/proc/sysctl_num.h"
#include "sentry/kernel/ns.h"

#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 4
#define SPACE " \t\n"

static char *place(const struct sysctl_num *n) { return n->at ? n->at : (char *)ipc_ns_settings() + n->ipc_at; }

static u64 load(const struct sysctl_num *n, unsigned i)
{
    const char *p = place(n) + i * n->bytes;
    if (n->bytes == 8) return __atomic_load_n((const u64 *)(const void *)p, __ATOMIC_RELAXED);
    u32 v = __atomic_load_n((const u32 *)(const void *)p, __ATOMIC_RELAXED);
    return n->is_signed ? (u64)(s64)(s32)v : v;
}

static void save(const struct sysctl_num *n, unsigned i, u64 v)
{
    char *p = place(n) + i * n->bytes;
    if (n->bytes == 8) __atomic_store_n((u64 *)(void *)p, v, __ATOMIC_RELAXED);
    else __atomic_store_n((u32 *)(void *)p, (u32)v, __ATOMIC_RELAXED);
}

int sysctl_num_show(struct synth_node *node, struct strbuf *b)
{
    const struct sysctl_num *n = node->e->arg;
    for (unsigned i = 0; i < MAX(n->count, 1); i++) {
        if (i) strbuf_printf(b, "\t");
        if (n->is_signed) strbuf_printf(b, "%lld", (long long)load(n, i));
        else strbuf_printf(b, "%llu", (unsigned long long)load(n, i));
    }
    strbuf_printf(b, "\n");
    return 0;
}

int sysctl_parse(char **text, u64 *out)
{
    char *end, *p = *text + strspn(*text, SPACE);
    if (*p < '0' || *p > '9') return -EINVAL;
    errno = 0;
    *out = strtoull(p, &end, 10);
    if (errno || (*end && !strchr(SPACE, *end))) return -EINVAL;
    *text = end + strspn(end, SPACE);
    return 0;
}

/* Fewer numbers than there are leave the others as they are, as in Linux; none is an error. */
int sysctl_num_store(struct synth_node *node, char *text, size_t len UNUSED)
{
    const struct sysctl_num *n = node->e->arg;
    unsigned count = MAX(n->count, 1), given = 0;
    u64 v[MAX_VALUES];

    for (unsigned i = 0; i < count; i++) v[i] = load(n, i);
    while (given < count && (!given || *text)) {
        int r = sysctl_parse(&text, &v[given]);
        if (r) return r;
        if (v[given] < n->min || v[given] > n->max) return -EINVAL;
        given++;
    }
    if (*text) return -EINVAL;
    int r = n->set ? n->set(n, v) : 0;
    for (unsigned i = 0; !r && i < given; i++) save(n, i, v[i]);
    return r;
}
