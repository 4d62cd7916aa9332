/*
 * The thread of a session goes on with another context: of two guests that wake each other in turn, whose calls this one thread
 * serves then. The session and its vCPU go over to the other context. Threads of one process differ by registers only: what would
 * be four exits a turn is an answer with other registers. Between processes the page tables differ: one exit, from which the runner
 * goes on by itself in the other address space.
 */
#include "platform/kvm/internal.h"

bool kvm_ctx_keeps(struct platform_ctx *ctx) { return ctx->session.on && !ctx->session.leaving; }

static void exchange_runners(struct platform_ctx *from, struct platform_ctx *to)
{
    struct kvm_runner *r = from->session.runner;

    from->session.runner = to->session.runner;
    to->session.runner = r;
    r->ctx = to;
}

/* False: it could not be; the session is on still, or over. */
static bool move(struct platform_ctx *from, struct platform_ctx *to)
{
    struct kvm_session *f = &from->session, *t = &to->session;
    struct kvm_vcpu *v = from->vcpu;

    if (!from->xstate_pending) {
        if (!kvm_session_get_xstate(from, from->xstate)) return false;
        from->xstate_pending = true;
    }
    if (!kvm_session_hold(f)) return false;
    kvm_vcpu_leave(to);
    to->vcpu = v;
    from->vcpu = NULL;
    __atomic_store_n(&v->holder, (u64)(uintptr_t)to | VCPU_BUSY, __ATOMIC_SEQ_CST);
    exchange_runners(from, to);
    f->on = false;
    t->on = t->wanted = true;
    t->ended = t->answered = t->leaving = t->loading = false;
    t->req = f->req;
    t->as_id = f->as_id;
    t->crosses = from->as_id != to->as_id;
    t->seq = f->seq;
    t->served = MAX(f->served, 1u); /* the next call will come at once */
    t->ev.regs.fs_base = f->ev.regs.fs_base; /* what the vCPU has */
    t->ev.regs.gs_base = f->ev.regs.gs_base;
    kvm_session_let_go(t);
    return true;
}

void kvm_ctx_take_over(struct platform_ctx *from, struct platform_ctx *to)
{
    if (!kvm_ctx_keeps(from)) return;
    kvm_session_stop(to);
    if (move(from, to)) return;
    to->session.wanted = true;
    kvm_ctx_sleeps(from);
}
