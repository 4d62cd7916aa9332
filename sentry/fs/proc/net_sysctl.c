/* /proc/sys/net: the host namespace's values where its network is used, else those of the loopback inside. Read-only. */
#include "sentry/fs/proc/proc.h"
#include "sentry/net/host.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static int take_text(void *b, const u8 *p, size_t n)
{
    for (size_t i = 0; i < n; i++) strbuf_printf(b, "%c", p[i]);
    return 0;
}

static const struct { const char *dir, *name, *text; } table[] = {
#define ROW(dir, name, text) { dir, name, text },
    NETB_SYSCTLS(ROW)
};

static int show(struct synth_node *n, struct strbuf *b)
{
    u32 which = NETB_PROC_END + (u32)n->id;
    if (net_plan.head.mode == PLAN_NET_HOST) return netb_call_pieces(NETB_PROC, &which, sizeof which, NULL, 0, take_text, b);
    strbuf_printf(b, "%s\n", table[n->id].text);
    return 0;
}
static const struct synth_entry file = SYNTH_FILE("sysctl", show);

static bool here(struct synth_node *dir, size_t i)
{
    return !strcmp(table[i].dir, dir->e->name) && (table[i].text || net_plan.head.mode == PLAN_NET_HOST);
}

int proc_sys_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (here(dir, i) && !strcmp(name, table[i].name)) {
            *child = (struct synth_node){ .e = &file, .id = (s64)i };
            return 0;
        }
    return -ENOENT;
}

bool proc_sys_net_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
{
    for (size_t i = (size_t)from; i < ARRAY_LEN(table); i++)
        if (here(dir, i)) {
            *id = (s64)i;
            snprintf(name, 32, "%s", table[i].name);
            *dtype = DT_REG;
            return true;
        }
    return false;
}
