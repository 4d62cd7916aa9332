/* Process groups and sessions: setpgid(2), setsid(2), credentials(7); errors in the order of kernel/sys.c. */
#include "sentry/kernel/internal.h"

sysret_t task_setsid(void)
{
    struct tgroup *tg = current->tg;
    struct pgrp *p;
    sysret_t r = -EPERM;

    lock(&kernel.tasklist);
    HASH_FIND(hh, kernel.pgrps, &tg->tgid, sizeof tg->tgid, p);
    if (tg->pgrp->session->sid != tg->tgid && !p) {
        tgroup_join_pgrp_locked(tg, pgrp_new_locked(tg->tgid, session_new_locked(tg->tgid)));
        r = tg->tgid;
    }
    unlock(&kernel.tasklist);
    return r;
}

static struct task *find_locked(s32 pid)
{
    struct task *t;

    HASH_FIND(hh, kernel.tasks_by_tid, &pid, sizeof pid, t);
    return t;
}

static sysret_t setpgid_locked(s32 pid, s32 pgid)
{
    struct tgroup *me = current->tg, *tg;
    struct task *t = find_locked(pid);
    struct pgrp *p;

    if (!t) return -ESRCH;
    tg = t->tg;
    if (tg->leader != t) return -EINVAL;
    if (tg->parent == me) {
        if (tg->pgrp->session != me->pgrp->session) return -EPERM;
        if (tg->did_exec) return -EACCES;
    } else if (tg != me) {
        return -ESRCH;
    }
    if (tg->pgrp->session->sid == tg->tgid) return -EPERM;   /* session leader */
    p = pgrp_lookup_locked(pgid);
    if (pgid != pid) {
        if (!p || p->session != me->pgrp->session) return -EPERM;
    } else if (!p) {
        p = pgrp_new_locked(pgid, tg->pgrp->session);
    }
    if (tg->pgrp != p) tgroup_join_pgrp_locked(tg, p);
    return 0;
}

sysret_t task_setpgid(s32 pid, s32 pgid)
{
    if (!pid) pid = current->tg->tgid;
    if (!pgid) pgid = pid;
    if (pgid < 0) return -EINVAL;
    lock(&kernel.tasklist);
    sysret_t r = setpgid_locked(pid, pgid);
    unlock(&kernel.tasklist);
    return r;
}

sysret_t task_getpgid(s32 pid)
{
    lock(&kernel.tasklist);
    struct task *t = pid ? find_locked(pid) : current;
    sysret_t r = t && t->tg->pgrp ? t->tg->pgrp->pgid : -ESRCH;
    unlock(&kernel.tasklist);
    return r;
}

sysret_t task_getsid(s32 pid)
{
    lock(&kernel.tasklist);
    struct task *t = pid ? find_locked(pid) : current;
    sysret_t r = t && t->tg->pgrp ? t->tg->pgrp->session->sid : -ESRCH;
    unlock(&kernel.tasklist);
    return r;
}
