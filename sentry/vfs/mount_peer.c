/*
 * Peer groups: which mounts share what is mounted on them, and which only receive. Source: sharedsubtree.rst, section 5.
 * All under LC_MOUNT, written. The graph is kept between groups, not between mounts: all members of a group have the same
 * master, so that one edge tells it.
 */
#include "sentry/base/alloc.h"
#include "sentry/vfs/mount_internal.h"
#include <sys/mount.h>

static u32 next_group = 1;

static void add_slave(struct peer_group *master, struct mount *m)
{
    m->master = master;
    TAILQ_INSERT_TAIL(&master->slaves, m, peer);
}

static void add_member(struct peer_group *g, struct mount *m)
{
    m->group = g;
    TAILQ_INSERT_TAIL(&g->members, m, peer);
}

static struct peer_group *group_new(struct peer_group *master)
{
    struct peer_group *g = xnew(struct peer_group);
    g->id = next_group++;
    if (!next_group) next_group = 1;
    TAILQ_INIT(&g->members);
    TAILQ_INIT(&g->slaves);
    TAILQ_INIT(&g->groups);
    g->master = master;
    if (master) TAILQ_INSERT_TAIL(&master->groups, g, sibling);
    return g;
}

/* The last member has gone: those below get what the master sends, or become private. */
static void group_end(struct peer_group *g)
{
    struct peer_group *up = g->master, *c;
    struct mount *m;
    while ((m = TAILQ_FIRST(&g->slaves)) != NULL) {
        TAILQ_REMOVE(&g->slaves, m, peer);
        m->master = NULL;
        if (up) add_slave(up, m);
    }
    while ((c = TAILQ_FIRST(&g->groups)) != NULL) {
        TAILQ_REMOVE(&g->groups, c, sibling);
        c->master = up;
        if (up) TAILQ_INSERT_TAIL(&up->groups, c, sibling);
    }
    if (up) TAILQ_REMOVE(&up->groups, g, sibling);
    free(g);
}

static void leave_master(struct mount *m)
{
    if (!m->master) return;
    TAILQ_REMOVE(&m->master->slaves, m, peer);
    m->master = NULL;
}

void peer_make_shared(struct mount *m)
{
    m->unbindable = false;
    if (m->group) return;
    struct peer_group *master = m->master;
    leave_master(m);
    add_member(group_new(master), m);
}

/* Slave of those who were its peers; without peers, of its master. */
static void make_slave(struct mount *m)
{
    struct peer_group *g = m->group;
    if (!g) return;
    TAILQ_REMOVE(&g->members, m, peer);
    m->group = NULL;
    bool last = TAILQ_EMPTY(&g->members);
    struct peer_group *to = last ? g->master : g;
    if (to) add_slave(to, m);
    if (last) group_end(g);
}

void peer_leave(struct mount *m)
{
    make_slave(m);
    leave_master(m);
}

void peer_change(struct mount *m, u64 kind)
{
    switch (kind) {
    case MS_SHARED: peer_make_shared(m); break;
    case MS_SLAVE: make_slave(m); break;
    default:
        peer_leave(m);
        m->unbindable = kind == MS_UNBINDABLE;
    }
}

void peer_clone(struct mount *c, struct mount *old, unsigned how)
{
    c->unbindable = old->unbindable;
    if (old->group && (how & (CP_SLAVE | CP_SHARED_TO_SLAVE))) add_slave(old->group, c);
    else if (old->group) add_member(old->group, c);
    else if (old->master) add_slave(old->master, c);
    if (how & CP_MAKE_SHARED) peer_make_shared(c);
}

struct peer_group *peer_skip_group(struct peer_group *g, const struct peer_group *top)
{
    for (; g != top; g = g->master) {
        struct peer_group *n = TAILQ_NEXT(g, sibling);
        if (n) return n;
    }
    return NULL;
}

struct peer_group *peer_next_group(struct peer_group *g, const struct peer_group *top)
{
    struct peer_group *n = TAILQ_FIRST(&g->groups);
    return n ? n : peer_skip_group(g, top);
}
