/*
 * The sentry's side of the vDSO: its pages, and the time page.
 *
 * All guest readings of the three clocks, by the vDSO or by system call, go by one function of the TSC. It is renewed
 * from the host's clock when a reader finds it older than it may get; nothing wakes up for it. Its slope is measured
 * over the longest interval at hand, and the shorter that is the sooner a renewal comes due, so that it strays from the
 * host by less than a microsecond. It never runs backwards: if it is found ahead of the host it stays and runs slower.
 */
#include "abi/linux/vdso.h"
#include "abi/linux/linux.h"
#include "abi/linux/vdso/vvar.h"
#include "sentry/base/clock.h"
#include "sentry/base/log.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

extern const unsigned char linux_vdso_image[];
extern const size_t linux_vdso_image_size;

#define ANCHOR_MIN (20 * NSEC_PER_MSEC)     /* shortest interval a slope is measured over */
#define ANCHOR_MAX (8 * NSEC_PER_SEC)       /* older slopes would miss changes of the host's rate */
#define AGE_MAX (1 * NSEC_PER_SEC)
#define AGE_MAX_KVM (100 * NSEC_PER_MSEC)   /* the counter's rate may change under a machine that is moved */
#define OFFSET_NOISE 2000                   /* ns: differences of two readings below this are not a step */

static bool host_clock_is_tsc;              /* (c) after linux_vdso_init: it is a function of the counter, the same on all CPUs */
static u64 age_max = AGE_MAX;               /* (c) after linux_vdso_init */
static mpage_t vdso_pages;                  /* (c) after setup: the time page, then the image */
static struct vvar *vvar;                   /* (c) after setup */
static struct mappable vdso_map;

static lock_t time_lock = LOCK_INIT(LC_LEAF);   /* guards: */
static struct { u64 tsc, ns; } anchor, recent;  /* for the slope; recent becomes the anchor when that gets old */
static bool have_anchor;

static u64 shortest_reading(bool by_call)
{
    u64 best = UINT64_MAX;

    for (int i = 0; i < 32; i++) {
        struct timespec ts;
        u64 t = __rdtsc();
        if (by_call) syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
        else clock_gettime(CLOCK_MONOTONIC, &ts);
        best = MIN(best, __rdtsc() - t);
    }
    return best;
}

/*
 * kvm-clock is a function of the counter that the hypervisor publishes. The host kernel's vDSO reads it without a call where the
 * hypervisor says that the counters of all CPUs agree (PVCLOCK_TSC_STABLE_BIT), and only there.
 */
static bool kvm_clock_is_stable(void) { return shortest_reading(false) < shortest_reading(true) / 2; }

/* A constructor: it has to run before the sentry locks itself in, and nobody else needs to know. */
__attribute__((constructor)) void linux_vdso_init(void)
{
    char buf[16] = "";
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);

    if (fd < 0) return;
    if (read(fd, buf, sizeof(buf) - 1) > 0) host_clock_is_tsc = !strcmp(buf, "tsc\n");
    close(fd);
    if (!strcmp(buf, "kvm-clock\n") && kvm_clock_is_stable()) {
        host_clock_is_tsc = true;
        age_max = AGE_MAX_KVM;
    }
}

/* --- time --- */

struct sample { u64 tsc, mono, real, boot; };

/*
 * The host's clocks at one moment. The counter is read first: the reading is then never behind what the host's clock
 * has shown anyone before.
 */
static void take_sample(struct sample *s)
{
    u64 best = UINT64_MAX;

    memset(s, 0, sizeof(*s));
    for (int i = 0; i < 6; i++) {
        u64 t0 = __rdtsc();
        _mm_lfence();
        u64 m = (u64)clock_mono(), r = (u64)clock_real();
        _mm_lfence();
        u64 width = __rdtsc() - t0;
        if (width < best) {
            best = width;
            *s = (struct sample){ t0, m, r, 0 };
        }
    }
    s->boot = (u64)clock_now(CLOCK_BOOTTIME) - (u64)clock_mono();   /* an offset already; changes at suspend only */
}

static u64 scale(u64 ticks, u64 mult)
{
    return (u64)((unsigned __int128)ticks * mult >> 32);
}

static u64 keep_offset(u64 old, u64 new_)
{
    s64 d = (s64)(new_ - old);
    return d > -OFFSET_NOISE && d < OFFSET_NOISE ? old : new_;
}

/* New parameters from the host's clock. Enables the page once there is a slope. */
static void renew_locked(void)
{
    struct sample s;
    u64 mult, base, span, age;

    /* Odd first: no reader can finish with the old numbers after the counter was sampled. */
    atomic_store(&vvar->seq, vvar->seq + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    take_sample(&s);
    if (!have_anchor || s.tsc <= anchor.tsc || s.mono <= anchor.ns) {
        anchor.tsc = recent.tsc = s.tsc;
        anchor.ns = recent.ns = s.mono;
        have_anchor = true;
        goto out;
    }
    span = s.mono - anchor.ns;
    if (span < (u64)ANCHOR_MIN) goto out;
    mult = (u64)(((unsigned __int128)span << 32) / (s.tsc - anchor.tsc));
    age = MIN(span * 10, age_max);
    base = s.mono;
    if (vvar->enabled) {
        u64 seen = vvar->mono_base + scale(MIN(s.tsc - vvar->tsc_base, vvar->max_delta), vvar->mult);
        if (seen > base) {
            /* Readers have seen a later time: go on from there, slower by at most 500 ppm until the host is level. */
            u64 slow = (u64)((unsigned __int128)mult * (seen - base) / age);
            mult -= MIN(slow, mult / 2000);
            base = seen;
        }
    }
    vvar->tsc_base = s.tsc;
    vvar->mult = mult;
    vvar->max_delta = (u64)(((unsigned __int128)age << 32) / mult);
    vvar->mono_base = base;
    vvar->real_offset = vvar->enabled ? keep_offset(vvar->real_offset, s.real - s.mono) : s.real - s.mono;
    vvar->boot_offset = vvar->enabled ? keep_offset(vvar->boot_offset, s.boot) : s.boot;
    vvar->enabled = 1;
    if (s.mono - recent.ns > (u64)ANCHOR_MAX / 4) {
        if (span > (u64)ANCHOR_MAX) anchor = recent;
        recent.tsc = s.tsc;
        recent.ns = s.mono;
    }
out:
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    atomic_store(&vvar->seq, vvar->seq + 1);
}

/* The time page's answer. time_lock held. False: it is stale or not yet enabled. */
static bool page_clock_locked(int id, u64 *ns)
{
    u64 delta;

    if (!vvar->enabled) return false;
    _mm_lfence();
    delta = __rdtsc() - vvar->tsc_base;
    if (delta >= vvar->max_delta) return false;
    *ns = vvar->mono_base + scale(delta, vvar->mult);
    if (id == CLOCK_REALTIME) *ns += vvar->real_offset;
    if (id == CLOCK_BOOTTIME) *ns += vvar->boot_offset;
    return true;
}

bool linux_vdso_clock(int id, ktime_t *out)
{
    u64 ns;

    if (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME) return false;
    if (vvar && host_clock_is_tsc) {
        lock(&time_lock);
        bool ok = page_clock_locked(id, &ns);
        if (!ok) {
            renew_locked();
            ok = page_clock_locked(id, &ns);
        }
        unlock(&time_lock);
        if (ok) {
            *out = (ktime_t)ns;
            return true;
        }
    }
    *out = clock_now(id);
    return true;
}

/* --- pages --- */

static int vdso_page(struct mappable *m, u64 pgoff, bool write, struct backing *out)
{
    (void)m;
    if (write || pgoff > gpage_up(linux_vdso_image_size) / GPAGE_SIZE) return -ENXIO;
    *out = (struct backing){ .kind = BACKING_MEMFILE, .page = vdso_pages + pgoff };
    memfile_get(out->page);
    return 0;
}

static const struct mappable_ops vdso_map_ops = { .page = vdso_page };

static int vdso_setup(void)
{
    static lock_t setup_lock = LOCK_INIT(LC_MOUNT);
    mpage_t p;

    if (atomic_load(&vvar)) return 0;
    lock(&setup_lock);
    if (!vvar) {
        p = memfile_alloc(1 + gpage_up(linux_vdso_image_size) / GPAGE_SIZE);
        if (p == MPAGE_NONE) {
            unlock(&setup_lock);
            return -ENOMEM;
        }
        memcpy(memfile_ptr(p + 1), linux_vdso_image, linux_vdso_image_size);
        vdso_pages = p;
        mappable_init(&vdso_map, &vdso_map_ops, NULL);
        if (kernel.pops && !(kernel.pops->abilities(kernel.platform) & PLATFORM_HOST_TSC)) host_clock_is_tsc = false;
        atomic_store(&vvar, (struct vvar *)memfile_ptr(p));
        if (host_clock_is_tsc) {
            lock(&time_lock);
            renew_locked();
            unlock(&time_lock);
        }
    }
    unlock(&setup_lock);
    return 0;
}

int linux_vdso_map(struct mm *mm)
{
    u64 image = gpage_up(linux_vdso_image_size);
    int r = vdso_setup();

    if (r) return r;
    struct mm_map_req probe = { .len = image + GPAGE_SIZE, .prot = PROT_NONE, .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };
    sysret_t at = mm_map(mm, &probe);
    if (at < 0) return (int)at;
    if ((r = (int)mm_unmap(mm, (gaddr_t)at, probe.len))) return r;
    struct mm_map_req data = { .addr = (gaddr_t)at, .len = GPAGE_SIZE, .prot = PROT_READ, .max_prot = PROT_READ,
                               .flags = MAP_SHARED | MAP_FIXED, .vma_flags = VMA_SPECIAL | VMA_DONTDUMP, .obj = &vdso_map,
                               .name = "[vvar]" };
    struct mm_map_req code = { .addr = (gaddr_t)at + GPAGE_SIZE, .len = image, .prot = PROT_READ | PROT_EXEC,
                               .max_prot = PROT_READ | PROT_EXEC | PROT_WRITE, .flags = MAP_PRIVATE | MAP_FIXED,
                               .vma_flags = VMA_SPECIAL, .obj = &vdso_map, .off = GPAGE_SIZE, .name = "[vdso]" };
    sysret_t got = mm_map(mm, &data);
    if (got >= 0) got = mm_map(mm, &code);
    if (got < 0) return (int)got;
    mm->vdso_base = code.addr;
    return 0;
}
