/* Keyrings: links between keys, and searches along them. */
#include "sentry/keys/internal.h"
#include <string.h>

static u64 walks;                  /* number of the last walk */

/* --- links --- */

static void cut(struct key *ring, unsigned i)
{
    struct key *k = ring->links[i];
    memmove(&ring->links[i], &ring->links[i + 1], (ring->nlinks - i - 1) * sizeof ring->links[0]);
    ring->nlinks--;
    (void)key_reserve(ring, -(s64)KEY_LINK_QUOTA);
    key_put(k);
}

void keyring_clear(struct key *ring)
{
    while (ring->nlinks) cut(ring, ring->nlinks - 1);
    free(ring->links);
    ring->links = NULL;
    ring->cap = 0;
}

void keyring_prune(struct key *ring)
{
    s64 before = key_now() - atomic_load(&key_settings.gc_delay);
    for (unsigned i = ring->nlinks; i-- > 0;)
        if (ring->links[i]->invalidated || ring->links[i]->expiry <= before) cut(ring, i);
}

static struct key **find(struct key *ring, const struct key_type *t, const char *desc, u32 hash)
{
    for (unsigned i = 0; i < ring->nlinks; i++)
        if (key_same(ring->links[i], t, desc, hash)) return &ring->links[i];
    return NULL;
}

struct key *keyring_find(struct key *ring, const struct key_type *t, const char *desc)
{
    struct key **at = find(ring, t, desc, key_hash(t, desc));
    return at ? *at : NULL;
}

int keyring_add_new(struct key *ring, struct key *k)
{
    if (!key_is_keyring(ring)) return -ENOTDIR;
    if (ring->reject_links) return -EPERM;
    keyring_prune(ring);
    struct key **at = find(ring, k->type, k->desc, k->hash);
    key_get(k);
    if (at) {                      /* of the same name: takes its place */
        struct key *old = *at;
        *at = k;
        key_put(old);
        return 0;
    }
    int r = key_reserve(ring, KEY_LINK_QUOTA);
    if (r) {
        key_put(k);
        return r;
    }
    if (ring->nlinks == ring->cap) {
        ring->cap = ring->cap ? ring->cap * 2 : 4;
        ring->links = xrealloc(ring->links, ring->cap * sizeof ring->links[0]);
    }
    ring->links[ring->nlinks++] = k;
    return 0;
}

/* Is a keyring to be met below another: -EDEADLK; or are there too many levels: -ELOOP. */
static int check_cycle(struct key *below, const struct key *ring, u64 walk, unsigned depth)
{
    if (below == ring) return -EDEADLK;
    if (depth > KEY_MAX_DEPTH) return -ELOOP;
    if (below->seen == walk && below->seen_depth >= depth) return 0;
    below->seen = walk;
    below->seen_depth = depth;
    for (unsigned i = 0; i < below->nlinks; i++) {
        int r = key_is_keyring(below->links[i]) ? check_cycle(below->links[i], ring, walk, depth + 1) : 0;
        if (r) return r;
    }
    return 0;
}

int keyring_add(struct key *ring, struct key *k)
{
    if (!key_is_keyring(ring)) return -ENOTDIR;
    if (ring->reject_links) return -EPERM;
    int r = key_is_keyring(k) ? check_cycle(k, ring, ++walks, 1) : 0;
    return r ? r : keyring_add_new(ring, k);
}

int keyring_remove(struct key *ring, const struct key *k)
{
    if (!key_is_keyring(ring)) return -ENOTDIR;
    struct key **at = find(ring, k->type, k->desc, k->hash);
    if (!at) return -ENOENT;
    cut(ring, (unsigned)(at - ring->links));
    return 0;
}

int keyring_move(struct key *k, struct key *from, struct key *to, bool exclusive)
{
    if (from == to) return 0;
    if (!key_is_keyring(from) || !key_is_keyring(to)) return -ENOTDIR;
    if (!find(from, k->type, k->desc, k->hash)) return -ENOENT;
    if (exclusive && find(to, k->type, k->desc, k->hash)) return -EEXIST;
    int r = keyring_add(to, k);
    return r ? r : keyring_remove(from, k);
}

/* --- searches --- */

void key_search_begin(struct key_search *s)
{
    s->walk = ++walks;
    if (!s->target) s->hash = key_hash(s->type, s->desc);
}

/* True: this is it. *why: it would be, but. */
static bool examine(const struct key_search *s, struct key_ref r, int *why)
{
    const struct key *k = r.key;
    if (s->target ? k != s->target : !key_same(k, s->type, s->desc, s->hash)) return false;
    if (!s->any_state) {
        int v = key_validate(k);
        if (v) {
            if (v != -EKEYEXPIRED || !s->skip_expired) *why = v == -ENOKEY ? -EKEYREVOKED : v;
            return false;
        }
    }
    if (key_permission(r, NEED_SEARCH)) {
        *why = -EACCES;
        return false;
    }
    return true;
}

/* Each keyring is looked through once, or again if met at a higher place: a search takes no longer than there are links. */
static bool descend(struct key_search *s, struct key_ref ring, unsigned depth, struct key_ref *out, int *why)
{
    struct key *g = ring.key;
    if (g->revoked || g->invalidated || (g->seen == s->walk && g->seen_depth <= depth)) return false;
    g->seen = s->walk;
    g->seen_depth = depth;
    for (unsigned i = 0; i < g->nlinks; i++) {
        *out = (struct key_ref){ g->links[i], ring.possessed };
        if (examine(s, *out, why)) return true;
    }
    for (unsigned i = 0; depth < KEY_MAX_DEPTH && i < g->nlinks; i++) {
        struct key_ref next = { g->links[i], ring.possessed };
        if (key_is_keyring(next.key) && !key_permission(next, NEED_SEARCH) && descend(s, next, depth + 1, out, why)) return true;
    }
    return false;
}

static void mark(struct key *g, u64 walk, unsigned depth)
{
    if (g->revoked || g->invalidated || (g->seen == walk && g->seen_depth <= depth)) return;
    g->seen = walk;
    g->seen_depth = depth;
    for (unsigned i = 0; i < g->nlinks; i++) {
        struct key *k = g->links[i];
        if (key_permission((struct key_ref){ k, true }, NEED_SEARCH)) continue;
        k->owned = walk;
        if (depth < KEY_MAX_DEPTH && key_is_keyring(k)) mark(k, walk, depth + 1);
    }
}

u64 keyring_mark(struct key *const *start, size_t n)
{
    u64 walk = ++walks;
    for (size_t i = 0; i < n; i++) {
        if (!start[i] || key_permission((struct key_ref){ start[i], true }, NEED_SEARCH)) continue;
        start[i]->owned = walk;
        mark(start[i], walk, 0);
    }
    return walk;
}

int keyring_search(struct key_search *s, struct key_ref ring, struct key_ref *out)
{
    int why = -EAGAIN;
    if (!key_is_keyring(ring.key)) return -ENOTDIR;
    int r = key_permission(ring, NEED_SEARCH);
    if (r) return r;
    *out = ring;
    if (examine(s, ring, &why)) return 0;
    return descend(s, ring, 0, out, &why) ? 0 : why;
}
