/* ld.so.1: symbol lookup by GNU or System V hash, with versions where both sides know them. */
#include "rtld.h"

static unsigned visit_stamp;

void sym_hash(struct symref *r)
{
    uint32_t h = 0, g = 5381;

    for (const unsigned char *p = (const unsigned char *)r->name; *p; p++) {
        h = (h << 4) + *p;
        h ^= (h >> 24) & 0xf0;
        g = g * 33 + *p;
    }
    r->sysv_hash = h & 0x0fffffff;
    r->gnu_hash = g;
}

/*
 * Does version index v of o answer a reference to `want`? Objects of other makers name versions that ours do not
 * define (SUNW_1.1, ILLUMOS_0.4 ...): a library that does not know the wanted name answers with what it has.
 */
static int version_fits(struct obj *o, unsigned v, const char *want)
{
    int known = 0;

    if (!want || !o->verdef || !o->versym)
        return !o->versym || !(v & 0x8000) || !o->verdef || want != NULL;
    for (const Elf64_Verdef *d = o->verdef;; d = (const Elf64_Verdef *)((const char *)d + d->vd_next)) {
        const Elf64_Verdaux *a = (const Elf64_Verdaux *)((const char *)d + d->vd_aux);
        if (rt_streq(o->strtab + a->vda_name, want)) {
            if (d->vd_ndx == (v & 0x7fff))
                return 1;
            known = 1;
        }
        if (!d->vd_next)
            break;
    }
    return !known || ((v & 0x7fff) <= 1);
}

static int usable(struct obj *o, size_t i, const struct symref *r)
{
    const Elf64_Sym *s = &o->symtab[i];
    int bind = ELF64_ST_BIND(s->st_info), type = ELF64_ST_TYPE(s->st_info);

    if (s->st_shndx == SHN_UNDEF || bind == STB_LOCAL || (!s->st_value && type != STT_TLS && s->st_shndx != SHN_ABS))
        return 0;
    if (!rt_streq(o->strtab + s->st_name, r->name))
        return 0;
    return !o->versym || (o->versym[i] & 0x7fff) == 1 || version_fits(o, o->versym[i], r->version);
}

const Elf64_Sym *sym_in(struct obj *o, const struct symref *r)
{
    if (!o->symtab || !o->strtab)
        return NULL;
    if (o->gnu_hash) {
        const uint32_t *h = o->gnu_hash, nb = h[0], off = h[1], words = h[2], shift = h[3];
        const uint64_t *bloom = (const uint64_t *)(h + 4);
        const uint32_t *buckets = (const uint32_t *)(bloom + words), *chain = buckets + nb;
        uint64_t w = bloom[(r->gnu_hash / 64) & (words - 1)];

        if (!(w >> (r->gnu_hash & 63) & 1) || !(w >> ((r->gnu_hash >> shift) & 63) & 1) || !nb)
            return NULL;
        uint32_t i = buckets[r->gnu_hash % nb];
        if (i < off)
            return NULL;
        for (;; i++) {
            uint32_t c = chain[i - off];
            if ((c | 1) == (r->gnu_hash | 1) && usable(o, i, r))
                return &o->symtab[i];
            if (c & 1)
                return NULL;
        }
    }
    if (o->hash && o->hash[0]) {
        const uint32_t *h = o->hash;
        for (uint32_t i = h[2 + r->sysv_hash % h[0]]; i && i < h[1]; i = h[2 + h[0] + i])
            if (usable(o, i, r))
                return &o->symtab[i];
    }
    return NULL;
}

struct obj **group_of(struct obj *root, size_t *n)
{
    size_t total = 0;
    struct obj **q;

    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        total++;
    q = rt_alloc((total + 1) * sizeof(*q));
    visit_stamp++;
    q[0] = root;
    root->mark = visit_stamp;
    *n = 1;
    for (size_t i = 0; i < *n; i++)
        for (size_t k = 0; k < q[i]->nneeded; k++)
            if (q[i]->needed[k]->mark != visit_stamp) {
                q[i]->needed[k]->mark = visit_stamp;
                q[(*n)++] = q[i]->needed[k];
            }
    return q;
}

int sym_lookup_group(struct obj *root, const struct symref *r, struct symdef *d)
{
    size_t n;
    struct obj **q = group_of(root, &n);
    int found = 0;

    for (size_t i = 0; i < n && !found; i++)
        if ((d->sym = sym_in(q[i], r))) {
            d->obj = q[i];
            found = 1;
        }
    rt_free(q);
    return found;
}

/* The order: the object itself if symbolic, all global objects in load order, then whatever loaded `from`. */
int sym_lookup(struct obj *from, const struct symref *r, int skip_exe, struct symdef *d)
{
    if (from && from->symbolic && (d->sym = sym_in(from, r))) {
        d->obj = from;
        return 1;
    }
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next) {
        if (!o->global || (skip_exe && o->is_exe))
            continue;
        if ((d->sym = sym_in(o, r))) {
            d->obj = o;
            return 1;
        }
    }
    if (!from || from->global)
        return 0;
    /* a local object sees the group of every dlopen'ed root whose closure holds it */
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next) {
        size_t n;
        int inside = o == from;
        if (!o->opens && o != from)
            continue;
        struct obj **q = group_of(o, &n);
        for (size_t i = 0; i < n; i++)
            inside |= q[i] == from;
        rt_free(q);
        if (inside && sym_lookup_group(o, r, d))
            return 1;
    }
    return 0;
}
