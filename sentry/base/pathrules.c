#include "sentry/base/pathrules.h"
#include "sentry/base/alloc.h"
#include "sentry/base/lock.h"

#include <fnmatch.h>
#include <string.h>

struct node {
    char *name;              /* owned; of the edge that leads here */
    bool glob;
    u32 lits;                /* literal components on the way */
    u32 rule;                /* index in rules, 0: none */
    u32 *kids, nkids;        /* literal ones first, sorted by name */
    u32 nlits;               /* how many of kids are literal */
};
struct rule { u32 perms, id, state; };
/* Immutable once its number is known to anybody. */
struct state { u32 rule; u32 nact; u32 *act; bool grants_below; };

struct pathrules {
    struct node *nodes; u32 nnodes;
    struct rule *rules; u32 nrules;
    struct state *states;              /* PATHRULES_STATES, touched as used */
    lock_t lock;                       /* LC_LEAF; guards: */
    u32 nstates;
    u32 hash[4096];                    /* head of a chain, by set */
    u32 *next;
};

static bool is_glob(const char *s, size_t n) { return memchr(s, '*', n) || memchr(s, '?', n) || memchr(s, '[', n); }

int pathrules_pattern_check(const char *pattern, const char **why)
{
    const char *dummy;
    if (!why) why = &dummy;
    *why = "it must begin with /";
    if (*pattern != '/') return -EINVAL;
    for (const char *s = pattern; *s;) {
        while (*s == '/') s++;
        size_t n = strcspn(s, "/");
        *why = "`..` and `.` are not allowed in it";
        if ((n == 2 && !strncmp(s, "..", 2)) || (n == 1 && *s == '.')) return -EINVAL;
        *why = "`**` is not known: a rule covers all beneath its path, and `*` stands for one component";
        if (n >= 2 && memmem(s, n, "**", 2)) return -EINVAL;
        *why = "a component is longer than 255 characters";
        if (n > 255) return -EINVAL;
        s += n;
    }
    *why = "it is longer than 4095 characters";
    return strlen(pattern) > 4095 ? -EINVAL : 0;
}

unsigned pathrules_pattern_depth(const char *pattern, unsigned *literal)
{
    unsigned depth = 0, lits = 0;
    for (const char *s = pattern; *s;) {
        while (*s == '/') s++;
        size_t n = strcspn(s, "/");
        if (n) depth++, lits += !is_glob(s, n);
        s += n;
    }
    if (literal) *literal = lits;
    return depth;
}

/* Do two globs have a common match? `*` against anything; brackets are taken as meeting every character. */
static bool globs_meet(const char *a, const char *ae, const char *b, const char *be)
{
    if (a == ae && b == be) return true;
    if (a < ae && *a == '*') return globs_meet(a + 1, ae, b, be) || (b < be && globs_meet(a, ae, b + 1, be));
    if (b < be && *b == '*') return globs_meet(b, be, a, ae);
    if (a == ae || b == be) return false;
    const char *an = a + 1, *bn = b + 1;
    bool wild = *a == '?' || *b == '?' || *a == '[' || *b == '[';
    if (*a == '[') while (an < ae && an[-1] != ']') an++;
    if (*b == '[') while (bn < be && bn[-1] != ']') bn++;
    return (wild || *a == *b) && globs_meet(an, ae, bn, be);
}

bool pathrules_patterns_meet(const char *a, const char *b)
{
    for (;;) {
        while (*a == '/') a++;
        while (*b == '/') b++;
        if (!*a || !*b) return !*a && !*b;
        size_t n = strcspn(a, "/"), m = strcspn(b, "/");
        /* the recursion of globs_meet is exponential in the number of stars; patterns with many are taken as meeting */
        unsigned stars = 0;
        for (size_t i = 0; i < n; i++) stars += a[i] == '*';
        for (size_t i = 0; i < m; i++) stars += b[i] == '*';
        if (stars <= 6 && !globs_meet(a, a + n, b, b + m)) return false;
        a += n, b += m;
    }
}

static u32 node_new(struct pathrules *p, const char *name, size_t n, u32 lits)
{
    if (!(p->nnodes & (p->nnodes - 1))) p->nodes = xrealloc(p->nodes, (p->nnodes ? p->nnodes * 2 : 1) * sizeof(*p->nodes));
    p->nodes[p->nnodes] = (struct node){ .name = xstrndup(name, n), .glob = is_glob(name, n), .lits = lits };
    return p->nnodes++;
}

static u32 rule_new(struct pathrules *p, u32 perms, u32 id)
{
    if (!(p->nrules & (p->nrules - 1))) p->rules = xrealloc(p->rules, (p->nrules ? p->nrules * 2 : 1) * sizeof(*p->rules));
    u32 i = p->nrules++, s = p->nstates++;
    p->states[s] = (struct state){ .rule = i };
    p->rules[i] = (struct rule){ .perms = perms, .id = id, .state = s };
    return i;
}

struct pathrules *pathrules_new(void)
{
    struct pathrules *p = xnew(struct pathrules);
    lock_init(&p->lock, LC_LEAF);
    p->states = xzalloc(PATHRULES_STATES * sizeof(*p->states));
    p->next = xzalloc(PATHRULES_STATES * sizeof(*p->next));
    p->nstates = 1;              /* 0: no policy */
    rule_new(p, 0, 0);           /* no rule: denied */
    node_new(p, "", 0, 0);
    return p;
}

void pathrules_free(struct pathrules *p)
{
    if (!p) return;
    for (u32 i = 0; i < p->nnodes; i++) free(p->nodes[i].name), free(p->nodes[i].kids);
    for (u32 i = 0; i < p->nstates; i++) free(p->states[i].act);
    free(p->nodes);
    free(p->rules);
    free(p->states);
    free(p->next);
    lock_fini(&p->lock);
    free(p);
}

static int name_cmp(const char *a, const char *s, size_t n)
{
    int r = strncmp(a, s, n);
    return r ? r : a[n] != 0;
}

/* Literal child by name; *at: where it is or belongs. */
static bool find_literal(const struct pathrules *p, const struct node *v, const char *s, size_t n, u32 *at)
{
    u32 lo = 0, hi = v->nlits;
    while (lo < hi) {
        u32 mid = (lo + hi) / 2;
        int c = name_cmp(p->nodes[v->kids[mid]].name, s, n);
        if (!c) {
            *at = mid;
            return true;
        }
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    *at = lo;
    return false;
}

static u32 child(struct pathrules *p, u32 parent, const char *s, size_t n)
{
    struct node *v = &p->nodes[parent];
    u32 at;
    bool glob = is_glob(s, n);
    if (glob) {
        for (u32 i = v->nlits; i < v->nkids; i++)
            if (!name_cmp(p->nodes[v->kids[i]].name, s, n)) return v->kids[i];
        at = v->nkids;
    } else if (find_literal(p, v, s, n, &at)) {
        return v->kids[at];
    }
    u32 k = node_new(p, s, n, v->lits + !glob);
    v = &p->nodes[parent];
    v->kids = xrealloc(v->kids, (v->nkids + 1) * sizeof(*v->kids));
    memmove(v->kids + at + 1, v->kids + at, (v->nkids - at) * sizeof(*v->kids));
    v->kids[at] = k;
    v->nkids++;
    v->nlits += !glob;
    return k;
}

int pathrules_add(struct pathrules *p, const char *pattern, u32 perms, u32 id)
{
    if (!id || pathrules_pattern_check(pattern, NULL)) return -EINVAL;
    if (p->nrules >= PATHRULES_MAX) return -E2BIG;
    u32 v = 0;
    for (const char *s = pattern; *s;) {
        while (*s == '/') s++;
        size_t n = strcspn(s, "/");
        if (n) v = child(p, v, s, n);
        s += n;
    }
    if (p->nodes[v].rule) return -EEXIST;
    u32 r = rule_new(p, perms, id);
    p->nodes[v].rule = r;
    return 0;
}

/* Does anything beneath grant something? Bounded by the trie. */
static bool grants(const struct pathrules *p, u32 v)
{
    for (u32 i = 0; i < p->nodes[v].nkids; i++) {
        const struct node *k = &p->nodes[p->nodes[v].kids[i]];
        if ((k->rule && p->rules[k->rule].perms) || grants(p, p->nodes[v].kids[i])) return true;
    }
    return false;
}

static u32 intern(struct pathrules *p, u32 rule, const u32 *act, u32 nact)
{
    u32 h = rule * 2654435761u;
    for (u32 i = 0; i < nact; i++) h = (h ^ act[i]) * 2654435761u;
    h >>= 20;
    lock(&p->lock);
    u32 s = p->hash[h];
    while (s && !(p->states[s].rule == rule && p->states[s].nact == nact && !memcmp(p->states[s].act, act, nact * sizeof(*act)))) s = p->next[s];
    if (!s && p->nstates < PATHRULES_STATES) {
        s = p->nstates;
        struct state *n = &p->states[s];
        *n = (struct state){ .rule = rule, .nact = nact, .act = xzalloc(nact * sizeof(*act)) };
        memcpy(n->act, act, nact * sizeof(*act));
        for (u32 i = 0; i < nact && !n->grants_below; i++) n->grants_below = grants(p, act[i]);
        p->next[s] = p->hash[h];
        p->hash[h] = s;
        p->nstates++;
    }
    unlock(&p->lock);
    return s ? s : p->rules[0].state; /* full: nothing is granted */
}

/* The state after arriving at nodes `to`, coming from under rule `rule`. */
static u32 arrive(struct pathrules *p, u32 rule, const u32 *to, u32 n)
{
    u32 best = 0, act[PATHRULES_ACTIVE], nact = 0, best_lits = 0;
    for (u32 i = 0; i < n; i++) {
        const struct node *v = &p->nodes[to[i]];
        if (v->nkids) act[nact++] = to[i];
        if (!v->rule) continue;
        if (!best || v->lits > best_lits) best = v->rule, best_lits = v->lits;
        else if (v->lits == best_lits && (p->rules[v->rule].perms & PR_ALL) < (p->rules[best].perms & PR_ALL)) best = v->rule;
    }
    if (best) rule = best;
    return nact ? intern(p, rule, act, nact) : p->rules[rule].state;
}

u32 pathrules_start(struct pathrules *p)
{
    static const u32 root = 0;
    return arrive(p, 0, &root, 1);
}

u32 pathrules_step(struct pathrules *p, u32 state, const char *name, size_t len)
{
    const struct state *s = &p->states[state];
    if (!s->nact) return state;
    u32 to[PATHRULES_ACTIVE], n = 0, at;
    char text[256];
    bool copied = false;
    for (u32 i = 0; i < s->nact; i++) {
        const struct node *v = &p->nodes[s->act[i]];
        if (find_literal(p, v, name, len, &at)) {
            if (n == PATHRULES_ACTIVE) return p->rules[0].state;
            to[n++] = v->kids[at];
        }
        for (u32 k = v->nlits; k < v->nkids; k++) {
            if (!copied) {
                if (len >= sizeof(text)) return p->rules[0].state;
                memcpy(text, name, len);
                text[len] = 0;
                copied = true;
            }
            if (fnmatch(p->nodes[v->kids[k]].name, text, FNM_NOESCAPE)) continue;
            if (n == PATHRULES_ACTIVE) return p->rules[0].state;
            to[n++] = v->kids[k];
        }
    }
    return n ? arrive(p, s->rule, to, n) : p->rules[s->rule].state;
}

u32 pathrules_walk(struct pathrules *p, u32 state, const char *path)
{
    while (*path) {
        while (*path == '/') path++;
        size_t n = strcspn(path, "/");
        if (n && !(n == 1 && *path == '.')) state = pathrules_step(p, state, path, n);
        path += n;
    }
    return state;
}

u32 pathrules_perms(const struct pathrules *p, u32 state) { return state ? p->rules[p->states[state].rule].perms : PR_ALL; }
u32 pathrules_rule(const struct pathrules *p, u32 state) { return state ? p->rules[p->states[state].rule].id : 0; }
bool pathrules_below(const struct pathrules *p, u32 state) { return p->states[state].nact != 0; }

bool pathrules_passable(const struct pathrules *p, u32 state)
{
    return !state || pathrules_perms(p, state) || p->states[state].grants_below;
}

bool pathrules_same(const struct pathrules *p, u32 a, u32 b, bool is_dir)
{
    if (a == b) return true;
    if (is_dir && (pathrules_below(p, a) || pathrules_below(p, b))) return false;
    return pathrules_perms(p, a) == pathrules_perms(p, b);
}
