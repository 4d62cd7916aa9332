/*
 * Sessions: where an exit from the machine is dear (PVM: 30 us), a context that makes calls in quick succession is run by two
 * host threads. A *runner* is in KVM_RUN, and the guest's stub there publishes each call on a request page and waits a bounded time;
 * the task's own thread, on another CPU, watches the page, serves the call and answers there. No exit, no host call.
 *
 * Extended registers stay in the vCPU. What the sentry wants of them, the stub does by order, before it takes an answer.
 *
 * A session ends with whatever is not such a call: a fault, a kick, a wait that takes longer than the budget on either side, a
 * register that the stub does not set. Then the task's thread runs the vCPU itself again.
 *
 * Who has the vCPU, by `state`: RUNNING, SERVING (a call was taken): the runner. DONE: the task's thread, which the runner left what
 * KVM_RUN said. GIVING: the runner lets go of it, after the guest left without an answer to the call it had published, and nothing
 * of the task's thread is taken any more. GIVEN: nobody, it is free to be taken away. HELD: as SERVING, and the runner waits.
 * CROSSING: the guest is to leave, and the runner to go on in another address space.
 *
 * The page is the guest's to write at any time: copied once, then checked. Only its vCPU, in its address space, has it mapped.
 */
#include "platform/kvm/internal.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(futex, "kvm: hand-over between a task's thread and the one that runs its vCPU");
HOSTCALL(sched_setaffinity, "kvm: a runner on another CPU than its task's thread");

#define BUDGET_NS (30 * NSEC_PER_USEC) /* an exit, which waiting saves, costs that */
#define QUICK_NS (200 * NSEC_PER_USEC)
#define RETRY_MIN (10 * NSEC_PER_MSEC)
#define RETRY_MAX NSEC_PER_SEC
#define GOOD_WINDOWS 1000u
#define WORTH_IT 4u /* calls in a session */
#define MAX_SLEEPS (SESSION_WINDOW / WORTH_IT) /* of a window: of two tasks that wake each other neither can be waited for */
#define FIRST 4u /* budgets until the first call of a session: the runner is woken first, and enters the machine */

enum { RUNNING, SERVING, HELD, CROSSING, DONE, GIVING, GIVEN };
enum { GO_WAIT, GO_RUN, GO_END };

static long futex(u32 *word, int op, u32 val, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, timeout, NULL, 0);
}

u32 kvm_session_calibrate(void)
{
    ktime_t best = 0;
    const u32 n = 300;

    for (int round = 0; round < 3; round++) { /* the shortest: the others were interrupted */
        ktime_t t = clock_mono();
        for (u32 i = 0; i < n; i++) __builtin_ia32_pause();
        t = clock_mono() - t;
        if (!best || t < best) best = t;
    }
    return (u32)((u64)BUDGET_NS * n / (u64)(best > 0 ? best : 1)) + 1;
}

static bool change_state(struct kvm_runner *r, u32 from, u32 to)
{
    return __atomic_compare_exchange_n(&r->state, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void drain_kicks(void)
{
    static const struct timespec zero = { 0, 0 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, KVM_KICK_SIGNAL);
    while (sigtimedwait(&set, NULL, &zero) == KVM_KICK_SIGNAL) continue;
}

/* True: the stub has left the machine in its own good time, and nothing is under way. */
static bool run_vcpu(struct kvm_runner *r)
{
    struct kvm_vcpu *v = r->vcpu;
    const struct kvm_run *run = v->run;

    __atomic_add_fetch(&r->p->busy, 1, __ATOMIC_RELAXED);
    r->err = ioctl(v->fd, KVM_RUN, 0) ? errno : 0;
    __atomic_sub_fetch(&r->p->busy, 1, __ATOMIC_RELAXED);
    v->run->kvm_dirty_regs = 0;
    v->ring3 = run->s.regs.sregs.cs.selector & 3;
    if (r->err == EINTR) drain_kicks();
    __atomic_store_n(&v->in_as, 0, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&v->run_seq, 1, __ATOMIC_SEQ_CST);
    v->root->req->spin = 0; /* whoever has this vCPU next answers exits only */
    /* With TF a debug exception would be to come. */
    return !r->err && v->ring3 && !(run->s.regs.regs.rflags & EFLAGS_TF) && run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
           run->io.port == PORT_USER && run->s.regs.regs.rip == USER_TEXT(left);
}

/* The vCPU has left one address space and is to wait for its answer in the other one's stub. */
static void cross(struct kvm_runner *r)
{
    struct kvm_vcpu *v = r->vcpu;
    struct kvm_run *run = v->run;

    run->s.regs.regs.rip = USER_TEXT(published);
    run->s.regs.regs.rflags = 0x202;
    run->s.regs.sregs.cr3 = r->next->gpa;
    kvm_clean_segments(&run->s.regs.sregs); /* the others' selectors are not this one's to see */
    run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    kvm_root_loaded(r->p, v, r->next);
    __atomic_store_n(&v->in_as, (u64)(uintptr_t)r->next_as, __ATOMIC_SEQ_CST);
    __atomic_store_n(&r->state, RUNNING, __ATOMIC_SEQ_CST);
}

/* True: the task's thread goes on with the vCPU now, and may soon have another run. */
static bool run_once(struct kvm_runner *r)
{
    struct kvm_vcpu *v = r->vcpu;
    bool clean = run_vcpu(r);

    for (;;) { /* the task's thread may change it in between */
        if (change_state(r, RUNNING, DONE)) {
            futex(&r->state, FUTEX_WAKE, 1, NULL);
            return true;
        }
        if (clean && __atomic_load_n(&r->state, __ATOMIC_SEQ_CST) == CROSSING) {
            cross(r);
            clean = run_vcpu(r);
        }
        if (change_state(r, SERVING, GIVING) || (!clean && change_state(r, CROSSING, GIVING))) break;
        __builtin_ia32_pause();
    }
    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (!clean) v->broken = true; /* an exception may be under way, and the next to run is perhaps another guest */
    kvm_vcpu_give(r->ctx, v);
    __atomic_store_n(&r->state, GIVEN, __ATOMIC_SEQ_CST);
    futex(&r->state, FUTEX_WAKE, 1, NULL);
    return false;
}

static void *runner_main(void *arg)
{
    struct kvm_runner *r = arg;
    bool soon = true;

    __atomic_store_n(&r->tid, gettid(), __ATOMIC_SEQ_CST);
    for (;;) {
        for (u32 i = soon ? r->p->spin_budget : 0; i && __atomic_load_n(&r->go, __ATOMIC_ACQUIRE) == GO_WAIT; i--) __builtin_ia32_pause();
        while (__atomic_load_n(&r->go, __ATOMIC_ACQUIRE) == GO_WAIT) futex(&r->go, FUTEX_WAIT, GO_WAIT, NULL);
        if (__atomic_exchange_n(&r->go, GO_WAIT, __ATOMIC_SEQ_CST) == GO_END) return NULL;
        soon = run_once(r);
    }
}

static struct kvm_runner *runner_new(struct platform *p)
{
    struct kvm_runner *r = xnew(struct kvm_runner);
    pthread_attr_t at;

    r->p = p;
    r->shuns = -1;
    pthread_attr_init(&at);
    pthread_attr_setstacksize(&at, 128 << 10);
    int rc = pthread_create(&r->thread, &at, runner_main, r);
    pthread_attr_destroy(&at);
    if (rc) {
        free(r);
        return NULL;
    }
    while (!__atomic_load_n(&r->tid, __ATOMIC_SEQ_CST)) sched_yield();
    return r;
}

/* Left to itself, the host's scheduler likes to wake the runner where its waker spins. */
static void keep_apart(struct kvm_runner *r)
{
    int cpu = sched_getcpu();
    cpu_set_t set = r->p->cpus;

    if (cpu == r->shuns || cpu < 0) return;
    r->shuns = cpu;
    CPU_CLR(cpu, &set);
    if (CPU_COUNT(&set)) sched_setaffinity((pid_t)r->tid, sizeof(set), &set); /* if not: as it is */
}

bool kvm_session_begin(struct platform_ctx *ctx, struct kvm_vcpu *v, struct platform_as *as)
{
    struct kvm_session *s = &ctx->session;
    struct request_page *req = v->root->req;
    struct kvm_runner *r;

    if (!s->runner) s->runner = runner_new(ctx->p);
    if (!s->runner) {
        s->wanted = false;
        s->retry_at = clock_mono() + RETRY_MAX;
        return false;
    }
    s->req = req;
    s->as_id = as->id;
    s->seq = __atomic_load_n(&req->seq, __ATOMIC_RELAXED);
    req->ack = s->seq;
    req->sentry_sleeps = 0;
    req->orders = 0;
    req->spin = ctx->p->spin_budget;
    s->on = true;
    s->answered = s->loading = s->leaving = s->crosses = false;
    s->served = 0;
    r = s->runner;
    r->ctx = ctx;
    r->vcpu = v;
    keep_apart(r);
    __atomic_store_n(&v->tid, r->tid, __ATOMIC_SEQ_CST);
    __atomic_store_n(&r->state, RUNNING, __ATOMIC_SEQ_CST);
    __atomic_store_n(&r->go, GO_RUN, __ATOMIC_SEQ_CST);
    futex(&r->go, FUTEX_WAKE, 1, NULL);
    return true;
}

/* To begin one costs more than an exit. */
static void over(struct kvm_session *s)
{
    s->on = false;
    if (s->served < WORTH_IT && !s->leaving) s->fails++;
}

static bool call_came(struct kvm_session *s)
{
    if (__atomic_load_n(&s->req->seq, __ATOMIC_ACQUIRE) == s->seq || !change_state(s->runner, RUNNING, SERVING)) return false;
    memcpy(&s->ev, s->req, sizeof(s->ev));
    __asm__ volatile("" ::: "memory"); /* no second look at the page */
    s->seq = s->ev.seq;
    s->served++;
    return true;
}

bool kvm_session_wait(struct platform_ctx *ctx)
{
    struct kvm_session *s = &ctx->session;
    u32 *state = &s->runner->state;

    for (u32 i = ctx->p->spin_budget * (s->served ? 1 : FIRST); i; i--) {
        if (call_came(s)) return true;
        if (__atomic_load_n(state, __ATOMIC_ACQUIRE) == DONE) break;
        __builtin_ia32_pause();
    }
    if (__atomic_load_n(state, __ATOMIC_ACQUIRE) != DONE) {
        s->fails++;
        kvm_before_sleep(ctx->p);
        __atomic_store_n(&s->req->sentry_sleeps, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(state, __ATOMIC_SEQ_CST) != DONE) {
            if (call_came(s)) {
                __atomic_store_n(&s->req->sentry_sleeps, 0, __ATOMIC_RELAXED);
                return true;
            }
            futex(state, FUTEX_WAIT, RUNNING, NULL);
        }
    }
    over(s);
    s->ended = true;
    __atomic_store_n(&ctx->vcpu->tid, gettid(), __ATOMIC_SEQ_CST);
    return false;
}

/* The guest did not wait for the answer, and left: its vCPU will be free. */
static void await_given(struct kvm_session *s)
{
    u32 *state = &s->runner->state;

    for (u32 st; (st = __atomic_load_n(state, __ATOMIC_SEQ_CST)) != GIVEN;) futex(state, FUTEX_WAIT, st, NULL);
    s->on = false;
}

static bool from_serving(struct kvm_session *s, u32 to)
{
    if (change_state(s->runner, SERVING, to)) return true;
    await_given(s);
    s->fails++;
    return false;
}

bool kvm_session_hold(struct kvm_session *s) { return from_serving(s, HELD); }
void kvm_session_let_go(struct kvm_session *s) { __atomic_store_n(&s->runner->state, SERVING, __ATOMIC_SEQ_CST); }

void kvm_session_stop(struct platform_ctx *ctx)
{
    static const struct timespec period = { 0, NSEC_PER_MSEC };
    struct kvm_session *s = &ctx->session;

    if (!s->on) return;
    u32 *state = &s->runner->state;
    for (u32 i = s->leaving ? ctx->p->spin_budget : 0; i && __atomic_load_n(state, __ATOMIC_ACQUIRE) == SERVING; i--)
        __builtin_ia32_pause();
    if (s->leaving) futex(state, FUTEX_WAIT, SERVING, &period); /* a kick that comes too late hits the vCPU's next run */
    while (__atomic_load_n(state, __ATOMIC_SEQ_CST) == SERVING) {
        kvm_vcpu_kick(ctx->vcpu);
        for (u32 i = ctx->p->spin_budget; i && __atomic_load_n(state, __ATOMIC_ACQUIRE) == SERVING; i--) __builtin_ia32_pause();
        futex(state, FUTEX_WAIT, SERVING, &period);
    }
    await_given(s);
    over(s);
}

/* Does extended state fit behind the registers? The last bytes of the page are the stub's stack. */
static bool state_fits(void) { return platform_xstate_size() <= GPAGE_SIZE - REQ_KVM_STATE - 64; }

bool kvm_session_get_xstate(struct platform_ctx *ctx, void *buf)
{
    struct kvm_session *s = &ctx->session;
    u8 *area = (u8 *)s->req + REQ_KVM_STATE;

    if (s->leaving || !state_fits()) {
        kvm_session_stop(ctx);
        return false;
    }
    memset(area + 512, 0, 64); /* xsave leaves most of the header as it is */
    s->req->orders = REQ_SAVE_STATE;
    s->answered = false;
    if (!from_serving(s, RUNNING)) return false;
    __atomic_store_n(&s->req->ack, s->seq, __ATOMIC_RELEASE);
    if (!kvm_session_wait(ctx)) { /* it was interrupted; where does not matter: its registers are with our caller */
        s->ended = false;
        __atomic_store_n(&ctx->vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        kvm_vcpu_give(ctx, ctx->vcpu);
        return false;
    }
    if (!platform_xstate_take(buf, area)) platform_xstate_init(buf); /* the guest's own doing */
    return true;
}

static void put_answer(struct platform_ctx *ctx, const struct guest_regs *r, u32 orders)
{
    struct request_page *req = ctx->session.req;

    req->regs = *r;
    req->regs.eflags = (r->eflags & USER_EFLAGS) | 0x202;
    if (orders & REQ_LOAD_STATE) memcpy((u8 *)req + REQ_KVM_STATE, ctx->xstate, platform_xstate_size());
    if (req->orders != orders) req->orders = orders; /* the guest polls that line: it is written to once, with the answer */
}

static void answered(struct platform_ctx *ctx)
{
    ctx->session.loading = ctx->xstate_pending;
    ctx->xstate_pending = false;
    ctx->session.answered = true;
}

/* Into the other address space: its page as if the guest had made a call there, and this were the answer. */
static bool resume_across(struct platform_ctx *ctx, struct platform_as *as, const struct guest_regs *regs)
{
    struct kvm_session *s = &ctx->session;
    struct kvm_runner *r = s->runner;
    struct request_page *left = s->req;
    struct kvm_root *root = kvm_as_root(as, ctx->vcpu->id);

    if (!root || !ctx->xstate_pending || !kvm_session_hold(s)) return false;
    s->req = root->req;
    s->as_id = as->id;
    s->crosses = false;
    put_answer(ctx, regs, REQ_LOAD_STATE | REQ_SET_FS | REQ_SET_GS);
    s->req->sentry_sleeps = 0;
    s->req->spin = ctx->p->spin_budget;
    u32 seq = s->seq;
    s->seq = __atomic_load_n(&s->req->seq, __ATOMIC_RELAXED);
    __atomic_store_n(&s->req->ack, s->seq, __ATOMIC_RELEASE);
    r->next = root;
    r->next_as = as;
    __atomic_store_n(&r->state, CROSSING, __ATOMIC_SEQ_CST);
    __atomic_store_n(&left->orders, REQ_LEAVE, __ATOMIC_RELEASE);
    __atomic_store_n(&left->ack, seq, __ATOMIC_RELEASE);
    for (u32 i = 0; __atomic_load_n(&r->state, __ATOMIC_ACQUIRE) == CROSSING; i++) {
        if (i > FIRST * ctx->p->spin_budget) {
            kvm_vcpu_kick(ctx->vcpu);
            i = 0;
        }
        __builtin_ia32_pause();
    }
    u32 state = __atomic_load_n(&r->state, __ATOMIC_SEQ_CST);
    if (state == GIVING || state == GIVEN) {
        await_given(s);
        return false;
    }
    answered(ctx);
    return true;
}

bool kvm_session_resume(struct platform_ctx *ctx, struct platform_as *as, const struct guest_regs *r)
{
    struct kvm_session *s = &ctx->session;
    const u32 orders = (ctx->xstate_pending ? REQ_LOAD_STATE : 0u) | (r->fs_base != s->ev.regs.fs_base ? REQ_SET_FS : 0u) |
                       (r->gs_base != s->ev.regs.gs_base ? REQ_SET_GS : 0u);

    if (s->crosses && ctx->as_id == as->id && state_fits() && !(r->eflags & (EFLAGS_TF | EFLAGS_RF))) {
        if (resume_across(ctx, as, r)) return true;
        kvm_session_stop(ctx);
        return false;
    }
    if (!s->wanted || s->leaving || s->as_id != as->id || (ctx->xstate_pending && !state_fits()) || r->eflags & (EFLAGS_TF | EFLAGS_RF)) {
        kvm_session_stop(ctx);
        return false;
    }
    put_answer(ctx, r, orders);
    if (!from_serving(s, RUNNING)) return false;
    answered(ctx);
    __atomic_store_n(&s->req->ack, s->seq, __ATOMIC_RELEASE);
    return true;
}

void kvm_ctx_sleeps(struct platform_ctx *ctx)
{
    struct kvm_session *s = &ctx->session;

    if (!s->on || s->leaving) return;
    s->leaving = true;
    s->answered = false;
    __atomic_store_n(&s->req->orders, REQ_LEAVE, __ATOMIC_RELEASE);
    __atomic_store_n(&s->req->ack, s->seq, __ATOMIC_RELEASE);
}

/* In turn: in a session the thread would have gone on with the other task instead (change.c). */
void kvm_ctx_woken(struct platform_ctx *ctx, int cpu UNUSED, bool in_turn)
{
    if (in_turn) ctx->session.turns++;
    else ctx->session.slept++;
}

void kvm_session_look(struct platform_ctx *ctx)
{
    struct kvm_session *s = &ctx->session;
    int busy = __atomic_load_n(&ctx->p->busy, __ATOMIC_RELAXED), ncpus = (int)ctx->p->cfg.ncpus;
    ktime_t now = clock_mono(), took = now - s->since;
    bool asleep = s->slept > MAX_SLEEPS;

    if (s->turns > MAX_SLEEPS) busy--; /* the other one, which would not be if there were a session */
    s->count = s->slept = s->turns = 0;
    s->since = now;
    if (asleep) { /* which says nothing about what waiting is worth at other times */
        s->wanted = false;
        return;
    }
    if (!s->wanted) {
        s->wanted = took < SESSION_WINDOW * QUICK_NS && now >= s->retry_at && busy + 1 <= ncpus;
        s->fails = s->good = 0;
        return;
    }
    if (s->fails > SESSION_MAX_FAILS) {
        s->backoff = s->backoff ? MIN(s->backoff * 2, RETRY_MAX) : RETRY_MIN;
        s->retry_at = now + s->backoff;
        s->wanted = false;
    } else if (busy > ncpus) {
        s->retry_at = now + RETRY_MIN;
        s->wanted = false;
    } else if (++s->good >= GOOD_WINDOWS) {
        s->backoff = 0;
    }
    s->fails = 0;
}

void kvm_session_end(struct platform_ctx *ctx)
{
    struct kvm_session *s = &ctx->session;

    kvm_session_stop(ctx);
    if (!s->runner) return;
    __atomic_store_n(&s->runner->go, GO_END, __ATOMIC_SEQ_CST);
    futex(&s->runner->go, FUTEX_WAKE, 1, NULL);
    pthread_join(s->runner->thread, NULL);
    free(s->runner);
    s->runner = NULL;
}
