/*
 * ld.so.1: from the kernel's first instruction to the program's. The program must find the stack exactly as the kernel
 * left it (Go reads argc from there), %fs set up, libc initialised, and the address of the fini runner in %rdx.
 */
#include "rtld.h"
#include <errno.h>
#include <fcntl.h>

struct obj *rt_exe, *rt_self;
struct rtld_ops rt_ops;
struct r_debug rt_debug = { .r_version = 2 };
const char *rt_progname = "ld.so.1", *rt_execname, *rt_platform;
char **rt_envp;
const char *env_library_path;
int env_bind_now, env_debug, rt_secure, rt_running;

extern Elf64_Dyn self_dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));
extern const Elf64_Ehdr self_ehdr __asm__("__ehdr_start") __attribute__((visibility("hidden")));
void dl_set_args(int, char **) __attribute__((visibility("hidden")));
uintptr_t rt_main(uintptr_t *sp) __attribute__((visibility("hidden"), used));

__asm__(".text\n"
        ".globl _rt_boot\n"
        ".type _rt_boot,@function\n"
        "_rt_boot:\n"
        "    movq %rsp, %rbx\n"
        "    xorl %ebp, %ebp\n"
        "    movq %rsp, %rdi\n"
        "    andq $-16, %rsp\n"
        "    call rt_main\n"
        "    movq %rbx, %rsp\n"
        "    leaq rt_run_fini(%rip), %rdx\n"
        "    jmp *%rax\n"
        ".size _rt_boot, .-_rt_boot\n");

static void relocate_self(uintptr_t base)
{
    const Elf64_Rela *r = NULL;
    size_t n = 0;

    for (const Elf64_Dyn *d = self_dynamic; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_RELA)
            r = (const Elf64_Rela *)(base + d->d_un.d_ptr);
        else if (d->d_tag == DT_RELASZ)
            n = d->d_un.d_val / sizeof(*r);
    }
    for (; n; n--, r++)
        if (ELF64_R_TYPE(r->r_info) == R_X86_64_RELATIVE)
            *(uintptr_t *)(base + r->r_offset) = base + (uintptr_t)r->r_addend;
}

static __attribute__((noreturn)) void fatal(void)
{
    rt_message("%s: fatal: %s", rt_progname, rt_error);
    rt_die();
}

static const char *env_value(const char *e, const char *name)
{
    while (*name && *e == *name)
        e++, name++;
    return !*name && *e == '=' && e[1] ? e + 1 : NULL;
}

static const char *read_env(void)
{
    const char *preload = NULL, *path64 = NULL, *preload64 = NULL, *v;

    for (char **e = rt_envp; *e; e++) {
        if ((v = env_value(*e, "LD_LIBRARY_PATH")))
            env_library_path = v;
        else if ((v = env_value(*e, "LD_LIBRARY_PATH_64")))
            path64 = v;
        else if ((v = env_value(*e, "LD_PRELOAD")))
            preload = v;
        else if ((v = env_value(*e, "LD_PRELOAD_64")))
            preload64 = v;
        else if (env_value(*e, "LD_BIND_NOW") || env_value(*e, "LD_BIND_NOW_64"))
            env_bind_now = 1;
        else if (env_value(*e, "LD_DEBUG"))
            env_debug = 1;
    }
    if (path64)
        env_library_path = path64;
    return rt_secure ? NULL : preload64 ? preload64 : preload;
}

static void load_preloads(const char *list)
{
    char name[1024];

    while (list && *list) {
        size_t n = 0;
        while (*list == ' ' || *list == ':')
            list++;
        while (*list && *list != ' ' && *list != ':' && n + 1 < sizeof(name))
            name[n++] = *list++;
        name[n] = 0;
        if (n && !obj_find(name, rt_exe, 0))
            fatal();
    }
}

static struct obj *make_self(uintptr_t base)
{
    struct obj *o = rt_alloc(sizeof(*o));
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + self_ehdr.e_phoff);

    o->is_self = o->startup = o->global = o->relocated = 1;
    o->map.l_addr = base;
    o->map.l_name = (char *)"/lib/amd64/ld.so.1";
    o->map.l_ld = self_dynamic;
    o->phdr = ph;
    o->phnum = self_ehdr.e_phnum;
    o->lo = base;
    for (int i = 0; i < o->phnum; i++)
        if (ph[i].p_type == PT_LOAD && base + ph[i].p_vaddr + ph[i].p_memsz > o->hi)
            o->hi = base + ph[i].p_vaddr + ph[i].p_memsz;
    obj_parse_dynamic(o);
    o->soname = "ld.so.1";
    return o;
}

static struct obj *make_exe(const Elf64_Phdr *ph, int n, const char *name)
{
    struct obj *o = rt_alloc(sizeof(*o));

    o->is_exe = 1;
    o->phdr = ph;
    o->phnum = n;
    o->lo = ~0UL;
    o->map.l_name = rt_strdup(name);
    for (int i = 0; i < n; i++) /* ET_EXEC has PT_PHDR at its address; for a PIE the difference is the base */
        if (ph[i].p_type == PT_PHDR)
            o->map.l_addr = (uintptr_t)ph - ph[i].p_vaddr;
    for (int i = 0; i < n; i++) {
        uintptr_t a = o->map.l_addr + ph[i].p_vaddr;
        if (ph[i].p_type == PT_DYNAMIC)
            o->map.l_ld = (Elf64_Dyn *)a;
        if (ph[i].p_type != PT_LOAD)
            continue;
        if (a < o->lo)
            o->lo = a;
        if (a + ph[i].p_memsz > o->hi)
            o->hi = a + ph[i].p_memsz;
    }
    obj_parse_dynamic(o);
    return o;
}

static struct obj *open_exe(const char *path, int fd)
{
    long f = fd >= 0 ? fd : RAW(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
    struct obj *o;

    if (f < 0) {
        rt_fail("%s: open failed: %s", path, rt_strerror((int)-f));
        fatal();
    }
    if (!(o = obj_load_fd((int)f, path, NULL)))
        fatal();
    (void)RAW(SYS_close, f);
    o->is_exe = 1;
    obj_parse_dynamic(o);
    return o;
}

uintptr_t rt_main(uintptr_t *sp)
{
    uintptr_t base = (uintptr_t)&self_ehdr, aux[32] = { 0 };
    const char *execname = NULL, *platform = NULL;
    int secure = 0, execfd = -1;

    relocate_self(base);
    char **argv = (char **)sp + 1;
    char **envp = argv + *(int *)sp + 1;
    char **p = envp;
    while (*p)
        p++;
    auxv_t *av = (auxv_t *)(p + 1), *a;
    for (a = av; a->a_type != AT_NULL; a++) {
        if (a->a_type == AT_SUN_EXECNAME)
            execname = a->a_un.a_ptr;
        else if (a->a_type == AT_SUN_PLATFORM)
            platform = a->a_un.a_ptr;
        else if (a->a_type == AT_SUN_AUXFLAGS)
            secure = (int)a->a_un.a_val & 1;
        else if (a->a_type == AT_EXECFD)
            execfd = (int)a->a_un.a_val;
        else if (a->a_type < 32)
            aux[a->a_type] = (uintptr_t)a->a_un.a_val;
    }
    uintptr_t entry = aux[AT_ENTRY];
    int direct = execfd < 0 && (!aux[AT_PHDR] || entry == base + self_ehdr.e_entry);
    if (direct) { /* "ld.so.1 program args": drop our own name from the vector, in place */
        if (*(int *)sp < 2) {
            rt_message("usage: ld.so.1 PROGRAM [ARGUMENT...]");
            (void)RAW(SYS_exit, 1);
        }
        memmove(argv, argv + 1, (size_t)((char *)(a + 1) - (char *)(argv + 1)));
        (*(int *)sp)--;
        envp--;
        av = (auxv_t *)((uintptr_t *)av - 1);
        execname = argv[0];
    }
    rt_secure = secure;
    rt_envp = envp;
    if (argv[0])
        rt_progname = argv[0];
    rt_execname = execname ? execname : rt_progname;
    rt_platform = platform;
    const char *preload = read_env();

    if (direct || execfd >= 0) {
        rt_exe = open_exe(direct ? argv[0] : rt_execname, execfd);
        Elf64_Ehdr eh;
        long fd = RAW(SYS_open, rt_exe->map.l_name, O_RDONLY, 0);
        if (fd < 0 || RAW(SYS_pread, fd, &eh, sizeof(eh), 0) != sizeof(eh)) {
            rt_fail("%s: open failed", rt_exe->map.l_name);
            fatal();
        }
        (void)RAW(SYS_close, fd);
        entry = rt_exe->map.l_addr + eh.e_entry;
    } else {
        rt_exe = make_exe((const Elf64_Phdr *)aux[AT_PHDR], (int)aux[AT_PHNUM], rt_execname);
    }
    rt_exe->startup = 1;
    obj_append(rt_exe);
    load_preloads(preload);
    if (obj_load_needed(rt_head))
        fatal();
    rt_self = make_self(base);
    obj_append(rt_self);
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next) {
        o->startup = o->global = 1;
        tls_add(o);
    }
    tls_layout();
    rt_debug.r_map = &rt_head->map;
    rt_debug.r_ldbase = base;

    /* dependencies first; the executable, with its copy relocations, last */
    for (struct obj *o = rt_tail; o; o = (struct obj *)o->map.l_prev)
        if (obj_relocate(o, env_bind_now))
            fatal();
    dl_setup_ops();
    dl_set_args(*(int *)sp, argv);
    rt_ops.execname = rt_execname;
    rt_ops.platform = platform;
    rt_ops.auxv = av;

    struct symref r = { .name = "__sundog_libc_init" };
    struct symdef d = { NULL, NULL };
    sym_hash(&r);
    if (sym_lookup(NULL, &r, 0, &d)) {
        ((libc_init_fn *)(d.obj->map.l_addr + d.sym->st_value))(&rt_ops, *(int *)sp, argv, envp);
    } else { /* a program without libc still gets a thread pointer and its TLS */
        char *block = rt_alloc(rt_ops.tls_size + rt_ops.tls_align + 256);
        struct thread_head *t = (void *)(((uintptr_t)block + rt_ops.tls_size + rt_ops.tls_align) & ~(rt_ops.tls_align - 1));
        t->self = t;
        (void)tls_setup(t);
        (void)RAW(SYS_lwp_private, 0, 0, t);
    }
    rt_running = 1;
    obj_run_init(rt_head); /* the executable and, first, all it needs */
    for (struct obj *o = rt_head; o; o = (struct obj *)o->map.l_next)
        obj_run_init(o);   /* preloaded ones */
    return entry;
}
