/* libc.so.1: thread-specific data, once, fork handlers. */
#include "impl.h"
#include <stdlib.h>
#include <thread.h>

static struct { void (*destroy)(void *); int used; } keys[PTHREAD_KEYS_MAX];
static llock_t key_lock;

static int key_make(pthread_key_t *key, void (*destroy)(void *), int once)
{
    int r = EAGAIN;

    llock(&key_lock);
    if (once && *key != PTHREAD_ONCE_KEY_NP) {
        lunlock(&key_lock);
        return 0;
    }
    for (unsigned i = 1; i < PTHREAD_KEYS_MAX; i++)
        if (!keys[i].used) {
            keys[i].used = 1;
            keys[i].destroy = destroy;
            __atomic_store_n(key, i, __ATOMIC_RELEASE);
            r = 0;
            break;
        }
    lunlock(&key_lock);
    return r;
}
int pthread_key_create(pthread_key_t *k, void (*d)(void *)) { return key_make(k, d, 0); }
int pthread_key_create_once_np(pthread_key_t *k, void (*d)(void *)) { return key_make(k, d, 1); }
int thr_keycreate(thread_key_t *k, void (*d)(void *)) { return key_make(k, d, 0); }
int thr_keycreate_once(thread_key_t *k, void (*d)(void *)) { return key_make(k, d, 1); }

int pthread_key_delete(pthread_key_t k)
{
    if (k >= PTHREAD_KEYS_MAX || !keys[k].used)
        return EINVAL;
    /* the key's number is not used again: other threads may still hold values under it */
    keys[k].destroy = NULL;
    keys[k].used = 2;
    return 0;
}

int pthread_setspecific(pthread_key_t k, const void *v)
{
    struct ulwp *u = curself();

    if (!k || k >= PTHREAD_KEYS_MAX || keys[k].used != 1)
        return EINVAL;
    if (!u->tsd && !(u->tsd = calloc(PTHREAD_KEYS_MAX, sizeof(void *))))
        return ENOMEM;
    u->tsd[k] = (void *)v;
    return 0;
}
void *pthread_getspecific(pthread_key_t k)
{
    struct ulwp *u = curself();
    return u->tsd && k < PTHREAD_KEYS_MAX && keys[k].used == 1 ? u->tsd[k] : NULL;
}
int thr_setspecific(thread_key_t k, void *v) { return pthread_setspecific(k, v); }
int thr_getspecific(thread_key_t k, void **v)
{
    if (!k || k >= PTHREAD_KEYS_MAX || keys[k].used != 1)
        return EINVAL;
    *v = pthread_getspecific(k);
    return 0;
}

void tsd_run_destructors(struct ulwp *u)
{
    for (int again = 1, round = 0; again && round < PTHREAD_DESTRUCTOR_ITERATIONS && u->tsd; round++) {
        again = 0;
        for (unsigned i = 1; i < PTHREAD_KEYS_MAX; i++) {
            void *v = u->tsd[i];
            if (v && keys[i].used == 1 && keys[i].destroy) {
                u->tsd[i] = NULL;
                keys[i].destroy(v);
                again = 1;
            }
        }
    }
    free(u->tsd);
    u->tsd = NULL;
}

/* once: word 0 of the pad: 0 new, 1 running, 2 done */
static void once_reset(void *w)
{
    __atomic_store_n((uint32_t *)w, 0, __ATOMIC_RELEASE);
    uwake(w, 1 << 30);
}

int pthread_once(pthread_once_t *o, void (*fn)(void))
{
    uint32_t *w = (uint32_t *)o;

    if (!o || !fn)
        return EINVAL;
    while (__atomic_load_n(w, __ATOMIC_ACQUIRE) != 2) {
        uint32_t c = 0;
        if (!__atomic_compare_exchange_n(w, &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
            if (c == 1)
                (void)usleep_on(w, 1, NULL, 0);
            continue;
        }
        pthread_cleanup_push(once_reset, w);
        fn();
        pthread_cleanup_pop(0);
        __atomic_store_n(w, 2, __ATOMIC_RELEASE);
        uwake(w, 1 << 30);
    }
    return 0;
}

static struct atfork { struct atfork *next, *prev; void (*fn[3])(void); } *fork_first, *fork_last;
static llock_t fork_lock;

int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    struct atfork *a = malloc(sizeof(*a));

    if (!a)
        return ENOMEM;
    a->fn[0] = prepare;
    a->fn[1] = parent;
    a->fn[2] = child;
    a->next = NULL;
    llock(&fork_lock);
    a->prev = fork_last;
    if (fork_last)
        fork_last->next = a;
    else
        fork_first = a;
    fork_last = a;
    lunlock(&fork_lock);
    return 0;
}

/* 0 prepare, newest first; 1 parent, 2 child, oldest first */
void atfork_run(int which)
{
    if (which == 0) {
        llock(&fork_lock);
        for (struct atfork *a = fork_last; a; a = a->prev)
            if (a->fn[0])
                a->fn[0]();
        return;
    }
    for (struct atfork *a = fork_first; a; a = a->next)
        if (a->fn[which])
            a->fn[which]();
    if (which == 2)
        fork_lock.word = 0;
    else
        lunlock(&fork_lock);
}
