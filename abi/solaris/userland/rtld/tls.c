/*
 * ld.so.1: thread-local storage (variant II). Objects present at start get static space below the thread pointer, the
 * executable's nearest; later ones get blocks on first use, or static space from a reserve if they insist (TPOFF64).
 */
#include "rtld.h"
#include <errno.h>

#define RESERVE 1664 /* static TLS for dlopen'ed objects */

static size_t modules, static_used, static_total, static_align = 64;

static size_t up(size_t x, size_t a) { return (x + a - 1) & ~(a - 1); }

void tls_add(struct obj *o)
{
    if (o->tls_memsz && !o->tls_mod)
        o->tls_mod = ++modules;
}

static void place(struct obj *o)
{
    /* Sun's link-editor rounds the executable's block to 16 when it fixes local-exec offsets; others to p_align */
    size_t a = o->tls_align < 16 && o->sunw ? 16 : o->tls_align;

    if (a > static_align)
        static_align = a;
    static_used = up(static_used + o->tls_memsz, a);
    o->tls_offset = static_used;
}

void tls_layout(void)
{
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        if (o->tls_mod)
            place(o);
    static_total = up(static_used + RESERVE, static_align);
    rt_ops.tls_size = static_total;
    rt_ops.tls_align = static_align;
}

static void fill(struct thread_head *t, void *arg)
{
    struct obj *o = arg;

    memcpy((char *)t - o->tls_offset, o->tls_image, o->tls_filesz);
    memset((char *)t - o->tls_offset + o->tls_filesz, 0, o->tls_memsz - o->tls_filesz);
}

/* static space for an object that came by dlopen: every thread's copy is made now */
int tls_make_static(struct obj *o)
{
    size_t off = up(static_used + o->tls_memsz, o->tls_align);

    if (!o->tls_mod || off > static_total || o->tls_align > static_align)
        return ENOMEM;
    static_used = off;
    o->tls_offset = off;
    if (rt_ops.each_thread)
        rt_ops.each_thread(fill, o);
    return 0;
}

/* A dtv: slot 0 holds the number of slots; slot m the block of module m, NULL until first use. */
static void **dtv_new(size_t slots)
{
    void **v = rt_alloc((slots + 1) * sizeof(*v));

    v[0] = (void *)slots;
    return v;
}

int tls_setup(struct thread_head *t)
{
    rt_lock();
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        if (o->tls_offset && o->tls_filesz)
            memcpy((char *)t - o->tls_offset, o->tls_image, o->tls_filesz);
    t->dtv = dtv_new(modules);
    rt_unlock();
    return 0;
}

static struct obj *module(size_t m)
{
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        if (o->tls_mod == m)
            return o;
    return NULL;
}

void tls_free(struct thread_head *t)
{
    rt_lock();
    if (t->dtv) {
        for (size_t m = 1; m <= (size_t)t->dtv[0]; m++) {
            void *b = t->dtv[m];
            /* blocks of static modules lie in the thread's own memory, just below it */
            if (b && ((char *)b >= (char *)t || (char *)b < (char *)t - static_total))
                rt_free(((void **)b)[-1]);
        }
        rt_free(t->dtv);
        t->dtv = NULL;
    }
    rt_unlock();
}

void *tls_get_addr(size_t *ti)
{
    struct thread_head *t;

    __asm__("movq %%fs:0, %0" : "=r"(t));
    if (t->dtv && ti[0] <= (size_t)t->dtv[0] && t->dtv[ti[0]])
        return (char *)t->dtv[ti[0]] + ti[1];
    rt_lock();
    if (!t->dtv || ti[0] > (size_t)t->dtv[0]) {
        void **old = t->dtv, **v = dtv_new(modules + 8);
        if (old) {
            memcpy(v + 1, old + 1, (size_t)old[0] * sizeof(*v));
            rt_free(old);
        }
        t->dtv = v;
    }
    struct obj *o = module(ti[0]);
    void *b = NULL;
    if (o && o->tls_offset) {
        b = (char *)t - o->tls_offset;
    } else if (o) {
        size_t a = o->tls_align < 16 ? 16 : o->tls_align;
        char *raw = rt_alloc(o->tls_memsz + a + 16);
        b = (void *)up((uintptr_t)raw + 8, a);
        ((void **)b)[-1] = raw;
        memcpy(b, o->tls_image, o->tls_filesz);
    }
    t->dtv[ti[0]] = b;
    rt_unlock();
    if (!b) {
        rt_message("%s: fatal: thread-local storage of an unloaded object", rt_progname);
        rt_die();
    }
    return (char *)b + ti[1];
}
