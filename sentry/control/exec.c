/*
 * exec: a process from outside. A thread of its own prepares it, so that a slow file server does not hold up the control
 * socket, then sleeps until the process is gone and reports how it ended.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/plan.h"
#include "sentry/base/service.h"
#include "sentry/control/control.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/kernel/init.h"
#include "sentry/kernel/task.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXEC_STACK (256 * 1024)

struct exec { u32 seq; int fds[CONTROL_FDS_MAX]; unsigned nfds; };
struct gone { struct waiter w; u32 word; };

static bool on_exit_wait(struct waiter *w, u32 events UNUSED)
{
    struct gone *g = container_of(w, struct gone, w);
    __atomic_store_n(&g->word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &g->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return true;
}

static u32 wait_gone(struct tgroup *tg)
{
    struct gone g = { .w = { .wake = on_exit_wait } };
    waitq_add(&tg->exit_wait, &g.w);
    for (;;) {
        lock(&kernel.tasklist);
        bool zombie = tg->zombie;
        u32 status = tg->exit_status;
        unlock(&kernel.tasklist);
        if (zombie) {
            waitq_del(&g.w);
            return status;
        }
        syscall(SYS_futex, &g.word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        __atomic_store_n(&g.word, 0, __ATOMIC_RELEASE);
    }
}

static void refuse(u32 seq, s32 err, s32 status, const char *why)
{
    s32 head[2] = { err, status };
    control_answer(CTL_REPLY, seq, head, sizeof(head), why, (u32)strlen(why));
}

static void *exec_main(void *arg)
{
    struct exec *e = arg;
    u8 *plan = NULL;
    size_t len;
    char why[2048];
    s32 status = 125;
    int r = plan_read_fd(e->fds[0], &plan, &len);
    struct task *t = NULL;
    if (r) refuse(e->seq, r, status, "the plan of the exec cannot be read");
    else t = init_exec(plan, len, e->fds + 1, e->nfds - 1, &status, why, sizeof(why));
    if (!r && !t) refuse(e->seq, -ENOEXEC, status, why);
    free(plan);
    for (unsigned i = 0; i < e->nfds; i++)
        if (e->fds[i] >= 0) close(e->fds[i]);
    if (t) {
        struct tgroup *tg = t->tg;
        s32 head[2] = { 0, t->tid };
        tgroup_get(tg);
        r = task_start(t);
        if (r) {
            refuse(e->seq, r, 126, "the host refuses threads");
            task_discard(t);
        } else {
            control_answer(CTL_REPLY, e->seq, head, sizeof(head), NULL, 0);
            u32 ws = wait_gone(tg);
            console_finish_of(head[1]);
            control_answer(CTL_EXEC_EXITED, e->seq, &ws, sizeof(ws), NULL, 0);
        }
        tgroup_put(tg);
    }
    free(e);
    return NULL;
}

void control_exec(u32 seq, const int *fds, unsigned nfds)
{
    struct exec *e = xnew(struct exec);
    e->seq = seq;
    e->nfds = nfds;
    memcpy(e->fds, fds, nfds * sizeof(*fds));
    int r = nfds ? service_start(exec_main, e, EXEC_STACK) : -EINVAL;
    if (!r) return;
    for (unsigned i = 0; i < nfds; i++) close(fds[i]);
    free(e);
    refuse(seq, r, 126, "the host refuses threads");
}
