/* ld.so.1: init and fini order, and the dlopen family behind libc's entry points. */
#include "rtld.h"
#include <errno.h>

static volatile int lock_word;
static volatile uintptr_t lock_owner;
static int lock_depth;
static char err_text[1200];
static int err_set;
static int init_argc;
static char **init_argv;
static void **init_order; /* objects whose init ran, in order */
static size_t init_count, init_room;

static uintptr_t self(void)
{
    uintptr_t t = 1;

    if (rt_running)
        __asm__ volatile("movq %%fs:0, %0" : "=r"(t));
    return t;
}

void rt_lock(void)
{
    uintptr_t me = self();

    if (lock_owner == me) {
        lock_depth++;
        return;
    }
    while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE))
        (void)RAW(SYS_yield);
    lock_owner = me;
    lock_depth = 1;
}

void rt_unlock(void)
{
    if (--lock_depth)
        return;
    lock_owner = 0;
    __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
}

void obj_run_init(struct obj *o)
{
    if (o->init_started)
        return;
    o->init_started = 1;
    for (size_t i = 0; i < o->nneeded; i++)
        obj_run_init(o->needed[i]);
    if (init_count == init_room) {
        void **n = rt_alloc((init_room + 16) * sizeof(*n));
        memcpy(n, init_order, init_count * sizeof(*n));
        rt_free(init_order);
        init_order = n;
        init_room += 16;
    }
    init_order[init_count++] = o;
    if (o->is_exe)
        for (size_t i = 0; i < o->preinit_n; i++)
            ((void (*)(int, char **, char **))o->preinit_array[i])(init_argc, init_argv, rt_envp);
    /* the executable's DT_INIT and DT_FINI are its own start-up code's business (crti, crt1) */
    if (o->init && !o->is_exe && !o->is_self)
        ((void (*)(int, char **, char **))o->init)(init_argc, init_argv, rt_envp);
    for (size_t i = 0; i < o->init_n && !o->is_self; i++)
        ((void (*)(int, char **, char **))o->init_array[i])(init_argc, init_argv, rt_envp);
    o->init_done = 1;
}

static void run_fini(struct obj *o)
{
    if (!o->init_done || o->is_self)
        return;
    o->init_done = 0;
    for (size_t i = o->fini_n; i-- > 0;)
        ((void (*)(void))o->fini_array[i])();
    if (o->fini && !o->is_exe)
        ((void (*)(void))o->fini)();
}

/* handed to the program in %rdx, registered by crt1 with atexit() */
void rt_run_fini(void)
{
    rt_lock();
    while (init_count)
        run_fini(init_order[--init_count]);
    rt_unlock();
}

static void *fail(void)
{
    rt_snprintf(err_text, sizeof(err_text), "ld.so.1: %s: fatal: %s", rt_progname, rt_error);
    err_set = 1;
    return NULL;
}

static struct obj *valid(void *h)
{
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        if (o == h)
            return o;
    return NULL;
}

static void collect(struct obj *fresh_from)
{
    unsigned stamp = 0;
    (void)fresh_from;
    /* what a root reaches stays; group_of() stamps */
    struct obj *o;
    char keep;
    size_t n, total = 0, k = 0;
    for (o = rt_head; o; o = (struct obj *)o->map.l_next)
        total++;
    struct obj **kept = rt_alloc((total + 1) * sizeof(*kept)), **dead = rt_alloc((total + 1) * sizeof(*dead));
    for (o = rt_head; o; o = (struct obj *)o->map.l_next) {
        if (!o->startup && !o->opens && !o->nodelete)
            continue;
        struct obj **q = group_of(o, &n);
        for (size_t i = 0; i < n; i++) {
            keep = 0;
            for (size_t j = 0; j < stamp; j++)
                keep |= kept[j] == q[i];
            if (!keep)
                kept[stamp++] = q[i];
        }
        rt_free(q);
    }
    for (o = rt_head; o; o = (struct obj *)o->map.l_next) {
        keep = 0;
        for (size_t j = 0; j < stamp; j++)
            keep |= kept[j] == o;
        if (!keep)
            dead[k++] = o;
    }
    /* fini in reverse order of init */
    for (size_t i = init_count; i-- > 0;)
        for (size_t j = 0; j < k; j++)
            if (init_order[i] == dead[j]) {
                run_fini(dead[j]);
                memmove(init_order + i, init_order + i + 1, (init_count - i - 1) * sizeof(*init_order));
                init_count--;
                break;
            }
    for (size_t j = 0; j < k; j++) {
        o = dead[j];
        struct obj *p = (struct obj *)o->map.l_prev, *x = (struct obj *)o->map.l_next;
        if (p)
            p->map.l_next = o->map.l_next;
        if (x)
            x->map.l_prev = o->map.l_prev;
        if (rt_tail == o)
            rt_tail = p;
        obj_unmap(o);
    }
    rt_free(kept);
    rt_free(dead);
}

static void *do_dlopen(const char *name, int mode, struct obj *caller)
{
    size_t n;

    if (!name)
        return rt_exe;
    if (!(mode & (RTLD_LAZY | RTLD_NOW)) && !(mode & RTLD_NOLOAD)) {
        rt_fail("%s: invalid mode: 0x%x", name, (unsigned)mode);
        return fail();
    }
    struct obj *last = rt_tail, *o = obj_find(name, caller, mode & RTLD_NOLOAD);
    if (!o)
        return fail();
    o->opens++; /* roots the group during look-ups */
    struct obj *fresh = (struct obj *)last->map.l_next;
    if (fresh && obj_load_needed(fresh))
        goto undo;
    for (struct obj *p = fresh; p; p = (struct obj *)p->map.l_next)
        tls_add(p);
    struct obj **q = group_of(o, &n);
    if (mode & RTLD_GLOBAL)
        for (size_t i = 0; i < n; i++)
            q[i]->global = 1;
    if (mode & RTLD_NODELETE)
        o->nodelete = 1;
    rt_free(q);
    /* dependencies were appended after what needs them: relocate back to front so that copies and ifuncs see done work */
    for (struct obj *p = rt_tail; p != last; p = (struct obj *)p->map.l_prev)
        if (obj_relocate(p, (mode & RTLD_NOW) || env_bind_now))
            goto undo;
    for (struct obj *p = fresh; p; p = (struct obj *)p->map.l_next)
        obj_run_init(p);
    return o;
undo:
    fail();
    o->opens--;
    collect(fresh);
    return NULL;
}

static void *op_dlopen(const char *name, int mode)
{
    rt_lock();
    struct obj *caller = obj_at((uintptr_t)__builtin_return_address(0));
    void *h = do_dlopen(name, mode, caller ? caller : rt_exe);
    rt_unlock();
    return h;
}

static int op_dlclose(void *h)
{
    int r = 0;

    rt_lock();
    struct obj *o = valid(h);
    if (!o || (!o->opens && o != rt_exe)) {
        rt_fail("dlclose: invalid handle: 0x%lx", (unsigned long)h);
        fail();
        r = -1;
    } else if (o->opens && --o->opens == 0) {
        collect(NULL);
    }
    rt_unlock();
    return r;
}

static void *def_value(const struct symdef *d)
{
    if (ELF64_ST_TYPE(d->sym->st_info) == STT_TLS) {
        size_t ti[2] = { d->obj->tls_mod, d->sym->st_value };
        return tls_get_addr(ti);
    }
    uintptr_t v = d->sym->st_value + (d->sym->st_shndx == SHN_ABS ? 0 : d->obj->map.l_addr);
    if (ELF64_ST_TYPE(d->sym->st_info) == STT_GNU_IFUNC)
        v = ((uintptr_t(*)(void))v)();
    return (void *)v;
}

static void *op_dlsym(void *h, const char *name)
{
    struct symref r = { .name = name };
    struct symdef d = { NULL, NULL };
    void *v = NULL;
    int found = 0;

    rt_lock();
    struct obj *caller = obj_at((uintptr_t)__builtin_return_address(0));
    sym_hash(&r);
    if (h == RTLD_DEFAULT || h == RTLD_PROBE) {
        found = sym_lookup(caller, &r, 0, &d);
    } else if (h == RTLD_NEXT || h == RTLD_SELF) {
        struct obj *o = caller;
        if (o && h == RTLD_NEXT)
            o = (struct obj *)o->map.l_next;
        for (; o && !found; o = (struct obj *)o->map.l_next)
            if ((d.sym = sym_in(o, &r))) {
                d.obj = o;
                found = 1;
            }
    } else if (!valid(h)) {
        rt_fail("dlsym: invalid handle: 0x%lx", (unsigned long)h);
        fail();
        rt_unlock();
        return NULL;
    } else if (h == rt_exe) {
        found = sym_lookup(rt_exe, &r, 0, &d);
    } else {
        found = sym_lookup_group(h, &r, &d);
    }
    if (found) {
        v = def_value(&d);
    } else {
        rt_fail("%s: can't find symbol", name);
        fail();
    }
    rt_unlock();
    return v;
}

static char *op_dlerror(void)
{
    if (!err_set)
        return NULL;
    err_set = 0;
    return err_text;
}

static int op_dladdr(void *addr, void *out)
{
    Dl_info *i = out;
    uintptr_t a = (uintptr_t)addr;

    rt_lock();
    struct obj *o = obj_at(a);
    if (!o) {
        rt_unlock();
        return 0;
    }
    i->dli_fname = o->map.l_name;
    i->dli_fbase = (void *)o->lo;
    i->dli_sname = NULL;
    i->dli_saddr = NULL;
    size_t n = o->hash ? o->hash[1] : 0;
    if (!n && o->gnu_hash) { /* no count: the end of the longest chain */
        const uint32_t *h = o->gnu_hash, *b = h + 4 + 2 * h[2], *c = b + h[0];
        for (uint32_t k = 0; k < h[0]; k++)
            if (b[k] > n)
                n = b[k];
        if (n >= h[1] && h[0]) {
            while (!(c[n - h[1]] & 1))
                n++;
            n++;
        }
    }
    for (size_t k = 1; k < n; k++) {
        const Elf64_Sym *s = &o->symtab[k];
        uintptr_t v = s->st_value + o->map.l_addr;
        int t = ELF64_ST_TYPE(s->st_info);
        if (s->st_shndx == SHN_UNDEF || !s->st_value || t > STT_FUNC || v > a || v < (uintptr_t)i->dli_saddr)
            continue;
        if (s->st_size && a >= v + s->st_size)
            continue;
        i->dli_saddr = (void *)v;
        i->dli_sname = o->strtab + s->st_name;
    }
    rt_unlock();
    return 1;
}

static int op_dlinfo(void *h, int req, void *p)
{
    struct obj *o = h == RTLD_SELF ? obj_at((uintptr_t)__builtin_return_address(0)) : valid(h);

    if (!o) {
        rt_fail("dlinfo: invalid handle: 0x%lx", (unsigned long)h);
        fail();
        return -1;
    }
    switch (req) {
    case RTLD_DI_LINKMAP: *(Link_map **)p = &o->map; return 0;
    case RTLD_DI_LMID: *(long *)p = 0; return 0;
    case RTLD_DI_ORIGIN: {
        char *d = path_expand("$ORIGIN", 7, o);
        memcpy(p, d, strlen(d) + 1);
        rt_free(d);
        return 0;
    }
    case RTLD_DI_ARGSINFO: {
        Dl_argsinfo_t *a = p;
        a->dla_argc = init_argc;
        a->dla_argv = init_argv;
        a->dla_envp = rt_envp;
        a->dla_auxv = rt_ops.auxv;
        return 0;
    }
    default:
        rt_fail("dlinfo: request %d is not supported", req);
        fail();
        return -1;
    }
}

static int op_iterate(int (*fn)(void *, size_t, void *), void *arg)
{
    int r = 0;

    rt_lock();
    for (struct obj *o = rt_head; o && !r; o = (struct obj *)o->map.l_next) {
        struct dl_phdr_info i = { .dlpi_addr = o->map.l_addr, .dlpi_name = o->map.l_name, .dlpi_phdr = o->phdr,
                                  .dlpi_phnum = (Elf64_Half)o->phnum, .dlpi_adds = 1, .dlpi_tls_modid = o->tls_mod };
        r = fn(&i, sizeof(i), arg);
    }
    rt_unlock();
    return r;
}

void dl_setup_ops(void)
{
    rt_ops.version = HANDSHAKE_VERSION;
    rt_ops.tls_setup = tls_setup;
    rt_ops.tls_free = tls_free;
    rt_ops.tls_get_addr = tls_get_addr;
    rt_ops.dlopen = op_dlopen;
    rt_ops.dlsym = op_dlsym;
    rt_ops.dlclose = op_dlclose;
    rt_ops.dlerror = op_dlerror;
    rt_ops.dladdr = op_dladdr;
    rt_ops.dlinfo = op_dlinfo;
    rt_ops.iterate = op_iterate;
    rt_ops.fork_lock = rt_lock;
    rt_ops.fork_unlock = rt_unlock;
}

void dl_set_args(int argc, char **argv);
void dl_set_args(int argc, char **argv)
{
    init_argc = argc;
    init_argv = argv;
}
