/* Resource limits. Source: getrlimit(2), prlimit(2); check_prlimit_permission() of kernel/sys.c. */
#include "sentry/kernel/internal.h"
#include "sentry/kernel/limits.h"
#include <linux/capability.h>
#include <string.h>

u64 task_rlimit(struct task *t, int which)
{
    /* A soft limit is one aligned word: no lock for readers. */
    return __atomic_load_n(&t->tg->rlim[which].rlim_cur, __ATOMIC_RELAXED);
}

void tgroup_get_rlimits(struct tgroup *tg, struct rlimit out[KRLIM_NLIMITS])
{
    lock(&tg->rlim_lock);
    memcpy(out, tg->rlim, sizeof tg->rlim);
    unlock(&tg->rlim_lock);
}

static int may_prlimit(struct task *t)
{
    if (!current || t->tg == current->tg) return 0;
    const struct cred *c = current->cred;
    struct cred *o = task_get_cred(t);
    bool same = c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid && c->gid == o->sgid &&
        c->gid == o->gid;
    bool ok = same || cred_ns_capable(c, o->user_ns, CAP_SYS_RESOURCE);
    cred_put(o);
    return ok ? 0 : -EPERM;
}

sysret_t task_prlimit(struct task *t, int which, const struct rlimit *new_, struct rlimit *old)
{
    struct tgroup *tg = t->tg;
    int r;

    if (which < 0 || which >= KRLIM_NLIMITS) return -EINVAL;
    if (new_) {
        if (new_->rlim_cur > new_->rlim_max) return -EINVAL;
        if (which == RLIMIT_NOFILE && new_->rlim_max > kernel_limit(nr_open)) return -EPERM;
    }
    if ((r = may_prlimit(t)) < 0) return r;
    lock(&tg->rlim_lock);
    struct rlimit *l = &tg->rlim[which];
    if (old) *old = *l;
    if (new_) {
        if (new_->rlim_max > l->rlim_max && !capable(CAP_SYS_RESOURCE)) {
            unlock(&tg->rlim_lock);
            return -EPERM;
        }
        l->rlim_max = new_->rlim_max;
        __atomic_store_n(&l->rlim_cur, new_->rlim_cur, __ATOMIC_RELAXED);
    }
    unlock(&tg->rlim_lock);
    return 0;
}
