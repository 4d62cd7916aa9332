/*
 * A trial of the machine: a few calls and changes of mappings by a guest of ours. It finds out by doing, not by the processor's
 * name, what this host's KVM is: there are hosts where it is none of VT-x and AMD-V and differs in what guests can tell. What turns
 * out to be different from the guess is taken into account, and everything tried again.
 *
 * Either in a machine that is thrown away (the probe, in a process that can be ended), with measurements; or, shorter, in the
 * one that a sandbox is then going to use. A timer ends a trial whose guest does not come back.
 */
#include "platform/kvm/internal.h"

#include "platform/xstate.h"
#include "sentry/base/clock.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define TRIAL_CODE 0x100000ULL
#define TRIAL_DATA 0x200000ULL
#define TRIAL_LIMIT (20 * NSEC_PER_SEC)
#define TRIAL_EXITS 50
#define TRIAL_EDITS 20
#define START_EDITS 4
#define TRIAL_PAGES 5 /* code, two to tell apart, extended state */
#define TRIAL_SIZE (TRIAL_PAGES * GPAGE_SIZE)

/*
 * mov $39,%eax; syscall; cpuid of eax = rdx; syscall; rdtsc; shl $32,%rdx; or %rdx,%rax; syscall; then for ever:
 * mov (%rsi),%rax; syscall
 */
static const u8 trial_code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0x89, 0xd0, 0x0f, 0xa2, 0x0f, 0x05, 0x0f, 0x31, 0x48, 0xc1,
                                 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x0f, 0x05, 0x48, 0x8b, 0x06, 0x0f, 0x05, 0xeb, 0xf9 };
/* mov $-1,%eax; mov $-1,%edx; xsave64 (%rsi); pcmpeqd %xmm3,%xmm3; syscall */
static const u8 trial_state_code[] = { 0xb8, 0xff, 0xff, 0xff, 0xff, 0xba, 0xff, 0xff, 0xff, 0xff, 0x48, 0x0f, 0xae, 0x26,
                                       0x66, 0x0f, 0x76, 0xdb, 0x0f, 0x05 };
#define TRIAL_STATE_CODE 64 /* in the page of code */

struct trial {
    struct platform *p;
    struct platform_as *as;
    struct platform_ctx *ctx;
    struct guest_regs regs;
    struct platform_exit exit;
    int fd;                /* TRIAL_SIZE bytes, and where they are mapped here */
    u8 *mem;
    ktime_t deadline;
    bool thorough;         /* with costs, and more often */
};

int kvm_refuse(struct kvm_verdict *v, const char *what)
{
    snprintf(v->why, sizeof(v->why), "%s", what);
    return v->rc = -ENOSYS;
}

static bool trial_call(struct trial *t)
{
    do kvm_ctx_run(t->ctx, t->as, &t->regs, &t->exit);
    while (t->exit.event == PLATFORM_KICKED && clock_mono() < t->deadline);
    return t->exit.event == PLATFORM_SYSCALL;
}

static int trial_map(struct trial *t, gaddr_t addr, u64 off, u8 prot)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = prot, .fd = t->fd, .addr = addr, .len = GPAGE_SIZE,
                                 .off = off };
    return kvm_as_update(t->as, &op, 1);
}

static int trial_edits(struct trial *t, struct kvm_verdict *v)
{
    const u64 n = t->thorough ? TRIAL_EDITS : START_EDITS;

    for (u64 i = 0; i < n; i++) {
        u64 page = 1 + i % 2;
        if (i == n / 2 && t->p->var.shadow && !kvm_shadow_drop(t->p))
            return kvm_refuse(v, "KVM does not let memory slots come and go");
        t->regs.rsi = TRIAL_DATA;
        if (trial_map(t, TRIAL_DATA, page * GPAGE_SIZE, PLATFORM_PROT_READ) || !trial_call(t))
            return kvm_refuse(v, "a trial machine did not take a change of its page tables");
        if (t->regs.orig_rax == page) continue;
        if (v->var.shadow) return kvm_refuse(v, "guests do not see changes of their page tables, whatever is done");
        v->var.shadow = v->again = true;
        return 0;
    }
    return 0;
}

/* Does every component of the extended state go in and come out? */
static int trial_state(struct trial *t, struct kvm_verdict *v)
{
    static u8 in[8192] __attribute__((aligned(64))), out[8192] __attribute__((aligned(64)));
    const u8 *seen = t->mem + 3 * GPAGE_SIZE;
    size_t size = platform_xstate_size();
    u64 bv = t->p->xcr0 & 0xe7; /* x87, SSE, AVX, AVX-512: what any pattern of bits will do for */

    if (size > sizeof(in) || size > 2 * GPAGE_SIZE)
        return kvm_refuse(v, "the processor's extended state is larger than this build expects");
    platform_xstate_init(in);
    for (size_t i = 160; i < 416; i++) in[i] = (u8)(i * 7 + 1);
    for (unsigned c = 2; c < 8; c++) {
        u32 len, off, ecx, edx;
        if (!(bv >> c & 1)) continue;
        if (!__get_cpuid_count(0xd, c, &len, &off, &ecx, &edx) || off + len > size)
            return kvm_refuse(v, "the processor does not tell where it keeps its registers");
        for (u32 i = off; i < off + len; i++) in[i] = (u8)(i * 5 + c);
    }
    memcpy(in + 512, &bv, sizeof(bv));
    t->regs = (struct guest_regs){ .rip = TRIAL_CODE + TRIAL_STATE_CODE, .rsi = TRIAL_DATA };
    for (u64 i = 0; i < 2; i++)
        if (trial_map(t, TRIAL_DATA + i * GPAGE_SIZE, (3 + i) * GPAGE_SIZE, PLATFORM_PROT_READ | PLATFORM_PROT_WRITE))
            return kvm_refuse(v, "a trial machine has no memory for page tables");
    if (kvm_ctx_set_xstate(t->ctx, in, size) || !trial_call(t) || kvm_ctx_get_xstate(t->ctx, out, size))
        return kvm_refuse(v, "KVM does not carry the processor's extended registers (XSAVE)");
    memset(in + 160 + 3 * 16, 0xff, 16);
    if (memcmp(in + 160, out + 160, 256) || memcmp(in + 576, out + 576, size - 576))
        return kvm_refuse(v, "KVM loses a guest's extended registers");
    memset(in + 160 + 3 * 16, 0, 16);
    memcpy(out, seen, size);
    memset(out + 160 + 3 * 16, 0, 16);
    if (memcmp(in + 160, out + 160, 256) || memcmp(in + 576, out + 576, size - 576))
        return kvm_refuse(v, "a guest does not get the extended registers it is given");
    return 0;
}

/* The shortest: others were interrupted. */
static int trial_costs(struct trial *t, struct kvm_verdict *v)
{
    struct kvm_vcpu *vcpu;

    v->var.exit_ns = v->var.kick_ns = ~0ULL;
    for (unsigned i = 0; i < TRIAL_EXITS; i++) {
        ktime_t since = clock_mono();
        if (!trial_call(t)) return kvm_refuse(v, "a trial loop of system calls stopped");
        v->var.exit_ns = MIN(v->var.exit_ns, (u64)(clock_mono() - since));
    }
    vcpu = kvm_vcpu_take(t->ctx);
    if (!vcpu) return 0;
    for (unsigned i = 0; i < TRIAL_EXITS; i++) {
        ktime_t since = clock_mono();
        vcpu->run->immediate_exit = 1;
        ioctl(vcpu->fd, KVM_RUN, 0);
        v->var.kick_ns = MIN(v->var.kick_ns, (u64)(clock_mono() - since));
    }
    vcpu->run->immediate_exit = 0;
    kvm_vcpu_give(t->ctx, vcpu);
    return 0;
}

/* Does a guest read the host's time stamps? */
static int trial_tsc(struct trial *t, struct kvm_verdict *v)
{
    u64 before = __builtin_ia32_rdtsc();

    if (!trial_call(t)) return kvm_refuse(v, "the instruction rdtsc does not work in a guest");
    v->var.host_tsc = t->regs.orig_rax >= before && t->regs.orig_rax <= __builtin_ia32_rdtsc();
    return 0;
}

static int trial_run(struct trial *t, struct kvm_verdict *v)
{
    t->regs = (struct guest_regs){ .rip = TRIAL_CODE, .rbx = 0x1234567890ULL, .rsi = TRIAL_DATA, .rdx = 0x40000000,
                                   .fs_base = 0x5000, .r12 = 0x77 };
    if (!trial_call(t)) {
        if (!v->var.user_stub && t->exit.event == PLATFORM_FAULT && gpage_down(t->exit.fault_addr) == KVA_TEXT) {
            v->var.user_stub = v->var.shadow = v->again = true;
            return 0;
        }
        snprintf(v->why, sizeof(v->why), "a trial system call did not arrive (event %u, signal %d, at %#llx)", (unsigned)t->exit.event,
                 t->exit.signo, (unsigned long long)t->regs.rip);
        return v->rc = -ENOSYS;
    }
    if (t->regs.orig_rax != 39 || t->regs.rbx != 0x1234567890ULL || t->regs.r12 != 0x77 || t->regs.fs_base != 0x5000)
        return kvm_refuse(v, "registers of a trial system call arrived wrong");
    if (!trial_call(t)) return kvm_refuse(v, "the instruction cpuid does not work in a guest");
    v->var.own_cpuid = t->regs.rbx != 0x4b4d564b && !v->var.user_stub;
    if (!v->var.own_cpuid && t->p->xcr0 != platform_xstate_features())
        return kvm_refuse(v, "guests see the host's CPUID, but KVM does not carry all of the registers that names");
    if (trial_tsc(t, v) || trial_edits(t, v) || v->again || (t->thorough && trial_costs(t, v))) return v->rc;
    return trial_state(t, v);
}

static int trial_first_vcpu(struct trial *t, struct kvm_verdict *v)
{
    struct kvm_vcpu *first = kvm_vcpu_take(t->ctx);

    if (first) {
        kvm_vcpu_give(t->ctx, first);
        return 0;
    }
    v->rc = -errno;
    snprintf(v->why, sizeof(v->why), "KVM makes no processor as this needs it (Linux 5.16 or newer does): %s", strerror(errno));
    return v->rc;
}

/* A signal that only KVM_RUN lets through, again and again once the time is up. */
static bool watch(struct trial *t, timer_t *timer)
{
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KVM_KICK_SIGNAL };
    struct itimerspec when = { .it_value.tv_sec = TRIAL_LIMIT / NSEC_PER_SEC, .it_interval.tv_sec = 1 };

    ev._sigev_un._tid = gettid();
    t->deadline = clock_mono() + TRIAL_LIMIT;
    return timer_create(CLOCK_MONOTONIC, &ev, timer) == 0 && timer_settime(*timer, 0, &when, NULL) == 0;
}

static void trial_in(struct trial *t, struct kvm_verdict *v)
{
    timer_t timer;

    if (!watch(t, &timer) || kvm_as_new(t->p, &t->as)) {
        kvm_refuse(v, "no timer or no memory for a trial machine");
        return;
    }
    if (platform_kvm_ops.ctx_new(t->p, &t->ctx) == 0) {
        if (trial_map(t, TRIAL_CODE, 0, PLATFORM_PROT_READ | PLATFORM_PROT_EXEC))
            kvm_refuse(v, "a trial machine has no memory for page tables");
        else if (trial_first_vcpu(t, v) == 0)
            trial_run(t, v);
        platform_kvm_ops.ctx_free(t->ctx);
    }
    kvm_as_free(t->as);
    timer_delete(timer);
}

/* Once, as v->var says; v->again: it is different. What works is left in t->p. */
static void trial_once(struct trial *t, const struct platform_config *cfg, struct kvm_verdict *v)
{
    v->again = false;
    v->rc = kvm_vm_start(cfg, &v->var, &t->p, v->why, sizeof(v->why));
    if (v->rc) return;
    t->p->probing = true;
    trial_in(t, v);
    t->p->probing = false;
    t->p->var = v->var;
    if (v->rc || v->again) kvm_vm_stop(t->p);
}

/* cfg NULL: a memory file of its own. */
static void trial(struct trial *t, const struct platform_config *cfg, struct kvm_verdict *v)
{
    struct platform_config own = { .memfile_fd = t->fd, .memfile_base = t->mem, .memfile_size = TRIAL_SIZE, .ncpus = 1 };
    bool guess = !kvm_hardware();

    if (!cfg) cfg = &own;
    memcpy(t->mem, trial_code, sizeof(trial_code));
    memcpy(t->mem + TRIAL_STATE_CODE, trial_state_code, sizeof(trial_state_code));
    for (u64 i = 1; i <= 2; i++) memcpy(t->mem + i * GPAGE_SIZE, &i, sizeof(i));
    v->var = (struct kvm_variant){ .own_cpuid = true, .user_stub = guess, .shadow = guess };
    do {
        trial_once(t, cfg, v);
        if (v->rc && guess) { /* a bad guess? */
            v->var = (struct kvm_variant){ .own_cpuid = true };
            v->again = true;
            guess = false;
        }
    } while (v->again);
}

static int trial_memory(struct trial *t, struct kvm_verdict *v)
{
    t->fd = memfd_create("trial", MFD_CLOEXEC);
    t->mem = MAP_FAILED;
    if (t->fd >= 0 && ftruncate(t->fd, (off_t)TRIAL_SIZE) == 0)
        t->mem = mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (t->mem != MAP_FAILED) return 0;
    v->rc = -errno;
    snprintf(v->why, sizeof(v->why), "memory for a trial: %s", strerror(-v->rc));
    if (t->fd >= 0) close(t->fd);
    return v->rc;
}

static void run_trial(struct trial *t, const struct platform_config *cfg, struct kvm_verdict *v)
{
    if (trial_memory(t, v)) return;
    trial(t, cfg, v);
    munmap(t->mem, TRIAL_SIZE);
    close(t->fd);
}

void kvm_trial(struct kvm_verdict *v)
{
    struct trial t = { .thorough = true };

    run_trial(&t, NULL, v); /* the end of the process takes the machine away */
}

int kvm_trial_start(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    struct kvm_verdict v = { .rc = 0 };
    struct trial t = { .thorough = false };

    run_trial(&t, cfg, &v);
    if (v.rc) snprintf(why, why_len, "%s", v.why[0] ? v.why : strerror(-v.rc));
    else *out = t.p;
    return v.rc;
}
