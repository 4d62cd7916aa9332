/*
 * Random operations on several address spaces against a simple model: one value a page. Every value is looked at both
 * as the guest (through the platform's mappings and faults) and as the sentry (usercopy).
 */
#include "tests/unit/mm_fake.h"

#define NP 128u
#define BASE 0x20000000ULL
#define NMM 4u
#define IN_PAGE 24u

enum kind { NONE, ANON, SHM, SHM_PRIVATE_RO, HOST_SHARED, HOST_PRIVATE, NKINDS };
struct mpage { enum kind kind; u32 prot; u64 off; bool own; u64 val; };
struct model { struct mm *mm; struct mpage p[NP]; };

static struct model models[NMM];
static struct fake_obj shm, host, frozen, frozen_shm;
static u64 shm_val[OBJ_PAGES], host_val[OBJ_PAGES];

static u64 frozen_val(u64 off) { return 0xf00d0000 + off; }

static u64 expected(const struct mpage *p)
{
    switch (p->kind) {
    case ANON: return p->val;
    case SHM: return shm_val[p->off];
    case HOST_SHARED: return host_val[p->off];
    default: return p->own ? p->val : frozen_val(p->off);
    }
}

static void note_write(struct mpage *p, u64 val)
{
    if (p->kind == SHM) shm_val[p->off] = val;
    else if (p->kind == HOST_SHARED) host_val[p->off] = val;
    else {
        p->own = true;
        p->val = val;
    }
}

static gaddr_t at(unsigned i) { return BASE + i * GPAGE_SIZE; }

static void check_page(struct model *m, unsigned i)
{
    struct mpage *p = &m->p[i];
    gaddr_t a = at(i) + IN_PAGE;
    u64 val = 0;
    bool may = p->kind != NONE && p->prot;
    bool copy_first = rand() & 1;
    if (copy_first) assert_int_equal(mm_copy_in(m->mm, &val, a, 8), may ? 8 : 0);
    if (copy_first && may) assert_int_equal(val, expected(p));
    assert_int_equal(guest_touch(m->mm, a, &val, false, rand() & 1), may ? 0 : SIGSEGV);
    if (may) assert_int_equal(val, expected(p));
}

static void op_write(struct model *m, unsigned i)
{
    struct mpage *p = &m->p[i];
    gaddr_t a = at(i) + IN_PAGE;
    u64 val = (u64)rand() << 20 | i;
    bool may = p->kind != NONE && (p->prot & PROT_WRITE);
    if (rand() & 1)
        assert_int_equal(mm_copy_out(m->mm, a, &val, 8), may ? 8 : 0);
    else
        assert_int_equal(guest_touch(m->mm, a, &val, true, rand() & 1), may ? 0 : SIGSEGV);
    if (may) note_write(p, val);
}

static u32 random_prot(void)
{
    static const u32 prots[] = { PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC };
    return prots[rand() % ARRAY_LEN(prots)];
}

static void op_map(struct model *m, unsigned i, unsigned n)
{
    enum kind k = (enum kind)(ANON + rand() % (NKINDS - 1));
    u32 prot = random_prot(), flags = MAP_FIXED | (rand() % 8 ? 0 : MAP_POPULATE);
    u64 off = (u64)rand() % (OBJ_PAGES - MIN(n, OBJ_PAGES - 1));
    if (k != ANON) n = (unsigned)MIN(n, OBJ_PAGES - off);
    sysret_t r;
    switch (k) {
    case SHM: r = map_obj(m->mm, at(i), n * GPAGE_SIZE, prot, MAP_SHARED | flags, &shm, off << 12); break;
    case SHM_PRIVATE_RO: r = map_obj(m->mm, at(i), n * GPAGE_SIZE, prot, MAP_PRIVATE | flags, &frozen_shm, off << 12); break;
    case HOST_SHARED: r = map_obj(m->mm, at(i), n * GPAGE_SIZE, prot, MAP_SHARED | flags, &host, off << 12); break;
    case HOST_PRIVATE: r = map_obj(m->mm, at(i), n * GPAGE_SIZE, prot, MAP_PRIVATE | flags, &frozen, off << 12); break;
    default: r = map_anon(m->mm, at(i), n * GPAGE_SIZE, prot, flags);
    }
    assert_int_equal(r, at(i));
    for (unsigned j = 0; j < n; j++) m->p[i + j] = (struct mpage){ .kind = k, .prot = prot, .off = off + j };
}

static void op_protect(struct model *m, unsigned i, unsigned n)
{
    u32 prot = random_prot();
    unsigned run = 0;
    while (run < n && m->p[i + run].kind != NONE) m->p[i + run++].prot = prot;
    assert_int_equal(mm_protect(m->mm, at(i), n * GPAGE_SIZE, prot, 0), run < n ? -ENOMEM : 0);
}

static void op_dontneed(struct model *m, unsigned i, unsigned n)
{
    bool hole = false;
    for (unsigned j = i; j < i + n; j++) {
        if (m->p[j].kind == NONE) hole = true;
        m->p[j].own = false;
        m->p[j].val = 0;
    }
    assert_int_equal(mm_madvise(m->mm, at(i), n * GPAGE_SIZE, MADV_DONTNEED), hole ? -ENOMEM : 0);
}

/* Moves what is one vma; other cases are -EFAULT and leave all as it was except the target, so only the former. */
static void op_remap(struct model *m, unsigned i, unsigned n)
{
    unsigned to = (unsigned)rand() % (NP - n + 1);
    struct vma *v = mm_find_vma_locked(m->mm, at(i));
    if (!v || v->end < at(i + n) || (to < i + n && i < to + n)) return;
    assert_int_equal(mm_remap(m->mm, at(i), n * GPAGE_SIZE, n * GPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, at(to)), at(to));
    memcpy(&m->p[to], &m->p[i], n * sizeof(struct mpage));
    memset(&m->p[i], 0, n * sizeof(struct mpage));
}

static void op_fork(struct model *m)
{
    struct model *c = &models[rand() % NMM];
    if (c == m) return;
    if (c->mm) mm_put(c->mm);
    memcpy(c->p, m->p, sizeof(c->p));
    assert_int_equal(mm_fork(m->mm, &c->mm), 0);
}

static void run(unsigned seed, unsigned fail_every, unsigned rounds)
{
    u64 before = memfile_allocated();
    srand(seed);
    memset(models, 0, sizeof(models));
    fake_obj_init(&shm, false);
    fake_obj_init(&host, true);
    fake_obj_init(&frozen, true);
    fake_obj_init(&frozen_shm, false);
    memset(shm_val, 0, sizeof(shm_val));
    memset(host_val, 0, sizeof(host_val));
    for (u64 i = 0; i < OBJ_PAGES; i++) {
        u64 val = frozen_val(i);
        assert_int_equal(pwrite(frozen.fd, &val, 8, (off_t)(i * GPAGE_SIZE + IN_PAGE)), 8);
        frozen_shm.pages[i] = memfile_alloc(1);
        memcpy((u8 *)memfile_ptr(frozen_shm.pages[i]) + IN_PAGE, &val, 8);
    }
    models[0].mm = mm_new();
    fake_fail_every = fail_every;
    for (unsigned round = 0; round < rounds; round++) {
        struct model *m = &models[rand() % NMM];
        if (!m->mm) continue;
        unsigned i = (unsigned)rand() % NP, n = 1 + (unsigned)rand() % MIN(NP - i, rand() % 8 ? 12u : NP);
        switch (rand() % 16) {
        case 0: case 1: op_map(m, i, n); break;
        case 2:
            assert_int_equal(mm_unmap(m->mm, at(i), n * GPAGE_SIZE), 0);
            memset(&m->p[i], 0, n * sizeof(struct mpage));
            break;
        case 3: op_protect(m, i, n); break;
        case 4: op_dontneed(m, i, n); break;
        case 5: op_remap(m, i, n); break;
        case 6: if (rand() % 4 == 0) op_fork(m); break;
        case 7: mappable_unmap(&shm.map, (u64)rand() % OBJ_PAGES, 5, false); break;
        default: op_write(m, i);
        }
        check_page(m, (unsigned)rand() % NP);
        if (round % 64) continue;
        for (unsigned k = 0; k < NMM; k++) {
            if (!models[k].mm) continue;
            check_cache(models[k].mm);
            for (unsigned j = 0; j < NP; j++) check_page(&models[k], j);
            check_cache(models[k].mm);
        }
    }
    for (unsigned k = 0; k < NMM; k++) mm_put(models[k].mm);
    fake_obj_fini(&shm);
    fake_obj_fini(&host);
    fake_obj_fini(&frozen);
    fake_obj_fini(&frozen_shm);
    assert_int_equal(memfile_allocated(), before);
    assert_int_equal(fake_files, 0);
}

static void model_plain(void **state UNUSED)
{
    for (unsigned seed = 1; seed <= 20; seed++) run(seed, 0, 4000);
}

static void model_host_refuses(void **state UNUSED)
{
    for (unsigned seed = 100; seed < 110; seed++) run(seed, 12, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(model_plain), cmocka_unit_test(model_host_refuses) };
    return cmocka_run_group_tests(tests, fake_setup, NULL);
}
