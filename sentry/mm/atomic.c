/*
 * Atomic operations on guest words, and the identity of a word, for futexes.
 *
 * A word in a shared mapping of a host file can be loaded through the descriptor, but changed atomically only through
 * a mapping, which the file's owner can take away under us (SIGBUS by truncation): such changes are refused.
 */
#include "sentry/mm/internal.h"
#include "sentry/mm/usercopy.h"

#include "sentry/kernel/task.h"

/* Runs op on the word under mm->lock, after making it reachable. op: 0 or -errno. */
struct word_op { bool write; int (*op)(struct word_op *w, const struct user_span *s); u32 a, b, out; enum user_rmw rmw; };

static int word_do(struct mm *mm, gaddr_t addr, struct word_op *w)
{
    if (addr & 3) return -EINVAL;
    if (!mm || addr >= mm->addr_limit) return -EFAULT;
    for (;;) {
        struct user_span s;
        struct vma *hint = NULL;
        read_lock(&mm->lock);
        if (user_span_locked(mm, &hint, addr, sizeof(u32), w->write, false, &s)) {
            int r = w->op(w, &s);
            rw_unlock(&mm->lock);
            return r;
        }
        rw_unlock(&mm->lock);
        int r = mm_fault_in(mm, addr, addr + sizeof(u32), w->write, false);
        if (r) return r;
    }
}

static int op_load(struct word_op *w, const struct user_span *s)
{
    if (!s->ptr) return hostpage_read(s->fd, s->fd_off, &w->out, sizeof(w->out));
    w->out = __atomic_load_n((u32 *)s->ptr, __ATOMIC_SEQ_CST);
    return 0;
}

static int op_cmpxchg(struct word_op *w, const struct user_span *s)
{
    if (!s->ptr) return -EFAULT;
    w->out = w->a;
    __atomic_compare_exchange_n((u32 *)s->ptr, &w->out, w->b, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return 0;
}

static int op_rmw(struct word_op *w, const struct user_span *s)
{
    u32 *p = s->ptr;
    if (!p) return -EFAULT;
    switch (w->rmw) {
    case USER_RMW_SET: w->out = __atomic_exchange_n(p, w->a, __ATOMIC_SEQ_CST); return 0;
    case USER_RMW_ADD: w->out = __atomic_fetch_add(p, w->a, __ATOMIC_SEQ_CST); return 0;
    case USER_RMW_OR: w->out = __atomic_fetch_or(p, w->a, __ATOMIC_SEQ_CST); return 0;
    case USER_RMW_ANDN: w->out = __atomic_fetch_and(p, ~w->a, __ATOMIC_SEQ_CST); return 0;
    case USER_RMW_XOR: w->out = __atomic_fetch_xor(p, w->a, __ATOMIC_SEQ_CST); return 0;
    }
    return -EINVAL;
}

int user_load32(gaddr_t addr, u32 *out)
{
    struct word_op w = { .op = op_load };
    int r = word_do(current->mm, addr, &w);
    *out = w.out;
    return r;
}

int mm_user_cmpxchg32(struct mm *mm, gaddr_t addr, u32 old, u32 new_, u32 *seen)
{
    struct word_op w = { .write = true, .op = op_cmpxchg, .a = old, .b = new_ };
    int r = word_do(mm, addr, &w);
    *seen = w.out;
    return r;
}

int user_cmpxchg32(gaddr_t addr, u32 old, u32 new_, u32 *seen) { return mm_user_cmpxchg32(current->mm, addr, old, new_, seen); }

int user_rmw32(gaddr_t addr, enum user_rmw op, u32 arg, u32 *old)
{
    struct word_op w = { .write = true, .op = op_rmw, .a = arg, .rmw = op };
    int r = word_do(current->mm, addr, &w);
    *old = w.out;
    return r;
}

/* Behind the end of its file nothing backs an address. */
static int backed(const struct vma *v, gaddr_t addr, bool write)
{
    struct backing b;
    int r = v->obj->ops->page(v->obj, (v->off + (gpage_down(addr) - v->start)) >> GPAGE_SHIFT, write, &b);
    if (r) return -EFAULT;
    if (b.kind == BACKING_MEMFILE) memfile_put(b.page);
    return 0;
}

/* A private futex needs no look at the memory: the address names it. A shared one must be mapped to have a name. */
int mm_futex_key(struct mm *mm, gaddr_t addr, bool shared, bool write, struct mm_page_id *out)
{
    if (!mm || addr >= mm->addr_limit) return -EFAULT;
    *out = (struct mm_page_id){ .obj = mm, .off = addr };
    if (!shared) return 0;
    out->off |= 1;   /* as FUT_OFF_MMSHARED: private and shared operations on a private page do not meet */
    int r = 0;
    read_lock(&mm->lock);
    const struct vma *v = mm_find_vma_locked(mm, addr);
    if (!v || !vma_permits(v, write, false)) {
        r = -EFAULT;
    } else if (v->obj && (v->flags & VMA_SHARED)) {
        r = pt_get(mm->pt, gpage_down(addr)) ? 0 : backed(v, addr, write);
        if (!r) *out = (struct mm_page_id){ .obj = v->obj, .off = v->off + (addr - v->start) };
    }
    rw_unlock(&mm->lock);
    return r;
}
