/*
 * The dentry cache. One lock guards the shape of all trees: parent, name, children, hashed, the LRU. A dentry holds its
 * parent; the children table holds nothing: a hashed dentry whose count falls to zero stays on the LRU until it is
 * found again or pushed out. Inodes are released only after the lock is dropped (a file system may talk to the gofer).
 */
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/file.h"
#include <stdio.h>
#include <string.h>

#define LRU_MAX 32768u
#define LRU_BATCH 64u

static lock_t dentry_lock = LOCK_INIT(LC_DENTRY);   /* guards: */
TAILQ_HEAD(dentry_list, dentry);
static struct dentry_list lru = TAILQ_HEAD_INITIALIZER(lru);
static unsigned lru_count;

static struct dentry *dentry_alloc(struct super *sb, struct dentry *parent, const char *name, size_t len)
{
    struct dentry *d = xnew(struct dentry);
    ref_init(&d->refs);
    d->name = xstrndup(name, len);
    d->sb = sb;
    d->parent = parent ? parent : d;
    if (parent) {
        dentry_get(parent);
        if (unlikely(parent->policy)) d->policy = policy_step(parent->policy, name, len);
    }
    return d;
}

static void hash_locked(struct dentry *d)
{
    HASH_ADD_KEYPTR(hh, d->parent->children, d->name, strlen(d->name), d);
    d->hashed = true;
}

static void unhash_locked(struct dentry *d)
{
    if (!d->hashed) return;
    HASH_DEL(d->parent->children, d);
    d->hashed = false;
}

static void lru_del_locked(struct dentry *d)
{
    if (!d->on_lru) return;
    TAILQ_REMOVE(&lru, d, lru);
    d->on_lru = false;
    lru_count--;
}

/* d has no references: take it, and parents that only it held, out of the tree. They go to `dead`. */
static void kill_locked(struct dentry *d, struct dentry_list *dead)
{
    for (;;) {
        lru_del_locked(d);
        unhash_locked(d);
        TAILQ_INSERT_TAIL(dead, d, lru);
        struct dentry *parent = d->parent;
        if (parent == d || !ref_put(&parent->refs)) return;
        if (parent->hashed) {
            TAILQ_INSERT_TAIL(&lru, parent, lru);
            parent->on_lru = true;
            lru_count++;
            return;
        }
        d = parent;
    }
}

static void free_dead(struct dentry_list *dead)
{
    struct dentry *d;
    while ((d = TAILQ_FIRST(dead)) != NULL) {
        TAILQ_REMOVE(dead, d, lru);
        if (d->deleted && d->inode && (d->inode->nlink == 0 || S_ISDIR(d->inode->mode))) fsnotify_inode_delete(d->inode);
        inode_put(d->inode);
        free(d->name);
        free(d);
    }
}

static void shrink_locked(struct dentry_list *dead)
{
    if (lru_count <= LRU_MAX) return;
    for (unsigned i = 0; i < LRU_BATCH && !TAILQ_EMPTY(&lru); i++) kill_locked(TAILQ_FIRST(&lru), dead);
}

void dentry_get(struct dentry *d) { ref_get(&d->refs); }

void dentry_put(struct dentry *d)
{
    if (!d) return;
    u32 v = ref_read(&d->refs);
    while (v > 1)
        if (__atomic_compare_exchange_n(&d->refs.n, &v, v - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return;
    struct dentry_list dead = TAILQ_HEAD_INITIALIZER(dead);
    lock(&dentry_lock);
    if (ref_put(&d->refs)) {
        if (d->hashed) {
            TAILQ_INSERT_TAIL(&lru, d, lru);
            d->on_lru = true;
            lru_count++;
            shrink_locked(&dead);
        } else {
            kill_locked(d, &dead);
        }
    }
    unlock(&dentry_lock);
    free_dead(&dead);
}

struct dentry *dentry_new_root(struct super *sb, struct inode *root)
{
    struct dentry *d = dentry_alloc(sb, NULL, "/", 1);
    d->inode = root;
    super_put(sb);      /* see super_put: the root's reference does not count */
    return d;
}

struct dentry *dentry_new_disconnected(struct super *sb, const char *name, struct inode *i, bool deleted)
{
    struct dentry *d = dentry_alloc(sb, NULL, name, strlen(name));
    d->inode = i;
    d->deleted = deleted;
    return d;
}

void dentry_instantiate(struct dentry *d, struct inode *i)
{
    lock(&dentry_lock);
    struct inode *old = d->inode;
    __atomic_store_n(&d->inode, i, __ATOMIC_RELEASE);
    unlock(&dentry_lock);
    inode_put(old);
}

static struct dentry *find_locked(struct dentry *parent, const char *name, size_t len)
{
    struct dentry *d;
    HASH_FIND(hh, parent->children, name, len, d);
    if (!d) return NULL;
    lru_del_locked(d);
    ref_get(&d->refs);
    return d;
}

struct dentry *dentry_lookup_cached(struct dentry *parent, const char *name, size_t len)
{
    lock(&dentry_lock);
    struct dentry *d = find_locked(parent, name, len);
    unlock(&dentry_lock);
    return d;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t len, struct dentry **out)
{
    if ((*out = dentry_lookup_cached(parent, name, len)) != NULL) return 0;
    struct inode *dir = parent->inode;
    if (!dir) return -ENOENT;
    if (!dir->ops || !dir->ops->lookup) return -ENOTDIR;

    lock(&dir->lock);
    struct dentry *d = dentry_lookup_cached(parent, name, len);
    int r = 0;
    if (!d) {
        if (parent->deleted) {
            r = -ENOENT;
        } else {
            d = dentry_alloc(parent->sb, parent, name, len);
            r = dir->ops->lookup(dir, d);
            if (r == 0) {
                lock(&dentry_lock);
                if (!d->hashed) {
                    /* A synthetic tree may have added the name by itself meanwhile. */
                    struct dentry *other = find_locked(parent, name, len);
                    if (other) {
                        unlock(&dentry_lock);
                        dentry_put(d);
                        d = other;
                        lock(&dentry_lock);
                    } else {
                        hash_locked(d);
                    }
                }
                unlock(&dentry_lock);
            } else {
                dentry_put(d);
                d = NULL;
            }
        }
    }
    unlock(&dir->lock);
    *out = d;
    return r;
}

void dentry_drop(struct dentry *d)
{
    lock(&dentry_lock);
    unhash_locked(d);
    struct dentry_list dead = TAILQ_HEAD_INITIALIZER(dead);
    if (d->on_lru) kill_locked(d, &dead);
    unlock(&dentry_lock);
    free_dead(&dead);
}

/* A directory whose last child goes joins the tail of the LRU, so one pass meets it too. */
void dentry_drop_children(struct dentry *top)
{
    struct dentry_list dead = TAILQ_HEAD_INITIALIZER(dead);
    lock(&dentry_lock);
    struct dentry *d = TAILQ_FIRST(&lru);
    ref_get(&top->refs);    /* the last child's end must not be ours */
    while (d) {
        struct dentry *up = d;
        while (up != top && up->parent != up) up = up->parent;
        if (up != top || d == top) {
            d = TAILQ_NEXT(d, lru);
            continue;
        }
        struct dentry mark = { .on_lru = true };
        TAILQ_INSERT_BEFORE(d, &mark, lru);
        kill_locked(d, &dead);
        d = TAILQ_NEXT(&mark, lru);
        TAILQ_REMOVE(&lru, &mark, lru);
    }
    unlock(&dentry_lock);
    dentry_put(top);
    free_dead(&dead);
}

void dentry_delete(struct dentry *d)
{
    lock(&dentry_lock);
    unhash_locked(d);
    d->deleted = true;
    unlock(&dentry_lock);
}

struct dentry *dentry_add(struct dentry *parent, const char *name, struct inode *i)
{
    struct dentry *d = dentry_alloc(parent->sb, parent, name, strlen(name));
    d->inode = i;
    lock(&dentry_lock);
    struct dentry *old = find_locked(parent, name, strlen(name));
    if (old) unhash_locked(old);
    hash_locked(d);
    unlock(&dentry_lock);
    if (old) dentry_put(old);
    return d;
}

struct dentry *dentry_parent_get(struct dentry *d)
{
    lock(&dentry_lock);
    struct dentry *p = d->parent;
    ref_get(&p->refs);
    unlock(&dentry_lock);
    return p;
}

bool dentry_is_ancestor(const struct dentry *a, struct dentry *d)
{
    lock(&dentry_lock);
    while (d != a && d->parent != d) d = d->parent;
    unlock(&dentry_lock);
    return d == a;
}

char *dentry_name_dup(struct dentry *d)
{
    lock(&dentry_lock);
    char *s = xstrdup(d->name);
    unlock(&dentry_lock);
    return s;
}

void dentry_move(struct dentry *od, struct dentry *nd, bool exchange)
{
    lock(&dentry_lock);
    bool od_hashed = od->hashed;
    unhash_locked(od);
    unhash_locked(nd);
    struct dentry *op = od->parent;
    char *oname = od->name;
    od->parent = nd->parent;
    od->name = nd->name;
    /* nd takes od's old place in any case: its references on name and parent are swapped, never leaked. */
    nd->parent = op;
    nd->name = oname;
    hash_locked(od);
    if (exchange) {
        if (od_hashed) hash_locked(nd);
    } else if (nd->inode) {
        nd->deleted = true;
    }
    unlock(&dentry_lock);
}
