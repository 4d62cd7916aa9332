/* What the basic operations of a platform cost here; see platform.h. The figures are for choosing, not for comparing builds. */
#include "platform/platform.h"
#include "sentry/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE 0x400000ULL
#define PAGE_A 0x600000ULL
#define SIZE (1u << 20)
#define SAMPLES 15
#define CALLS 200

/* 1: mov $39, %eax; syscall; jmp 1b */
static const u8 call_code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7 };
/* 1: mov (%rsi), %rax; jmp 1b, at 64 */
static const u8 load_code[] = { 0x48, 0x8b, 0x06, 0xeb, 0xfb };

static int cmp(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

static u64 median(u64 *v, unsigned n)
{
    qsort(v, n, sizeof(*v), cmp);
    return v[n / 2];
}

struct bench {
    const struct platform_ops *ops;
    struct platform *p;
    int fd;
};

static bool run(struct bench *b, struct platform_ctx *c, struct platform_as *as, struct guest_regs *r, enum platform_event want)
{
    struct platform_exit e;

    do b->ops->ctx_run(c, as, r, &e);
    while (e.event == PLATFORM_KICKED);
    return e.event == want;
}

static struct platform_mapop map_op(struct bench *b, gaddr_t at, u64 off, u8 prot)
{
    return (struct platform_mapop){ .kind = PLATFORM_MAP, .prot = prot, .fd = b->fd, .addr = at, .len = GPAGE_SIZE, .off = off };
}

static bool calls(struct bench *b, struct platform_ctx *c, struct platform_as *as, u64 *ns)
{
    struct guest_regs r = { .rip = CODE };
    u64 v[SAMPLES];

    for (unsigned i = 0; i < SAMPLES; i++) {
        ktime_t t = clock_mono();
        for (unsigned k = 0; k < CALLS; k++)
            if (!run(b, c, as, &r, PLATFORM_SYSCALL)) return false;
        v[i] = (u64)(clock_mono() - t) / CALLS;
    }
    *ns = median(v, SAMPLES);
    return true;
}

/* A fault reported, one page mapped, the guest sent on; then the page goes again. */
static bool faults(struct bench *b, struct platform_ctx *c, struct platform_as *as, u64 *ns)
{
    struct platform_mapop in = map_op(b, PAGE_A, GPAGE_SIZE, PLATFORM_PROT_READ);
    struct platform_mapop out = { .kind = PLATFORM_UNMAP, .addr = PAGE_A, .len = GPAGE_SIZE };
    struct guest_regs r = { .rip = CODE + 64, .rsi = PAGE_A };
    u64 v[SAMPLES];

    for (unsigned i = 0; i < SAMPLES; i++) {
        ktime_t t = clock_mono();
        for (unsigned k = 0; k < 20; k++) {
            if (!run(b, c, as, &r, PLATFORM_FAULT) || b->ops->as_update(as, &in, 1) || b->ops->as_update(as, &out, 1)) return false;
        }
        v[i] = (u64)(clock_mono() - t) / 20;
    }
    *ns = median(v, SAMPLES);
    return true;
}

/* An address space, a page of code in it, its first system call, and its end. */
static bool spaces(struct bench *b, u64 *ns)
{
    u64 v[SAMPLES];

    for (unsigned i = 0; i < SAMPLES; i++) {
        struct platform_mapop code = map_op(b, CODE, 0, PLATFORM_PROT_READ | PLATFORM_PROT_EXEC);
        struct guest_regs r = { .rip = CODE };
        struct platform_ctx *c;
        struct platform_as *as;
        bool ok;
        ktime_t t = clock_mono();

        if (b->ops->as_new(b->p, &as)) return false;
        ok = b->ops->as_update(as, &code, 1) == 0 && b->ops->ctx_new(b->p, &c) == 0;
        if (ok) {
            ok = run(b, c, as, &r, PLATFORM_SYSCALL);
            b->ops->ctx_free(c);
        }
        b->ops->as_free(as);
        if (!ok) return false;
        v[i] = (u64)(clock_mono() - t);
    }
    *ns = median(v, SAMPLES);
    return true;
}

static bool measure(struct bench *b, struct platform_costs *out)
{
    struct platform_mapop code = map_op(b, CODE, 0, PLATFORM_PROT_READ | PLATFORM_PROT_EXEC);
    struct platform_ctx *c;
    struct platform_as *as;
    bool ok = false;

    if (b->ops->as_new(b->p, &as)) return false;
    if (b->ops->as_update(as, &code, 1) == 0 && b->ops->ctx_new(b->p, &c) == 0) {
        ok = calls(b, c, as, &out->call_ns) && faults(b, c, as, &out->fault_ns);
        b->ops->ctx_free(c);
    }
    b->ops->as_free(as);
    return ok && spaces(b, &out->space_ns);
}

int platform_measure(const struct platform_ops *ops, unsigned ncpus, struct platform_costs *out)
{
    struct bench b = { .ops = ops, .fd = memfd_create("measure", MFD_CLOEXEC) };
    struct platform_config cfg = { .memfile_fd = b.fd, .memfile_size = SIZE, .ncpus = ncpus };
    void *mem = MAP_FAILED;
    int rc = -EIO;

    *out = (struct platform_costs){ 0 };
    if (b.fd < 0 || ftruncate(b.fd, SIZE)) goto out;
    mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0);
    if (mem == MAP_FAILED) goto out;
    cfg.memfile_base = mem;
    memcpy(mem, call_code, sizeof(call_code));
    memcpy((u8 *)mem + 64, load_code, sizeof(load_code));
    ktime_t t = clock_mono();
    rc = ops->init(&cfg, &b.p);
    out->start_ns = (u64)(clock_mono() - t);
    if (rc) goto out;
    if (!measure(&b, out)) rc = -EIO;
    ops->free(b.p);
out:
    if (mem != MAP_FAILED) munmap(mem, SIZE);
    if (b.fd >= 0) close(b.fd);
    return rc;
}
