/* The page allocator: fresh pages are zero, runs do not overlap, threads, limit. */
#include "sentry/base/alloc.h"
#include "sentry/mm/memfile.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state) { return memfile_init(1ULL << 38); }

#define SLOTS 200
struct run { mpage_t p; u64 n; };

/* Takes and gives back runs; each page carries its owner's mark while taken. */
static void *churn(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    u64 mark = (u64)seed << 32;
    struct run runs[SLOTS] = { 0 };
    for (unsigned i = 0; i < 20000; i++) {
        struct run *r = &runs[rand_r(&seed) % SLOTS];
        if (r->p) {
            for (u64 k = 0; k < r->n; k++) {
                u64 *w = memfile_ptr(r->p + k);
                if (*w != mark + r->p) return "somebody wrote into a page of ours";
                if (memfile_refs(r->p + k) != 1) return "wrong count";
            }
            memfile_put_range(r->p, r->n);
            r->p = 0;
            continue;
        }
        r->n = rand_r(&seed) % 50 ? 1 + (u64)rand_r(&seed) % 20 : 1 + (u64)rand_r(&seed) % 1500;
        r->p = memfile_alloc(r->n);
        if (!r->p) return "no page";
        for (u64 k = 0; k < r->n; k++) {
            u64 *w = memfile_ptr(r->p + k);
            if (*w) return "a fresh page is not zero";
            *w = mark + r->p;
        }
    }
    for (unsigned i = 0; i < SLOTS; i++)
        if (runs[i].p) memfile_put_range(runs[i].p, runs[i].n);
    return NULL;
}

static void threads(void **state)
{
    pthread_t t[4];
    u64 before = memfile_allocated();
    for (uintptr_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *why;
        pthread_join(t[i], &why);
        if (why) fail_msg("%s", (char *)why);
    }
    assert_int_equal(memfile_allocated(), before);
    assert_true(memfile_resident() <= 40 << 20);     /* little is kept */
}

static void counts(void **state)
{
    mpage_t p = memfile_alloc(3);
    memset(memfile_ptr(p), 1, 3 * GPAGE_SIZE);
    memfile_get(p + 1);
    memfile_put_range(p, 3);
    assert_int_equal(memfile_refs(p), 0);
    assert_int_equal(memfile_refs(p + 1), 1);
    assert_int_equal(*(u8 *)memfile_ptr(p + 1), 1);
    assert_int_equal(*(u8 *)memfile_ptr(p + 2), 0);
    memfile_put(p + 1);
}

static void limit(void **state)
{
    memfile_set_limit(memfile_resident() + (1 << 20));
    mpage_t p = memfile_alloc(256);
    assert_true(p != MPAGE_NONE);
    mpage_t q = memfile_alloc(256);            /* none of it is touched yet: the host holds nothing */
    assert_true(q != MPAGE_NONE);
    memset(memfile_ptr(p), 1, 1 << 20);
    assert_int_equal(memfile_alloc(8), MPAGE_NONE);
    memfile_put_range(p, 256);
    mpage_t r = memfile_alloc(1);
    assert_true(r != MPAGE_NONE);
    memfile_put(r);
    memfile_put_range(q, 256);
    memfile_set_limit(0);
    assert_int_equal(memfile_alloc(1ULL << 40), MPAGE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(limit), cmocka_unit_test(threads), cmocka_unit_test(counts) };
    return cmocka_run_group_tests(tests, setup, NULL);
}
