/* What runs inside, and what it uses. */
#include "sentry/control/control.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usercopy.h"

#include <stdio.h>
#include <string.h>

/* argv with spaces between; what is not printable is left to whoever shows it. */
static void fill_args(struct task *t, char *out, size_t size)
{
    struct mm *mm = task_get_mm(t);
    if (!mm) return;
    size_t want = mm->arg_end > mm->arg_start ? MIN((size_t)(mm->arg_end - mm->arg_start), size - 1) : 0;
    size_t n = want ? mm_copy_in(mm, out, mm->arg_start, want) : 0;
    mm_put(mm);
    for (size_t i = 0; i + 1 < n; i++)
        if (!out[i]) out[i] = ' ';
    out[n] = 0;
}

u32 control_ps(struct control_proc *out, u32 max)
{
    u32 n = 0;
    struct tgroup *tg;
    for (s32 next = 1; n < max && (tg = tgroup_next_get(next)); tgroup_put(tg)) {
        struct task *t = tgroup_leader_get(tg);
        next = tg->tgid + 1;
        if (!t) continue;
        struct control_proc *p = &out[n++];
        memset(p, 0, sizeof(*p));
        struct cred *c = task_get_cred(t);
        p->pid = tg->tgid;
        p->ppid = tgroup_ppid(tg);
        p->uid = c->euid;
        cred_put(c);
        p->state = task_state_letter(t);
        task_get_comm(t, p->comm);
        fill_args(t, p->args, sizeof(p->args));
        struct rusage_acc ru;
        tgroup_rusage(tg, &ru);
        p->utime_ns = ru.utime_ns;
        p->stime_ns = ru.stime_ns;
        p->start_ns = (u64)t->start_time;
        task_put(t);
    }
    return n;
}

void control_stats(struct control_stats *out)
{
    *out = (struct control_stats){ .mem_used = memfile_resident(), .mem_limit = kernel_mem_limit() };
    struct tgroup *tg;
    for (s32 next = 1; (tg = tgroup_next_get(next)); tgroup_put(tg)) {
        struct rusage_acc ru;
        next = tg->tgid + 1;
        tgroup_rusage(tg, &ru);
        out->utime_ns += ru.utime_ns;
        out->stime_ns += ru.stime_ns;
    }
    lock(&kernel.tasklist);
    out->nr_tasks = kernel.nr_tasks;
    out->nr_processes = kernel.nr_tgroups;
    unlock(&kernel.tasklist);
}
