/* Core files, core(5): when there is one, what is in it, who is spared. */
#include "tmpdir.h"
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char secret[64] = "written";
static struct core { unsigned char *p; size_t n; Elf64_Ehdr *eh; Elf64_Phdr *ph; } core;

static void limit(rlim_t n) { CHECK(setrlimit(RLIMIT_CORE, &(struct rlimit){ n, n }) == 0); }

/* Runs fn in a child that is to die of sig; with a core file or without. Its pid. */
static pid_t crash(void (*fn)(void), int sig, int dumped)
{
    int st;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        signal(sig, SIG_DFL);      /* a shell's background job ignores SIGQUIT */
        limit(RLIM_INFINITY);
        fn();
        _exit(0);
    }
    CHECK(waitpid(pid, &st, 0) == pid);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == sig);
    CHECK(!!WCOREDUMP(st) == dumped);
    return pid;
}

static int exists(const char *p) { return access(p, F_OK) == 0; }

static char *name_of(pid_t pid)
{
    static char b[64];
    const char *uses = get_file("/proc/sys/kernel/core_uses_pid");
    snprintf(b, sizeof(b), uses[0] == '1' ? "core.%d" : "core", pid);
    return b;
}

static void load(const char *name)
{
    struct stat st;
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
    core.n = (size_t)st.st_size;
    core.p = mmap(NULL, core.n, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(core.p != MAP_FAILED && close(fd) == 0);
    core.eh = (void *)core.p;
    core.ph = (void *)(core.p + core.eh->e_phoff);
    CHECK(!memcmp(core.eh->e_ident, ELFMAG, 4) && core.eh->e_type == ET_CORE && core.eh->e_machine == EM_X86_64);
    CHECK(core.eh->e_phnum > 3 && core.ph[0].p_type == PT_NOTE && core.ph[0].p_offset + core.ph[0].p_filesz <= core.n);
}
static void drop(const char *name) { CHECK(munmap(core.p, core.n) == 0 && unlink(name) == 0); }

/* The i-th note of a type, or NULL. */
static void *note(unsigned type, int i, size_t *len)
{
    unsigned char *p = core.p + core.ph[0].p_offset, *end = p + core.ph[0].p_filesz;
    while (p + sizeof(Elf64_Nhdr) <= end) {
        Elf64_Nhdr *h = (void *)p;
        unsigned char *d = p + sizeof(*h) + ((h->n_namesz + 3) & ~3u);
        p = d + ((h->n_descsz + 3) & ~3u);
        CHECK(p <= end);
        if (h->n_type != type || i-- > 0) continue;
        if (len) *len = h->n_descsz;
        return d;
    }
    return NULL;
}

/* What the file holds of an address; NULL: nothing. */
static void *memory(const void *addr, size_t n)
{
    for (int i = 1; i < core.eh->e_phnum; i++) {
        Elf64_Phdr *h = &core.ph[i];
        CHECK(h->p_type == PT_LOAD && h->p_filesz <= h->p_memsz && h->p_offset % 4096 == 0);
        if ((uintptr_t)addr < h->p_vaddr || (uintptr_t)addr + n > h->p_vaddr + h->p_memsz) continue;
        if ((uintptr_t)addr + n > h->p_vaddr + h->p_filesz) return NULL;
        CHECK(h->p_offset + h->p_filesz <= core.n);
        return core.p + h->p_offset + ((uintptr_t)addr - h->p_vaddr);
    }
    return NULL;
}

static void segv(void)
{
    strcpy(secret, "changed");
    *(volatile int *)(uintptr_t)0x1234 = 1;
}

static void contents(void)
{
    pid_t pid = crash(segv, SIGSEGV, 1);
    char *name = name_of(pid);
    size_t n;
    load(name);
    prstatus_t *ps = note(NT_PRSTATUS, 0, &n);
    CHECK(ps && n == sizeof(*ps) && ps->pr_cursig == SIGSEGV && ps->pr_pid == pid && ps->pr_ppid == getpid() && ps->pr_pgrp == getpgid(0));
    CHECK(!note(NT_PRSTATUS, 1, NULL));
    struct user_regs_struct *r = (void *)&ps->pr_reg;
    CHECK(r->rip >= (uintptr_t)segv && r->rip < (uintptr_t)segv + 256);
    prpsinfo_t *pi = note(NT_PRPSINFO, 0, &n);
    CHECK(pi && n == sizeof(*pi) && pi->pr_pid == pid && pi->pr_uid == getuid() && !strncmp(pi->pr_fname, "linux_core_test", 15) && pi->pr_psargs[0] && pi->pr_sname == 'R');
    siginfo_t *si = note(NT_SIGINFO, 0, &n);
    CHECK(si && n == sizeof(*si) && si->si_signo == SIGSEGV && si->si_code == SEGV_MAPERR && si->si_addr == (void *)0x1234);
    uint64_t *aux = note(NT_AUXV, 0, &n);
    CHECK(aux && n >= 64);
    for (size_t i = 0; i + 1 < n / 8 && aux[i]; i += 2)
        if (aux[i] == AT_ENTRY) CHECK(aux[i + 1] == getauxval(AT_ENTRY));
    uint64_t *files = note(NT_FILE, 0, &n);
    CHECK(files && files[0] >= 3 && files[1] == 4096);
    char exe[PATH_MAX] = "", *s = (char *)(files + 2 + 3 * files[0]);
    CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    int found = 0;
    for (uint64_t i = 0; i < files[0]; i++, s += strlen(s) + 1) {
        uint64_t *row = files + 2 + 3 * i;
        if (strcmp(s, exe)) continue;
        found += (uintptr_t)segv >= row[0] && (uintptr_t)segv < row[1];
    }
    CHECK(found == 1);
    CHECK(note(NT_FPREGSET, 0, &n) && n == 512);
    unsigned char *x = note(NT_X86_XSTATE, 0, &n);
    CHECK(x && n >= 576 && (x[464] & 3) == 3);
    CHECK(memory(secret, sizeof(secret)) && !strcmp(memory(secret, sizeof(secret)), "changed"));
    CHECK(memory((void *)r->rsp, 8));                        /* the stack */
    void *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    CHECK(memory(vdso, 64) && !memcmp(memory(vdso, 4), ELFMAG, 4));
    drop(name);
}

static void by_signal(void) { kill(getpid(), SIGQUIT); pause(); }
static void by_abort(void) { abort(); }
static void by_term(void) { raise(SIGTERM); }
static void undumpable(void) { prctl(PR_SET_DUMPABLE, 0); raise(SIGQUIT); }
static void limit_0(void) { limit(0); raise(SIGQUIT); }
static void limit_small(void) { limit(5 * 4096); raise(SIGQUIT); }

static void conditions(void)
{
    struct stat st;
    char *name = name_of(crash(by_signal, SIGQUIT, 1));
    CHECK(exists(name) && unlink(name) == 0);
    name = name_of(crash(by_abort, SIGABRT, 1));
    CHECK(exists(name) && unlink(name) == 0);
    name = name_of(crash(by_term, SIGTERM, 0));
    CHECK(!exists(name));
    name = name_of(crash(undumpable, SIGQUIT, 0));
    CHECK(!exists(name));
    name = name_of(crash(limit_0, SIGQUIT, 0));
    CHECK(!exists(name));
    name = name_of(crash(limit_small, SIGQUIT, 1));
    CHECK(stat(name, &st) == 0 && st.st_size <= 5 * 4096 && unlink(name) == 0);
    /* An older one is replaced, also one that a link shares with something else. */
    put_file("core", "old");
    CHECK(link("core", "kept") == 0);
    name = name_of(crash(by_signal, SIGQUIT, 1));
    CHECK(!strcmp(get_file("kept"), "old") && stat(name, &st) == 0 && st.st_size > 4096);
    CHECK(unlink("kept") == 0 && unlink(name) == 0);
    unlink("core");
    /* A place where nothing can be made. */
    CHECK(mkdir("core", 0700) == 0);
    if (strcmp(name, "core") == 0) crash(by_signal, SIGQUIT, 0);
    CHECK(rmdir("core") == 0);
}

#define THREADS 4
static volatile unsigned char loaded[THREADS];     /* its registers are */
static int *shared_tids;
static pthread_barrier_t ready;
static void *sleeper(void *arg)
{
    long i = (long)arg;
    shared_tids[i] = (int)syscall(SYS_gettid);
    pthread_barrier_wait(&ready);
    __asm__ volatile(
        "movq %0, %%xmm7\n movq %0, %%r15\n movb $1, %2\n"
        "1: testb $1, %1\n jnz 1b\n"
        "2: movl $34, %%eax\n syscall\n jmp 2b\n"
        : : "r"(0x7700770000000000 + i), "q"((unsigned char)(i & 1)), "m"(loaded[i]) : "rax", "rcx", "r11", "r15", "xmm7", "memory");
    return NULL;
}
static void threads_body(void)
{
    pthread_t t;
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) CHECK(pthread_create(&t, NULL, sleeper, (void *)i) == 0);
    pthread_barrier_wait(&ready);
    for (int i = 0; i < THREADS; i++)
        while (!loaded[i]) nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    raise(SIGQUIT);
}
static void threads(void)
{
    shared_tids = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_tids != MAP_FAILED);
    pid_t pid = crash(threads_body, SIGQUIT, 1);
    char *name = name_of(pid);
    load(name);
    int seen = 0;
    for (int i = 0;; i++) {
        prstatus_t *ps = note(NT_PRSTATUS, i, NULL);
        if (!ps) {
            CHECK(i == THREADS + 1);
            break;
        }
        unsigned char *fp = note(NT_FPREGSET, i, NULL);
        CHECK(fp && (i || ps->pr_pid == pid));
        for (int k = 0; k < THREADS; k++) {
            struct user_regs_struct *r = (void *)&ps->pr_reg;
            uint64_t want = 0x7700770000000000 + (uint64_t)k, xmm7;
            if (ps->pr_pid != shared_tids[k]) continue;
            memcpy(&xmm7, fp + 160 + 7 * 16, 8);
            CHECK(r->r15 == want && xmm7 == want);
            seen++;
        }
    }
    CHECK(seen == THREADS);
    drop(name);
}

static char *priv, *anon_shared, *file_shared, *spared;
static void filtered(void)
{
    strcpy(priv, "private");
    strcpy(anon_shared, "shared");
    strcpy(spared, "spared");
    CHECK(madvise(spared, 4096, MADV_DONTDUMP) == 0);
    raise(SIGQUIT);
}
static void filter_to(const char *v)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY);
    CHECK(fd >= 0 && write(fd, v, strlen(v)) == (ssize_t)strlen(v) && close(fd) == 0);
}
static void filters(void)
{
    put_file("mapped", "in a file");
    int fd = open("mapped", O_RDWR);
    priv = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    spared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    anon_shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    file_shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(fd >= 0 && priv != MAP_FAILED && spared != MAP_FAILED && anon_shared != MAP_FAILED && file_shared != MAP_FAILED);
    CHECK(!strcmp(get_file("/proc/self/coredump_filter"), "00000033\n"));
    char *name = name_of(crash(filtered, SIGQUIT, 1));
    load(name);
    CHECK(!strcmp(memory(priv, 16), "private") && !strcmp(memory(anon_shared, 16), "shared"));
    CHECK(!memory(file_shared, 16) && !memory(spared, 16));
    drop(name);
    filter_to("0x8");
    CHECK(!strcmp(get_file("/proc/self/coredump_filter"), "00000008\n"));
    name = name_of(crash(filtered, SIGQUIT, 1));
    load(name);
    CHECK(!memory(priv, 16) && !memory(anon_shared, 16) && !strcmp(memory(file_shared, 16), "in a file"));
    drop(name);
    int w = open("/proc/self/coredump_filter", O_WRONLY);
    CHECK(w >= 0);
    CHECK_ERR(write(w, "x", 1), EINVAL);
    close(w);
    filter_to("51\n");
    CHECK(unlink("mapped") == 0);
}

/* A mapping that is large and almost empty costs no more than its pages. */
static void sparse_body(void)
{
    char *p = mmap(NULL, 1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    p[(1 << 29) + 5] = 1;
    raise(SIGQUIT);
}
static void sparse(void)
{
    struct stat st;
    char *name = name_of(crash(sparse_body, SIGQUIT, 1));
    CHECK(stat(name, &st) == 0 && st.st_size > 1 << 30 && st.st_blocks < (64 << 20) / 512 && unlink(name) == 0);
}

static void set_pattern(const char *p)
{
    int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY);
    CHECK(fd >= 0 && write(fd, p, strlen(p)) == (ssize_t)strlen(p) && close(fd) == 0);
}
/* The setting is the whole machine's: only where that is our own. */
static void patterns(void)
{
    struct utsname u;
    char want[256];
    CHECK(uname(&u) == 0);
    if (!strstr(u.release, "sundog") || geteuid() != 0) return;
    set_pattern("dump-%e-%p-%s-%u-%d-%h%%%q-%f");
    CHECK(!strcmp(get_file("/proc/sys/kernel/core_pattern"), "dump-%e-%p-%s-%u-%d-%h%%%q-%f\n"));
    pid_t pid = crash(by_signal, SIGQUIT, 1);
    char comm[16];
    CHECK(prctl(PR_GET_NAME, comm) == 0);
    snprintf(want, sizeof(want), "dump-%s-%d-3-0-1-%s%%-linux_core_test", comm, pid, u.nodename);
    CHECK(exists(want) && unlink(want) == 0);
    CHECK(mkdir("cores", 0700) == 0);
    set_pattern("cores/%E");
    crash(by_signal, SIGQUIT, 1);
    char exe[PATH_MAX] = "";
    CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    for (char *c = exe; *c; c++) if (*c == '/') *c = '!';
    CHECK(chdir("cores") == 0 && exists(exe) && unlink(exe) == 0 && chdir("..") == 0 && rmdir("cores") == 0);
    int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY);
    CHECK_ERR(write(fd, "|/bin/cat %p", 12), EINVAL);
    close(fd);
    set_pattern("core");
    fd = open("/proc/sys/kernel/core_uses_pid", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "1", 1) == 1);
    char *name = name_of(crash(by_signal, SIGQUIT, 1));
    CHECK(strlen(name) > 5 && exists(name) && unlink(name) == 0 && write(fd, "0", 1) == 1 && close(fd) == 0);
}

static const struct test_case cases[] = { CASE(contents), CASE(conditions), CASE(threads), CASE(filters), CASE(sparse), CASE(patterns) };
int main(int argc, char **argv)
{
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_CORE, &r) == 0);
    if (strcmp(get_file("/proc/sys/kernel/core_pattern"), "core\n") || r.rlim_max != RLIM_INFINITY) {
        printf("skipped: core files go elsewhere here, or are not to be written\n");
        return 0;
    }
    tmpdir_enter();
    return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
