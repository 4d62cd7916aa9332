/*
 * Report of a crash of our own: signal, what was being served, stack. Runs in a signal handler under the filter, with no
 * view of files: our own symbol table is mapped at start and costs nothing until it is touched.
 */
#include "sentry/base/hostcall.h"
#include "sentry/base/types.h"
#include "sentry/hostjail/hostjail.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

/* libunwind looks whether memory is there before it reads it. */
HOSTCALL(mincore, "stack walk after a crash");
HOSTCALL(msync, "stack walk after a crash");
HOSTCALL(pipe2, "stack walk after a crash");
HOSTCALL(read, "stack walk after a crash");
HOSTCALL(close, "stack walk after a crash");

const char *(*hostjail_crash_note)(void);

static const char *program = "sundog";
static struct { const u8 *file; size_t size; const Elf64_Sym *sym; size_t nsym; const char *str; size_t str_size; uintptr_t base; } self;
static volatile int reporting;

static int find_base(struct dl_phdr_info *info, size_t size UNUSED, void *arg)
{
    *(uintptr_t *)arg = info->dlpi_addr; /* the first is the program itself */
    return 1;
}

static void map_own_symbols(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (fstat(fd, &st) == 0 && (size_t)st.st_size > sizeof(Elf64_Ehdr)) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED) {
            self.file = p;
            self.size = (size_t)st.st_size;
        }
    }
    close(fd);
    if (!self.file) return;
    const Elf64_Ehdr *eh = (const void *)self.file;
    if (eh->e_shoff > self.size || eh->e_shentsize != sizeof(Elf64_Shdr) ||
        (self.size - eh->e_shoff) / sizeof(Elf64_Shdr) < eh->e_shnum)
        return;
    const Elf64_Shdr *sh = (const void *)(self.file + eh->e_shoff);
    for (unsigned i = 0; i < eh->e_shnum; i++) {
        if (sh[i].sh_type != SHT_SYMTAB || sh[i].sh_link >= eh->e_shnum) continue;
        const Elf64_Shdr *s = &sh[sh[i].sh_link];
        if (sh[i].sh_offset + sh[i].sh_size > self.size || s->sh_offset + s->sh_size > self.size) continue;
        self.sym = (const void *)(self.file + sh[i].sh_offset);
        self.nsym = sh[i].sh_size / sizeof(Elf64_Sym);
        self.str = (const char *)self.file + s->sh_offset;
        self.str_size = s->sh_size;
    }
    dl_iterate_phdr(find_base, &self.base);
}

static const char *symbol_of(uintptr_t ip, uintptr_t *off)
{
    for (size_t i = 0; i < self.nsym; i++) {
        const Elf64_Sym *s = &self.sym[i];
        if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_name >= self.str_size) continue;
        uintptr_t start = self.base + s->st_value;
        if (ip >= start && ip < start + s->st_size) {
            *off = ip - start;
            return self.str + s->st_name;
        }
    }
    return NULL;
}

static void say(const char *fmt, ...) PRINTF(1, 2);
static void say(const char *fmt, ...)
{
    /* vsnprintf with plain conversions into a local buffer takes no lock and no memory in glibc */
    char buf[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    if (n > 0 && write(2, buf, MIN((size_t)n, sizeof buf - 1)) < 0) return;
}

void hostjail_crash_report(int sig, void *siginfo, void *ucontext)
{
    siginfo_t *si = siginfo;
    if (__atomic_exchange_n(&reporting, 1, __ATOMIC_ACQ_REL)) return; /* a crash in here, or of a second thread */
    if (sig == SIGSYS) say("%s: crashed: host system call %d is not declared (HOSTCALL)\n", program, si->si_syscall);
    else say("%s: crashed: %s, code %d, address %p\n", program, strsignal(sig), si->si_code, si->si_addr);
    const char *note = hostjail_crash_note ? hostjail_crash_note() : NULL;
    if (note) say("  while serving %s\n", note);
    unw_cursor_t c;
    if (unw_init_local2(&c, ucontext, UNW_INIT_SIGNAL_FRAME) == 0) {
        int depth = 0;
        do {
            unw_word_t ip = 0;
            unw_get_reg(&c, UNW_REG_IP, &ip);
            uintptr_t off = 0;
            /* a return address may lie behind the end of a function that does not return */
            const char *name = symbol_of(ip - (depth > 0), &off);
            if (name) say("  #%d %s+0x%lx\n", depth, name, off);
            else say("  #%d %#lx (program at %#lx)\n", depth, (unsigned long)ip, self.base);
        } while (++depth < 64 && unw_step(&c) > 0);
    }
    say("  (please report this with the version and the program that was run)\n");
}

static void crash_handler(int sig, siginfo_t *si, void *uc)
{
    int saved = errno;
    hostjail_crash_report(sig, si, uc);
    errno = saved;
    /* SA_RESETHAND restored the default. A fault happens again on return; what was sent is sent again. */
    if (si->si_code <= 0 || sig == SIGSYS || sig == SIGTRAP) {
        sigset_t s;
        sigemptyset(&s);
        sigaddset(&s, sig);
        tgkill(getpid(), gettid(), sig);
        sigprocmask(SIG_UNBLOCK, &s, NULL);
    }
}

void hostjail_crash_install(const char *name)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };
    static u8 alt[65536] __attribute__((aligned(16)));   /* main thread only: its stack overflow is reported too */
    if (name) program = name;
    if (!self.file) map_own_symbols();
    strsignal(SIGSEGV); /* first use allocates */
    /* libunwind's first use sets itself up, with calls that the filter will not allow later */
    unw_context_t uc;
    unw_cursor_t c;
    unw_getcontext(&uc);
    if (unw_init_local(&c, &uc) == 0)
        while (unw_step(&c) > 0) continue;
    stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt };
    sigaltstack(&ss, NULL);
    struct sigaction sa = { .sa_sigaction = crash_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND };
    sigemptyset(&sa.sa_mask);
    for (unsigned i = 0; i < ARRAY_LEN(sigs); i++) {
        struct sigaction old;
        if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) sigaction(sigs[i], &sa, NULL);
    }
}
