/* libc.so.1: start-up, environment ends, exit. */
#include "impl.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct rtld_ops *rtld;
const char *progname = "";
char **environ, **___Argv;
extern char **_environ __attribute__((alias("environ")));
int __xpg4 = 0, __xpg6 = 0;
uintptr_t __stack_chk_guard;

/* musl's "C" locale object: no category has a message map */
static const void *const c_locale[6];

libc_init_fn __sundog_libc_init;
void __sundog_libc_init(struct rtld_ops *ops, int argc, char **argv, char **envp)
{
    rtld = ops;
    environ = envp;
    ___Argv = argv;
    if (argv[0])
        setprogname(argv[0]);
    thread_init_main(argc, argv, envp);
    curself()->locale = c_locale;
    ops->each_thread = thread_each;
    signal_init();
}

int *___errno(void) { return &curself()->err; }
int *__errno_location(void) { return &curself()->err; } /* what musl's functions call */
int *___errno_location(void);
int *___errno_location(void) { return &curself()->err; }
int *__h_errno(void) { return &curself()->h_err; }

long ret_errno(long r)
{
    if (!RAW_FAILED(r))
        return r;
    curself()->err = r == -ERESTART ? EINTR : (int)-r;
    return -1;
}

int ret_value(long r) { return RAW_FAILED(r) ? (r == -ERESTART ? EINTR : (int)-r) : 0; }

void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    static const char text[] = ": stack smashing detected\n";

    (void)RAW(SYS_write, 2, progname, strlen(progname));
    (void)RAW(SYS_write, 2, text, sizeof(text) - 1);
    abort();
}

/* --- exit --- */

#define EXIT_ROOM 32
struct exit_block {
    struct exit_block *next;
    int n;
    struct { void (*fn)(void *); void *arg; } f[EXIT_ROOM];
};
static struct exit_block exit_first, *exit_top = &exit_first, quick_first, *quick_top = &quick_first;
static llock_t exit_lock;

static int exit_push(struct exit_block **top, void (*fn)(void *), void *arg)
{
    llock(&exit_lock);
    if ((*top)->n == EXIT_ROOM) {
        struct exit_block *b = malloc(sizeof(*b));
        if (!b) {
            lunlock(&exit_lock);
            return -1;
        }
        b->next = *top;
        b->n = 0;
        *top = b;
    }
    (*top)->f[(*top)->n].fn = fn;
    (*top)->f[(*top)->n++].arg = arg;
    lunlock(&exit_lock);
    return 0;
}

static void exit_run(struct exit_block **top)
{
    llock(&exit_lock);
    for (;;) {
        if (!(*top)->n) {
            if (!(*top)->next)
                break;
            *top = (*top)->next;
            continue;
        }
        int i = --(*top)->n;
        void (*fn)(void *) = (*top)->f[i].fn;
        void *arg = (*top)->f[i].arg;
        lunlock(&exit_lock);
        fn(arg);
        llock(&exit_lock);
    }
    lunlock(&exit_lock);
}

int atexit(void (*fn)(void)) { return exit_push(&exit_top, (void (*)(void *))fn, NULL); }
int at_quick_exit(void (*fn)(void)) { return exit_push(&quick_top, (void (*)(void *))fn, NULL); }
int __cxa_atexit(void (*)(void *), void *, void *);
int __cxa_atexit(void (*fn)(void *), void *arg, void *dso) { return exit_push(&exit_top, fn, arg); }
void __cxa_finalize(void *);
void __cxa_finalize(void *dso) { }

void _exit(int status)
{
    for (;;)
        (void)RAW(SYS_exit, status);
}
void _Exit(int status) __attribute__((alias("_exit")));

void exit(int status)
{
    exit_run(&exit_top);
    stdio_flush_all();
    _exit(status);
}

void quick_exit(int status)
{
    exit_run(&quick_top);
    _exit(status);
}

void abort(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGABRT);
    raw_sigmask(SIG_UNBLOCK, &s, NULL);
    raise(SIGABRT);
    struct sigaction dfl = { .sa_flags = 0 };
    (void)RAW(SYS_sigaction, SIGABRT, &dfl, 0);
    raise(SIGABRT);
    for (;;)
        (void)RAW(SYS_exit, 127);
}

void __assert_c99(const char *e, const char *file, int line, const char *func)
{
    fprintf(stderr, "Assertion failed: %s, file %s, line %d, function %s\n", e, file, line, func);
    fflush(stderr);
    abort();
}

void setprogname(const char *s)
{
    const char *p = strrchr(s, '/');

    progname = p ? p + 1 : s;
}
const char *getprogname(void) { return progname; }
const char *getexecname(void) { return rtld->execname; }

/* --- the linker's functions: tail jumps, so that the linker sees who called --- */
#define TO_RTLD(name, field) \
    __asm__(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n" \
            "    movq rtld(%rip), %rax\n    jmp *" #field "(%rax)\n.size " #name ",.-" #name "\n")
TO_RTLD(__tls_get_addr, 40);
TO_RTLD(dlopen, 48);
TO_RTLD(dlsym, 56);
TO_RTLD(dlclose, 64);
TO_RTLD(dlerror, 72);
TO_RTLD(dladdr, 80);
TO_RTLD(dlinfo, 88);
TO_RTLD(dl_iterate_phdr, 96);
_Static_assert(offsetof(struct rtld_ops, tls_get_addr) == 40 && offsetof(struct rtld_ops, dlopen) == 48 &&
               offsetof(struct rtld_ops, dlsym) == 56 && offsetof(struct rtld_ops, dlclose) == 64 &&
               offsetof(struct rtld_ops, dlerror) == 72 && offsetof(struct rtld_ops, dladdr) == 80 &&
               offsetof(struct rtld_ops, dlinfo) == 88 && offsetof(struct rtld_ops, iterate) == 96, "TO_RTLD");
