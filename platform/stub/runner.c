/* Guest threads of the trap platform and the shared memory they talk through. */
#include "platform/stub/proto.h"
#include "platform/stub/request.h"
#include "platform/stub/stub.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

HOSTCALL(fallocate, "memory of a dead stub's request pages goes back");

#define MAX_AREAS 65536u

/*
 * What may be loaded into es: segments of the kernel's descriptor table that user mode can read, with each requested
 * privilege level. 64-bit code does not use es, and the kernel keeps it for each thread; so it can say which thread this is, with
 * no register lost and no flag changed. Entries 12 to 14 are a thread's own (set_thread_area). Mostly 12 to 16 in all.
 */
static void find_selectors(struct stub_template *t)
{
    for (unsigned s = 4; s < STUB_MAX_SELECTOR && t->nselectors < ARRAY_LEN(t->selector); s++) {
        bool readable;
        if ((s & 4) || (s >> 3 >= 12 && s >> 3 <= 14)) continue;
        __asm__ volatile("verr %w1" : "=@ccz"(readable) : "r"(s));
        if (readable) t->selector[t->nselectors++] = (u8)s;
    }
}

int stub_areas_start(struct stub_template *t)
{
    /* Both sides of the stub region are free in a stub; the larger one is used. The first page stays unmapped. */
    u64 above = t->base + STUB_AREAS, below = GUEST_ADDR_MAX + STUB_AREAS;
    size_t size = (size_t)MAX_AREAS * REQ_AREA_SIZE;
    u64 room;
    void *p;
    int rc;

    _Static_assert(STUB_AREAS % REQ_AREA_SIZE == 0 && GUEST_ADDR_MAX % REQ_AREA_SIZE == 0, "areas are aligned");
    if (STUB_USER_END - above > t->base - below) {
        t->areas_base = above;
        room = STUB_USER_END - above;
    } else {
        t->areas_base = below;
        room = t->base - below;
    }
    t->areas_per_proc = (u32)(room / REQ_AREA_SIZE) - 1;
    t->areas_fd = memfd_create("stub-areas", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (t->areas_fd < 0) return -errno;
    if (ftruncate(t->areas_fd, (off_t)size) || fcntl(t->areas_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) ||
        (p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, t->areas_fd, 0)) == MAP_FAILED) {
        rc = -errno;
        close(t->areas_fd);
        return rc;
    }
    t->areas = p;
    t->free_areas = xzalloc(sizeof(u32) * MAX_AREAS);
    find_selectors(t);
    return 0;
}

void stub_areas_stop(struct stub_template *t)
{
    munmap(t->areas, (size_t)MAX_AREAS * REQ_AREA_SIZE);
    close(t->areas_fd);
    free(t->free_areas);
}

static int area_new(struct stub_template *t, u32 *slot)
{
    int rc = 0;

    lock(&t->lock);
    if (t->nfree_areas) *slot = t->free_areas[--t->nfree_areas];
    else if (t->area_high < MAX_AREAS) *slot = t->area_high++;
    else rc = -EAGAIN;
    unlock(&t->lock);
    return rc;
}

static void area_free(struct stub_template *t, u32 slot)
{
    /* What one guest process left there is not for the next one to see. */
    if (fallocate(t->areas_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)slot * REQ_AREA_SIZE, REQ_AREA_SIZE))
        memset(t->areas + (size_t)slot * REQ_AREA_SIZE, 0, REQ_AREA_SIZE);
    lock(&t->lock);
    t->free_areas[t->nfree_areas++] = slot;
    unlock(&t->lock);
}

void stub_runners_free(struct stub_proc *p)
{
    struct stub_runner *r;

    while ((r = TAILQ_FIRST(&p->runners))) {
        TAILQ_REMOVE(&p->runners, r, all_link);
        area_free(p->tmpl, r->slot);
        free(r);
    }
}

u32 stub_state_offset(void) { return (u32)(REQ_AREA_SIZE - platform_xstate_size() - 64) & ~63u; }

bool stub_state_stays(void) { return platform_xstate_size() <= REQ_ROOM_SIZE; }

/* Has the mapper map the area and make the thread. */
static int order_runner_locked(struct stub_proc *p, struct stub_runner *r)
{
    struct stub_ops *o = stub_orders(p->tmpl, p->slot);
    int err = 0, rc;

    o->n = 2;
    o->op[0] = (struct stub_op){
        .kind = STUB_OP_MAP, .prot = PROT_READ | PROT_WRITE, .flags = MAP_SHARED | MAP_FIXED, .fd = STUB_FD_RECEIVED,
        .addr = r->addr, .len = REQ_AREA_SIZE, .off = (u64)r->slot * REQ_AREA_SIZE,
    };
    o->op[1] = (struct stub_op){ .kind = STUB_OP_RUNNER, .addr = r->addr };
    o->stack[0] = r->addr + REQ_STACK; /* ss_sp, ss_flags, ss_size */
    o->stack[1] = 0;
    o->stack[2] = REQ_AREA_SIZE - REQ_STACK;
    rc = stub_converse_locked(p, &p->tmpl->areas_fd, 1, &err);
    if (rc < 0) return rc;
    return rc < 2 ? err : stub_thread_tid_locked(p, true, &r->tid);
}

/* An area never goes back before the process is dead: a thread that failed half-way may still have it mapped. */
static int runner_new_locked(struct stub_proc *p, struct stub_runner **out)
{
    struct stub_runner *r;
    u32 slot;
    int rc;

    if (p->nrunners == p->tmpl->areas_per_proc) return -EAGAIN;
    rc = area_new(p->tmpl, &slot);
    if (rc) return rc;
    r = xnew(struct stub_runner);
    r->proc = p;
    r->slot = slot;
    r->area = p->tmpl->areas + (size_t)slot * REQ_AREA_SIZE;
    r->addr = p->tmpl->areas_base + (u64)p->nrunners++ * REQ_AREA_SIZE;
    r->seq = 1; /* as if it had published an event: ack is 0, so it waits */
    TAILQ_INSERT_TAIL(&p->runners, r, all_link);

    struct request_page *req = (struct request_page *)(void *)r->area;
    req->seq = r->seq;
    u32 room = stub_state_stays() ? REQ_ROOM : stub_state_offset();
    r->state = r->area + room;
    r->state_addr = req->save_to = r->addr + room;
    req->state = r->addr + stub_state_offset();
    req->frame = req->state - REQ_FRAME_GAP;
    if (p->nrunners <= p->tmpl->nselectors) {
        req->selector = p->tmpl->selector[p->nrunners - 1];
        stub_orders(p->tmpl, p->slot)->areas[req->selector] = r->addr;
    }
    rc = order_runner_locked(p, r);
    r->cpu = p->mapper_cpu;
    *out = r;
    return rc;
}

int stub_runner_get(struct stub_proc *p, struct stub_runner **out)
{
    int rc = 0;

    lock(&p->lock);
    *out = TAILQ_FIRST(&p->parked);
    if (*out) TAILQ_REMOVE(&p->parked, *out, link);
    else rc = runner_new_locked(p, out);
    if (!rc) (*out)->bases_known = false;
    if (!rc) ref_get(&p->refs);
    unlock(&p->lock);
    if (rc == -EFAULT) stub_proc_mark_dead(p);
    return rc;
}

void stub_runner_put(struct stub_runner *r)
{
    struct stub_proc *p = r->proc;

    lock(&p->lock);
    TAILQ_INSERT_TAIL(&p->parked, r, link);
    unlock(&p->lock);
    stub_proc_put(p);
}
