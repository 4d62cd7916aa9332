/*
 * Threads of one address space at once: guests that fault, system calls that copy, forks, mappings that come and go, a
 * truncation. Nothing may hang, crash or leak; run under ThreadSanitizer it also says whether a lock is missing.
 */
#include "tests/unit/mm_fake.h"

#include <pthread.h>

#define BASE 0x20000000ULL
#define PAGES 256u

static struct mm *mm;
static struct fake_obj obj;
static u32 stop_word;

static gaddr_t pick(unsigned *seed) { return BASE + (u64)(rand_r(seed) % PAGES) * GPAGE_SIZE + 64 * (rand_r(seed) % 60); }

static void *faulter(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&stop_word)) {
        struct mm_fault_result r;
        mm_fault(mm, pick(&seed), (u8)(rand_r(&seed) % 4), 0, atomic_load(&mm->map_gen), &r);
    }
    return NULL;
}

static void *copier(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    static _Thread_local u8 buf[20000];
    current = &test_task;
    while (!atomic_load(&stop_word)) {
        u32 w;
        mm_copy_out(mm, pick(&seed), buf, (size_t)rand_r(&seed) % sizeof(buf));
        mm_copy_in(mm, buf, pick(&seed), (size_t)rand_r(&seed) % sizeof(buf));
        if (!user_rmw32(pick(&seed), USER_RMW_ADD, 1, &w)) continue;
    }
    return NULL;
}

static void *mapper(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    current = &test_task;
    for (int i = 0; i < 1500; i++) {
        gaddr_t a = gpage_down(pick(&seed));
        u64 len = (1 + (u64)rand_r(&seed) % 40) * GPAGE_SIZE;
        switch (rand_r(&seed) % 6) {
        case 0: mm_unmap(mm, a, len); break;
        case 1: map_anon(mm, a, len, RW, MAP_FIXED); break;
        case 2: map_obj(mm, a, MIN(len, OBJ_PAGES * GPAGE_SIZE), RW, MAP_FIXED | MAP_SHARED, &obj, 0); break;
        case 3: mm_protect(mm, a, len, rand_r(&seed) & 1 ? PROT_READ : RW, 0); break;
        case 4: mappable_unmap(&obj.map, 0, 20, false); break;
        default: {
            struct mm *c;
            if (mm_fork(mm, &c)) break;
            mm_copy_out(c, a, "x", 1);
            mm_put(c);
        }
        }
    }
    return NULL;
}

static void all_at_once(void **state UNUSED)
{
    u64 before = memfile_allocated();
    fake_obj_init(&obj, false);
    for (unsigned i = 0; i < OBJ_PAGES; i++) obj.pages[i] = memfile_alloc(1);
    mm = mm_new();
    test_task.mm = mm;
    assert_int_equal(map_anon(mm, BASE, PAGES * GPAGE_SIZE, RW, MAP_FIXED), BASE);
    pthread_t t[6];
    void *(*const bodies[6])(void *) = { mapper, mapper, faulter, faulter, copier, copier };
    for (uintptr_t i = 0; i < 6; i++) assert_int_equal(pthread_create(&t[i], NULL, bodies[i], (void *)(i + 1)), 0);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    atomic_store(&stop_word, 1);
    for (int i = 2; i < 6; i++) pthread_join(t[i], NULL);
    check_cache(mm);
    mm_put(mm);
    test_task.mm = NULL;
    fake_obj_fini(&obj);
    assert_int_equal(memfile_allocated(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_at_once) };
    return cmocka_run_group_tests(tests, fake_setup, NULL);
}
