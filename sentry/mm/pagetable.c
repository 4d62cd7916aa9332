/* The four-level page table. Levels are numbered 3 (root, 512 GiB a slot) down to 0 (leaf, a page a slot). */
#include "sentry/mm/pagetable.h"

#include "sentry/base/alloc.h"

#include <stdlib.h>

static inline unsigned pt_index(gaddr_t va, unsigned level) { return va >> (GPAGE_SHIFT + 9 * level) & 511; }
static inline u64 slot_span(unsigned level) { return GPAGE_SIZE << (9 * level); }

struct ptable *pt_new(void) { return xnew(struct ptable); }

static void node_free(struct pt_node *n, unsigned level)
{
    for (unsigned i = 0; n->used && i < 512; i++) {
        if (!n->child[i]) continue;
        if (level > 1) node_free(n->child[i], level - 1);
        free(n->child[i]);
        n->used--;
    }
}

void pt_free(struct ptable *pt)
{
    node_free(&pt->root, 3);
    free(pt);
}

static struct pt_leaf *leaf_find(const struct ptable *pt, gaddr_t va)
{
    const struct pt_node *n = &pt->root;
    if (va >> 48) return NULL;
    for (unsigned level = 3; level > 1; level--) {
        n = n->child[pt_index(va, level)];
        if (!n) return NULL;
    }
    return n->child[pt_index(va, 1)];
}

u64 pt_get(const struct ptable *pt, gaddr_t va)
{
    const struct pt_leaf *l = leaf_find(pt, va);
    return l ? l->e[pt_index(va, 0)] : 0;
}

u64 *pt_slot(struct ptable *pt, gaddr_t va)
{
    struct pt_leaf *l = leaf_find(pt, va);
    return l && l->e[pt_index(va, 0)] ? &l->e[pt_index(va, 0)] : NULL;
}

static struct pt_leaf *leaf_make(struct ptable *pt, gaddr_t va)
{
    struct pt_node *n = &pt->root;
    for (unsigned level = 3; level > 1; level--) {
        void **c = &n->child[pt_index(va, level)];
        if (!*c) {
            *c = xnew(struct pt_node);
            n->used++;
        }
        n = *c;
    }
    void **c = &n->child[pt_index(va, 1)];
    if (!*c) {
        *c = xnew(struct pt_leaf);
        n->used++;
    }
    return *c;
}

void pt_set_run(struct ptable *pt, gaddr_t va, u64 n, u64 e, u64 step)
{
    while (n) {
        struct pt_leaf *l = leaf_make(pt, va);
        unsigned i = pt_index(va, 0);
        for (; i < 512 && n; i++, n--, va += GPAGE_SIZE, e += step) {
            if (!l->e[i]) {
                l->used++;
                pt->present++;
            }
            l->e[i] = e;
        }
    }
}

void pt_set(struct ptable *pt, gaddr_t va, u64 e) { pt_set_run(pt, va, 1, e, 0); }

/* The first leaf at or above *va; moves *va up to it. */
static struct pt_leaf *leaf_next(struct ptable *pt, gaddr_t *va, gaddr_t end)
{
    while (*va < end) {
        const struct pt_node *n = &pt->root;
        unsigned level = 3;
        void *c = n->child[pt_index(*va, level)];
        while (c && level > 1) {
            n = c;
            level--;
            c = n->child[pt_index(*va, level)];
        }
        if (c) return c;
        u64 span = slot_span(level);
        *va = (*va & ~(span - 1)) + span;
    }
    return NULL;
}

u64 *pt_cursor_next(struct pt_cursor *c, gaddr_t *va)
{
    while (c->va < c->end) {
        gaddr_t base = c->va & ~(slot_span(1) - 1);
        if (!c->leaf || c->leaf_base != base) {
            c->leaf = leaf_next(c->pt, &c->va, c->end);
            if (!c->leaf) return NULL;
            base = c->leaf_base = c->va & ~(slot_span(1) - 1);
        }
        for (unsigned i = pt_index(c->va, 0); i < 512; i++) {
            gaddr_t a = base + (u64)i * GPAGE_SIZE;
            if (a >= c->end) break;
            if (!c->leaf->e[i]) continue;
            *va = a;
            c->va = a + GPAGE_SIZE;
            return &c->leaf->e[i];
        }
        c->va = base + slot_span(1);
        c->leaf = NULL;
    }
    return NULL;
}

struct removal { struct ptable *pt; gaddr_t start, end; bool (*fn)(gaddr_t va, u64 e, void *arg); void *arg; };

static void remove_leaf(struct removal *r, struct pt_leaf *l, gaddr_t base)
{
    unsigned i = r->start > base ? (unsigned)((r->start - base) >> GPAGE_SHIFT) : 0;
    for (; i < 512 && l->used; i++) {
        gaddr_t va = base + (u64)i * GPAGE_SIZE;
        if (va >= r->end) break;
        if (l->e[i] && r->fn(va, l->e[i], r->arg)) {
            l->e[i] = 0;
            l->used--;
            r->pt->present--;
        }
    }
}

static void remove_node(struct removal *r, struct pt_node *n, unsigned level, gaddr_t base)
{
    u64 span = slot_span(level);
    unsigned i = r->start > base ? (unsigned)((r->start - base) / span) : 0;
    for (; i < 512; i++) {
        gaddr_t va = base + i * span;
        if (va >= r->end) break;
        void *c = n->child[i];
        if (!c) continue;
        u32 left;
        if (level == 1) {
            remove_leaf(r, c, va);
            left = ((struct pt_leaf *)c)->used;
        } else {
            remove_node(r, c, level - 1, va);
            left = ((struct pt_node *)c)->used;
        }
        if (left) continue;
        n->child[i] = NULL;
        n->used--;
        free(c);
    }
}

void pt_remove_range(struct ptable *pt, gaddr_t start, gaddr_t end, bool (*fn)(gaddr_t va, u64 e, void *arg), void *arg)
{
    struct removal r = { .pt = pt, .start = gpage_down(start), .end = MIN(end, 1ULL << 48), .fn = fn, .arg = arg };
    if (r.start < r.end) remove_node(&r, &pt->root, 3, 0);
}
