/*
 * vCPUs. A context keeps the one it ran on, with its extended registers in it, as long as there are enough; then the one
 * that was idle longest is taken away from its context, whose registers move to memory.
 *
 * A vCPU that changes its host thread costs kernels before 6.14 a wait for all processors (synchronize_rcu), so
 * new ones are made, up to the cap, before one of another thread is used again.
 */
#include "platform/kvm/internal.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

HOSTCALL_ARG(ioctl, "a processor more for the virtual machine", 1, KVM_CREATE_VCPU);
HOSTCALL_ARG(ioctl, "size of a new processor's shared page", 1, KVM_GET_VCPU_MMAP_SIZE);
HOSTCALL_ARG(ioctl, "start state of a processor", 1, KVM_SET_CPUID2);
HOSTCALL_ARG(ioctl, "start state of a processor", 1, KVM_GET_SREGS);
HOSTCALL_ARG(ioctl, "start state of a processor", 1, KVM_SET_SREGS);
HOSTCALL_ARG(ioctl, "start state of a processor", 1, KVM_SET_XCRS);
HOSTCALL_ARG(ioctl, "start state of a processor", 1, KVM_SET_MSRS);
HOSTCALL_ARG(ioctl, "start state of a processor: the host's time stamps", 1, KVM_SET_DEVICE_ATTR);
HOSTCALL_ARG(ioctl, "a processor that crashed or changes its place forgets what was pending", 1, KVM_SET_VCPU_EVENTS);
HOSTCALL_ARG(ioctl, "which signal ends a run", 1, KVM_SET_SIGNAL_MASK);
HOSTCALL_ARG(ioctl, "extended registers of a guest thread", 1, KVM_GET_XSAVE);
HOSTCALL_ARG(ioctl, "extended registers of a guest thread", 1, KVM_SET_XSAVE);
HOSTCALL(mmap, "a processor's shared page");
HOSTCALL(close, "a processor that could not be set up");
HOSTCALL(tgkill, "a kick interrupts guest code");
HOSTCALL(clock_nanosleep, "all processors are in use: wait for one");

#define MSR_EFER_BITS 0xd01 /* SCE LME LMA NXE */
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
/* Flags that ring 0 starts without: CF PF AF ZF SF TF IF DF OF IOPL NT RF AC. */
#define FMASK 0x57fd5

#define TSS_PORTS 104 /* a TSS's map of ports */

#define XS_BV 512
#define XS_SW_RESERVED 464
#define XS_LEGACY 512

static int set_msrs(struct kvm_vcpu *v, bool user_stub)
{
    struct { struct kvm_msrs head; struct kvm_msr_entry e[4]; } m = {
        .head.nmsrs = 4,
        .e = { { .index = MSR_STAR, .data = (u64)(SEL_UDS - 8) << 48 | (u64)SEL_KCS << 32 },
               { .index = MSR_LSTAR, .data = user_stub ? USER_TEXT(syscall) : TEXT(syscall) },
               { .index = MSR_CSTAR, .data = user_stub ? USER_TEXT(cstar) : TEXT(cstar) },
               { .index = MSR_FMASK, .data = FMASK } },
    };
    return ioctl(v->fd, KVM_SET_MSRS, &m) == 4 ? 0 : -(errno ? errno : EINVAL);
}

static void segment(struct kvm_segment *s, u16 selector, u8 type, u8 dpl, bool code)
{
    *s = (struct kvm_segment){ .selector = selector, .limit = 0xffffffff, .type = type, .present = 1, .dpl = dpl, .s = 1,
                               .l = code, .db = !code, .g = 1 };
}

static int set_sregs(struct platform *p, struct kvm_vcpu *v)
{
    struct kvm_sregs s;

    if (ioctl(v->fd, KVM_GET_SREGS, &s)) return -errno;
    if (p->var.user_stub) {
        segment(&s.cs, SEL_UCS, 11, 3, true);
        segment(&s.ss, SEL_UDS, 3, 3, false);
    } else {
        segment(&s.cs, SEL_KCS, 11, 0, true);
        segment(&s.ss, SEL_KDS, 3, 0, false);
    }
    segment(&s.ds, SEL_UDS, 3, 3, false);
    s.es = s.fs = s.gs = s.ds;
    s.tr = (struct kvm_segment){ .base = KVA_VCPU(v->id), .limit = p->var.user_stub ? TSS_PORTS + PORT_USER / 8 + 1 : TSS_PORTS - 1, .selector = SEL_TSS, .type = 11, .present = 1 };
    s.ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
    s.gdt = (struct kvm_dtable){ .base = KVA_GDT, .limit = SEL_UCS / 8 * 8 + 7 };
    s.idt = (struct kvm_dtable){ .base = KVA_IDT, .limit = 32 * 16 - 1 };
    s.cr0 = 0x80050033;
    s.cr3 = v->root ? v->root->gpa : 0;
    s.cr4 = p->cr4;
    s.efer = MSR_EFER_BITS;
    memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
    if (ioctl(v->fd, KVM_SET_SREGS, &s)) return -errno;
    v->run->s.regs.sregs = s;
    return 0;
}

/* Guests read the time by the sentry's own time stamps, so an offset will not do. */
static int set_tsc(struct kvm_vcpu *v)
{
    u64 zero = 0;
    struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (u64)(uintptr_t)&zero };
    return ioctl(v->fd, KVM_SET_DEVICE_ATTR, &a) ? -errno : 0;
}

/*
 * TSS: stack 1 ends with the page; the map of ports lies beyond the limit, so ring 3 has none, or (user_stub) ends with the
 * byte of the one port that it has.
 */
static void fill_page(struct kvm_vcpu *v, bool user_stub)
{
    u64 stack = KVA_VCPU(v->id) + GPAGE_SIZE;
    u16 iomap = TSS_PORTS;

    memset(v->page, 0, GPAGE_SIZE);
    if (user_stub) {
        memset(v->page + TSS_PORTS, 0xff, PORT_USER / 8 + 2);
        v->page[TSS_PORTS + PORT_USER / 8] &= (u8)~(1u << PORT_USER % 8);
    }
    memcpy(v->page + 4, &stack, sizeof(stack));  /* RSP0 */
    memcpy(v->page + 36, &stack, sizeof(stack)); /* IST1 */
    memcpy(v->page + 102, &iomap, sizeof(iomap));
}

int kvm_vcpu_setup(struct platform *p, struct kvm_vcpu *v)
{
    struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = p->xcr0 } } };
    struct kvm_vcpu_events events = { .flags = 0 };
    int rc;

    fill_page(v, p->var.user_stub);
    if ((rc = set_sregs(p, v))) return rc;
    if (ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) || ioctl(v->fd, KVM_SET_XCRS, &xcrs)) return -errno;
    if ((rc = set_msrs(v, p->var.user_stub)) || (rc = set_tsc(v))) return rc;
    v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    v->run->kvm_dirty_regs = 0;
    v->broken = false;
    v->ring3 = p->var.user_stub;
    v->clean_segments = true;
    v->gen = 0;
    return 0;
}

static int create(struct platform *p, unsigned id, struct kvm_vcpu **out)
{
    struct { struct kvm_signal_mask head; u64 set; } mask = { .head.len = 8, .set = p->signal_mask };
    struct kvm_vcpu *v = xnew(struct kvm_vcpu);
    int size = ioctl(p->dev, KVM_GET_VCPU_MMAP_SIZE, 0), rc;
    void *run = MAP_FAILED;

    /* the mask follows the header at once, without the padding of this struct */
    memcpy((u8 *)&mask + sizeof(mask.head), &p->signal_mask, 8);
    v->id = id;
    v->page = NULL;
    v->fd = ioctl(p->vm, KVM_CREATE_VCPU, (unsigned long)id);
    if (v->fd >= 0) run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    rc = v->fd < 0 || run == MAP_FAILED ? -errno : 0;
    if (!rc) {
        v->run = run;
        v->page = kvm_vcpu_page(p, id);
        if (!v->page) rc = -ENOMEM;
        else if (ioctl(v->fd, KVM_SET_CPUID2, p->cpuid) || ioctl(v->fd, KVM_SET_SIGNAL_MASK, &mask)) rc = -errno;
        if (!rc) rc = kvm_vcpu_setup(p, v);
    }
    if (!rc) {
        *out = v;
        return 0;
    }
    if (run != MAP_FAILED) munmap(run, (size_t)size);
    if (v->fd >= 0) close(v->fd);
    free(v);
    return rc;
}

void kvm_vcpus_stop(struct platform *p)
{
    int size = p->dev >= 0 ? ioctl(p->dev, KVM_GET_VCPU_MMAP_SIZE, 0) : 0;

    for (unsigned i = 0; i < p->nvcpu; i++) {
        struct kvm_vcpu *v = p->vcpu[i];
        munmap(v->run, (size_t)size);
        close(v->fd);
        if (v->root) kvm_root_put(p, v->root);
        free(v);
    }
    p->nvcpu = 0;
}

/* KVM's area is 4 KiB and may know fewer components than the host's. */
static int xstate_load(struct platform *p, struct kvm_vcpu *v, const u8 *from)
{
    struct kvm_xsave x;
    u64 bv;

    memset(&x, 0, sizeof(x));
    memcpy(&x, from, MIN(sizeof(x), platform_xstate_size()));
    memcpy(&bv, (u8 *)&x + XS_BV, sizeof(bv));
    bv &= p->xcr0;
    memcpy((u8 *)&x + XS_BV, &bv, sizeof(bv));
    return ioctl(v->fd, KVM_SET_XSAVE, &x) ? -errno : 0;
}

static int xstate_save(struct kvm_vcpu *v, u8 *to)
{
    struct kvm_xsave x;
    size_t size = platform_xstate_size();

    memset(&x, 0, sizeof(x));
    if (ioctl(v->fd, KVM_GET_XSAVE, &x)) return -errno;
    memset(to, 0, size);
    memcpy(to, &x, MIN(sizeof(x), size));
    memset(to + XS_SW_RESERVED, 0, XS_LEGACY - XS_SW_RESERVED);
    return 0;
}

static bool claim(struct kvm_vcpu *v, u64 from, u64 to)
{
    return __atomic_compare_exchange_n(&v->holder, &from, to, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static struct kvm_vcpu *find_free_locked(struct platform *p, pid_t tid, u64 mine)
{
    struct kvm_vcpu *best = NULL;

    for (unsigned i = 0; i < p->nvcpu; i++) {
        struct kvm_vcpu *v = p->vcpu[i];
        if (__atomic_load_n(&v->holder, __ATOMIC_RELAXED)) continue;
        if (tid && v->tid != tid) continue;
        if (!best || v->last_used < best->last_used) best = v;
    }
    return best && claim(best, 0, mine) ? best : NULL;
}

/* Takes the one that was idle longest away from its context. */
static struct kvm_vcpu *evict_locked(struct platform *p, u64 mine)
{
    struct kvm_vcpu *best = NULL;
    u64 holder = 0;

    for (unsigned i = 0; i < p->nvcpu; i++) {
        struct kvm_vcpu *v = p->vcpu[i];
        u64 h = __atomic_load_n(&v->holder, __ATOMIC_RELAXED);
        if (h & VCPU_BUSY || (best && v->last_used > best->last_used)) continue;
        best = v;
        holder = h;
    }
    if (!best || !claim(best, holder, mine)) return NULL;
    if (holder) {
        struct platform_ctx *loser = (struct platform_ctx *)(uintptr_t)holder;
        if (!loser->xstate_pending && xstate_save(best, loser->xstate)) best->broken = true;
        loser->xstate_pending = true;
    }
    return best;
}

static struct kvm_vcpu *find_locked(struct platform *p, u64 mine)
{
    struct kvm_vcpu *v = find_free_locked(p, gettid(), mine);

    if (!v && p->nvcpu < p->vcpu_cap) {
        int rc = create(p, p->nvcpu, &v);
        if (rc) {
            errno = -rc;
            if (p->nvcpu == 0) return NULL;
            log_debug("kvm: no vCPU %u: %s", p->nvcpu, strerror(-rc));
            p->vcpu_cap = p->nvcpu;
        } else {
            v->holder = mine;
            p->vcpu[p->nvcpu] = v;
            __atomic_store_n(&p->nvcpu, p->nvcpu + 1, __ATOMIC_RELEASE);
        }
    }
    if (!v) v = find_free_locked(p, 0, mine);
    if (!v) v = evict_locked(p, mine);
    return v;
}

/* All are running guest code: one of them is to give way. */
static void make_room_locked(struct platform *p)
{
    struct kvm_vcpu *best = NULL;

    for (unsigned i = 0; i < p->nvcpu; i++)
        if (!best || p->vcpu[i]->last_used < best->last_used) best = p->vcpu[i];
    if (best) kvm_vcpu_kick(best);
}

struct kvm_vcpu *kvm_vcpu_take(struct platform_ctx *ctx)
{
    static const struct timespec pause = { 0, 200000 };
    u64 me = (u64)(uintptr_t)ctx;
    struct platform *p = ctx->p;
    struct kvm_vcpu *v = ctx->vcpu;

    if (likely(v && claim(v, me, me | VCPU_BUSY))) return v;
    for (;;) {
        lock(&p->pool_lock); /* also waits for who takes ours away */
        errno = 0;
        v = find_locked(p, me | VCPU_BUSY);
        if (!v && errno == 0) make_room_locked(p);
        unlock(&p->pool_lock);
        if (v || errno) break;
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    if (!v) return NULL;
    ctx->vcpu = v;
    __atomic_store_n(&v->tid, gettid(), __ATOMIC_RELAXED);
    v->clean_segments = false;
    ctx->xstate_pending = true;
    return v;
}

void kvm_vcpu_leave(struct platform_ctx *ctx)
{
    u64 me = (u64)(uintptr_t)ctx;
    struct kvm_vcpu *v = ctx->vcpu;

    if (!v) return;
    if (claim(v, me, me | VCPU_BUSY)) {
        if (!ctx->xstate_pending && xstate_save(v, ctx->xstate)) v->broken = true;
        ctx->xstate_pending = true;
        __atomic_store_n(&v->holder, 0, __ATOMIC_RELEASE);
    } else { /* somebody takes it away: until that is done */
        lock(&ctx->p->pool_lock);
        unlock(&ctx->p->pool_lock);
    }
    ctx->vcpu = NULL;
}

void kvm_vcpu_forget(struct platform_ctx *ctx)
{
    struct kvm_vcpu *v = ctx->vcpu;
    struct platform *p = ctx->p;

    if (!v) return;
    lock(&p->pool_lock); /* nobody is taking it away now */
    claim(v, (u64)(uintptr_t)ctx, 0);
    unlock(&p->pool_lock);
    ctx->vcpu = NULL;
}

void kvm_vcpu_kick(struct kvm_vcpu *v)
{
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_tgkill, getpid(), __atomic_load_n(&v->tid, __ATOMIC_SEQ_CST), KVM_KICK_SIGNAL);
}

int kvm_ctx_get_xstate(struct platform_ctx *ctx, void *buf, size_t len)
{
    size_t size = platform_xstate_size();
    struct kvm_vcpu *v = ctx->vcpu;
    u64 me = (u64)(uintptr_t)ctx;
    int rc = 0;

    if (len < size) return -EINVAL;
    if (ctx->session.on && !ctx->xstate_pending && kvm_session_get_xstate(ctx, buf)) return 0;
    if (v && claim(v, me, me | VCPU_BUSY)) {
        if (ctx->xstate_pending) memcpy(buf, ctx->xstate, size);
        else rc = xstate_save(v, buf);
        kvm_vcpu_give(ctx, v);
        return rc;
    }
    lock(&ctx->p->pool_lock);
    memcpy(buf, ctx->xstate, size);
    unlock(&ctx->p->pool_lock);
    return 0;
}

int kvm_ctx_set_xstate(struct platform_ctx *ctx, const void *buf, size_t len)
{
    int rc = platform_xstate_check(buf, len);

    if (rc) return rc;
    lock(&ctx->p->pool_lock);
    memcpy(ctx->xstate, buf, len);
    ctx->xstate_pending = true;
    unlock(&ctx->p->pool_lock);
    return 0;
}

int kvm_xstate_push(struct platform_ctx *ctx, struct kvm_vcpu *v)
{
    int rc = xstate_load(ctx->p, v, ctx->xstate);

    if (!rc) ctx->xstate_pending = false;
    return rc;
}
