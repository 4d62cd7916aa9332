/* Numbers of tasks, process groups and sessions; membership. All under kernel.tasklist. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"

#define RESERVED_PIDS 300        /* as in Linux: not handed out again after the first wrap */

bool pid_in_use_locked(s32 pid)
{
    struct task *t;
    struct pgrp *p;
    struct session *s;

    HASH_FIND(hh, kernel.tasks_by_tid, &pid, sizeof pid, t);
    if (t) return true;
    HASH_FIND(hh, kernel.pgrps, &pid, sizeof pid, p);
    if (p) return true;
    HASH_FIND(hh, kernel.sessions, &pid, sizeof pid, s);
    return s != NULL;
}

s32 pid_alloc_locked(void)
{
    s32 pid = kernel.next_tid;

    for (s32 tries = 0; tries < kernel.pid_max; tries++, pid++) {
        if (pid >= kernel.pid_max) pid = RESERVED_PIDS < kernel.pid_max ? RESERVED_PIDS : 2;
        if (pid_in_use_locked(pid)) continue;
        kernel.next_tid = pid + 1;
        return pid;
    }
    return -EAGAIN;
}

struct session *session_new_locked(s32 sid)
{
    struct session *s = xnew(struct session);    /* its process groups hold the references */

    s->sid = sid;
    HASH_ADD(hh, kernel.sessions, sid, sizeof s->sid, s);
    return s;
}

void session_put_locked(struct session *s)
{
    if (!ref_put(&s->refs)) return;
    HASH_DEL(kernel.sessions, s);
    pid_ns_release_locked(s->sid);
    free(s);
}

struct pgrp *pgrp_new_locked(s32 pgid, struct session *s)
{
    struct pgrp *p = xnew(struct pgrp);          /* its members hold the references */

    p->pgid = pgid;
    p->session = s;
    ref_get(&s->refs);
    TAILQ_INIT(&p->members);
    HASH_ADD(hh, kernel.pgrps, pgid, sizeof p->pgid, p);
    return p;
}

static void pgrp_put_locked(struct pgrp *p)
{
    if (!ref_put(&p->refs)) return;
    HASH_DEL(kernel.pgrps, p);
    session_put_locked(p->session);
    pid_ns_release_locked(p->pgid);
    free(p);
}

/* Takes a reference of p for tg; leaves the old group. */
void tgroup_join_pgrp_locked(struct tgroup *tg, struct pgrp *p)
{
    ref_get(&p->refs);
    tgroup_leave_pgrp_locked(tg);
    tg->pgrp = p;
    atomic_store(&tg->sid, p->session->sid);
    TAILQ_INSERT_TAIL(&p->members, tg, pgrp_link);
}

void tgroup_leave_pgrp_locked(struct tgroup *tg)
{
    struct pgrp *p = tg->pgrp;

    if (!p) return;
    TAILQ_REMOVE(&p->members, tg, pgrp_link);
    tg->pgrp = NULL;
    pgrp_put_locked(p);
}

struct pgrp *pgrp_lookup_locked(s32 pgid)
{
    struct pgrp *p;

    HASH_FIND(hh, kernel.pgrps, &pgid, sizeof pgid, p);
    return p && !TAILQ_EMPTY(&p->members) ? p : NULL;
}

bool pgrp_will_be_orphaned_locked(struct pgrp *p, struct tgroup *ignored)
{
    struct tgroup *tg;

    TAILQ_FOREACH(tg, &p->members, pgrp_link) {
        struct tgroup *parent = tg->parent;
        if (tg == ignored || tg->zombie || !parent || !parent->pgrp) continue;
        if (parent->pgrp != p && parent->pgrp->session == p->session) return false;
    }
    return true;
}

bool pgrp_is_orphaned_locked(struct pgrp *p) { return pgrp_will_be_orphaned_locked(p, NULL); }
