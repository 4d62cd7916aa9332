/* Rulesets as files, and the layers made of them. */
#include "sentry/landlock/internal.h"
#include "sentry/base/alloc.h"
#include <linux/capability.h>
#include <string.h>

/* Linux allows 2^32 rules a ruleset; here the sentry's memory is not the guest's to spend. */
#define RULES_MAX 4096u                /* of a ruleset */
#define RULES_ALL_MAX (256u << 10)     /* of all rulesets and layers together */

static u32 nrules_all;                 /* (a) */
static struct ll_layer *dead;          /* (a) */

struct ruleset {
    lock_t lock;                       /* LC_LEAF; guards: */
    struct ll_rule *rules;             /* in order */
    u32 n, room;
    struct ll_handled handled;         /* (c) */
};

int ll_rule_cmp(const void *a, const void *b)
{
    const struct ll_rule *x = a, *y = b;

    if (x->inode != y->inode) return (uintptr_t)x->inode < (uintptr_t)y->inode ? -1 : 1;
    return (int)x->port - (int)y->port;
}

u32 ll_layer_grants(const struct ll_layer *l, const struct inode *i, u16 port)
{
    struct ll_rule key = { .inode = i, .port = port };
    const struct ll_rule *r = l->nrules ? bsearch(&key, l->rules, l->nrules, sizeof(key), ll_rule_cmp) : NULL;

    return r ? r->access : 0;
}

static bool charge(u32 n)
{
    if (atomic_add(&nrules_all, n) <= RULES_ALL_MAX) return true;
    atomic_add(&nrules_all, -n);
    return false;
}

/* --- layers --- */

void ll_layer_get(struct ll_layer *l)
{
    if (l) ref_get(&l->refs);
}

void ll_layer_put(struct ll_layer *l)
{
    if (!l || !ref_put(&l->refs)) return;
    l->next_dead = atomic_load(&dead);
    while (!__atomic_compare_exchange_n(&dead, &l->next_dead, l, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
}

void ll_reap(void)
{
    while (atomic_load(&dead)) {
        struct ll_layer *l = atomic_xchg(&dead, (struct ll_layer *)NULL), *next;
        for (; l; l = next) {
            next = l->next_dead;
            for (u32 i = 0; i < l->nrules; i++)
                if (l->rules[i].d) dentry_put(l->rules[i].d);
            atomic_add(&nrules_all, -l->nrules);
            ll_layer_put(l->below);
            free(l);
        }
    }
}

/* --- rulesets --- */

static void ruleset_release(struct file *f)
{
    struct ruleset *r = f->priv;

    for (u32 i = 0; i < r->n; i++)
        if (r->rules[i].d) dentry_put(r->rules[i].d);
    atomic_add(&nrules_all, -r->n);
    lock_fini(&r->lock);
    free(r->rules);
    free(r);
    ll_reap();
}

static ssize_t no_transfer(struct file *f UNUSED, struct uio *u UNUSED, u64 *pos UNUSED, u32 flags UNUSED) { return -EINVAL; }

static const struct file_ops ruleset_ops = {
    .name = "anon_inode:[landlock-ruleset]", .read = no_transfer, .write = no_transfer, .release = ruleset_release,
};

bool ll_file_is_ruleset(const struct file *f) { return f->ops == &ruleset_ops; }
const struct ll_handled *ll_ruleset_handled(struct file *f) { return &((struct ruleset *)f->priv)->handled; }

int ll_ruleset_new(const struct ll_handled *handled, struct file **out)
{
    struct ruleset *r = xnew(struct ruleset);

    lock_init(&r->lock, LC_LEAF);
    r->handled = *handled;
    *out = file_new_anon(&ruleset_ops, O_RDWR, r);
    return 0;
}

/* Consumes rule->d on success. */
static int insert_rule(struct ruleset *r, const struct ll_rule *rule)
{
    int e = 0;
    u32 at = 0;

    lock(&r->lock);
    for (u32 hi = r->n; at < hi;) {
        u32 mid = (at + hi) / 2;
        if (ll_rule_cmp(&r->rules[mid], rule) < 0) at = mid + 1;
        else hi = mid;
    }
    bool known = at < r->n && ll_rule_cmp(&r->rules[at], rule) == 0;
    if (known) {
        r->rules[at].access |= rule->access;
    } else if (r->n >= RULES_MAX) {
        e = -E2BIG;
    } else if (!charge(1)) {
        e = -ENOMEM;
    } else {
        if (r->n == r->room) r->rules = xrealloc(r->rules, (r->room = MAX(2 * r->room, 8u)) * sizeof(*r->rules));
        memmove(&r->rules[at + 1], &r->rules[at], (r->n - at) * sizeof(*r->rules));
        r->rules[at] = *rule;
        r->n++;
    }
    unlock(&r->lock);
    if (known && rule->d) dentry_put(rule->d);
    return e;
}

int ll_ruleset_add_path(struct file *f, struct dentry *d, u32 access)
{
    struct ruleset *r = f->priv;

    if (!S_ISDIR(d->inode->mode) && (access & ~LL_FS_FILE)) return -EINVAL;
    struct ll_rule rule = { .inode = d->inode, .d = d, .access = (u16)access };
    dentry_get(d);
    int e = insert_rule(r, &rule);
    if (e) dentry_put(d);
    return e;
}

int ll_ruleset_add_port(struct file *f, u16 port, u32 access)
{
    struct ll_rule rule = { .port = port, .access = (u16)access };
    return insert_rule(f->priv, &rule);
}

int ll_restrict(struct file *f)
{
    struct ruleset *r = f->priv;
    struct ll_layer *below = current->cred->landlock;

    ll_reap();
    if (below && below->depth + 1 >= LANDLOCK_LAYERS_MAX) return -E2BIG;
    struct ll_layer *l = xzalloc(sizeof(*l) + RULES_MAX * sizeof(struct ll_rule));
    lock(&r->lock);
    bool ok = charge(r->n);
    if (ok) {
        l->nrules = r->n;
        if (r->n) memcpy(l->rules, r->rules, r->n * sizeof(*r->rules));
        for (u32 i = 0; i < l->nrules; i++)
            if (l->rules[i].d) dentry_get(l->rules[i].d);
    }
    unlock(&r->lock);
    if (!ok) {
        free(l);
        return -ENOMEM;
    }
    l = xrealloc(l, sizeof(*l) + l->nrules * sizeof(struct ll_rule));
    ref_init(&l->refs);
    l->handled = r->handled;
    if (l->handled.fs) l->handled.fs |= LL_REFER;   /* moving files about is denied unless granted */
    l->below = below;
    ll_layer_get(below);
    l->depth = below ? below->depth + 1 : 0;
    struct cred *c = cred_copy(current->cred);
    ll_layer_put(c->landlock);
    c->landlock = l;
    task_set_cred(c);
    return 0;
}
