/* mmap(2), munmap, mprotect, brk, msync, mincore, mlock, memfd. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096UL
static int dies_with(void (*fn)(void *), void *arg)
{
    int st;
    pid_t k = fork();
    CHECK(k >= 0);
    if (!k) {
        fn(arg);
        _exit(0);
    }
    CHECK(waitpid(k, &st, 0) == k);
    return WIFSIGNALED(st) ? WTERMSIG(st) : 0;
}
static void poke(void *p) { *(volatile char *)p = 1; }
static void peek(void *p) { (void)*(volatile char *)p; }

static void anonymous(void)
{
    char *p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && p[0] == 0 && p[4 * P - 1] == 0);
    memset(p, 7, 4 * P);
    CHECK(munmap(p + P, P) == 0 && dies_with(peek, p + P) == SIGSEGV && p[2 * P] == 7);
    CHECK(mprotect(p, P, PROT_READ) == 0 && dies_with(poke, p) == SIGSEGV && dies_with(peek, p) == 0);
    CHECK_ERR(mprotect(p, 4 * P, PROT_READ), ENOMEM);
    CHECK_ERR(mprotect(p + 1, P, PROT_READ), EINVAL);
    CHECK(mmap(p + P, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + P && p[P] == 0);
    CHECK(mmap(p, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    CHECK(munmap(p, 4 * P) == 0 && munmap(p, 4 * P) == 0);
}

static void arguments(void)
{
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, P, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, P, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    CHECK(mmap(NULL, 1UL << 50, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK((void *)syscall(SYS_mmap, 0, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1) == MAP_FAILED && errno == EINVAL);
    CHECK_ERR(munmap((void *)1, P), EINVAL);
    CHECK_ERR(munmap(NULL, 0), EINVAL);
}

static void shared_file(void)
{
    int fd = memfd_create("m", MFD_CLOEXEC), st;
    char b;
    CHECK(fd >= 0 && ftruncate(fd, 2 * (off_t)P) == 0);
    char *s = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(s != MAP_FAILED && q != MAP_FAILED);
    s[10] = 'a';
    CHECK(q[10] == 'a' && pread(fd, &b, 1, 10) == 1 && b == 'a');
    q[10] = 'b';
    CHECK(s[10] == 'a');
    CHECK(pwrite(fd, "z", 1, 20) == 1 && s[20] == 'z');
    pid_t k = fork();
    if (!k) {
        s[11] = 'c';
        q[11] = 'd';
        _exit(0);
    }
    CHECK(waitpid(k, &st, 0) == k && s[11] == 'c' && q[11] == 0 + q[11] && q[11] != 'd');
    CHECK(msync(s, 2 * P, MS_SYNC) == 0);
    CHECK_ERR(msync(s, P, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK(ftruncate(fd, (off_t)P) == 0 && dies_with(peek, s + P) == SIGBUS);
    CHECK(munmap(s, 2 * P) == 0 && munmap(q, 2 * P) == 0 && close(fd) == 0);
}

static void breaks(void)
{
    char *b = sbrk(0);
    CHECK(sbrk(3 * (intptr_t)P) == b);
    b[2 * P] = 1;
    CHECK(sbrk(-3 * (intptr_t)P) == b + 3 * P && sbrk(0) == b);
    CHECK(syscall(SYS_brk, 0) == (long)b);
}

/* Pages of a file count though this mapping never touched them. */
static void mincore_of_file(void)
{
    unsigned char v[4];
    int fd = memfd_create("m", 0);
    CHECK(fd >= 0 && ftruncate(fd, 4 * P) == 0 && pwrite(fd, "x", 1, P) == 1);
    char *shared = mmap(NULL, 4 * P, PROT_READ, MAP_SHARED, fd, 0), *own = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(shared != MAP_FAILED && own != MAP_FAILED);
    CHECK(mincore(shared, 4 * P, v) == 0 && !(v[0] & 1) && (v[1] & 1) && !(v[2] & 1));
    CHECK(mincore(own, 4 * P, v) == 0 && !(v[0] & 1) && (v[1] & 1) && !(v[2] & 1));
    CHECK(munmap(shared, 4 * P) == 0 && munmap(own, 4 * P) == 0 && close(fd) == 0);
}

static void residency(void)
{
    unsigned char v[3];
    char *p = mmap(NULL, 3 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[P] = 1;
    CHECK(mincore(p, 3 * P, v) == 0 && !(v[0] & 1) && (v[1] & 1) && !(v[2] & 1));
    CHECK_ERR(mincore(p + 1, P, v), EINVAL);
    mincore_of_file();
    CHECK(mlock(p, P) == 0 && munlock(p, P) == 0);
    CHECK(munmap(p, 3 * P) == 0);
    CHECK_ERR(mincore(p, P, v), ENOMEM);
    CHECK_ERR(syscall(SYS_mlock2, p, P, 2), EINVAL);
}

/* The lines of one mapping in smaps. */
static const char *smaps(const void *at)
{
    static char text[1 << 18];
    char want[32];
    snprintf(want, sizeof(want), "%lx-", (unsigned long)at);
    FILE *f = fopen("/proc/self/smaps", "r");
    CHECK(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = 0;
    char *p = strstr(text, want), *end = p ? strstr(p, "VmFlags:") : NULL;
    CHECK(end);
    end[strcspn(end, "\n")] = 0;
    return p;
}

/* Pages that nobody else maps are private, though the mapping is shared. */
static void shown(void)
{
    char name[] = "/tmp/mmap-smaps-XXXXXX";
    char *p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 1, 2 * P);
    const char *s = smaps(p);
    CHECK(strstr(s, "Rss:                   8 kB") && strstr(s, "Private_Dirty:         8 kB") && strstr(s, "Shared_Dirty:          0 kB"));
    CHECK(strstr(s, "Anonymous:             0 kB") && strstr(s, " sh ") && strstr(s, " ms ") && strstr(s, " mw "));
    int fd = mkstemp(name), ro;
    CHECK(fd >= 0 && ftruncate(fd, P) == 0 && (ro = open(name, O_RDONLY)) >= 0 && unlink(name) == 0);
    p = mmap(NULL, P, PROT_READ, MAP_SHARED, ro, 0);
    CHECK(p != MAP_FAILED && *(volatile char *)p == 0);
    s = smaps(p);
    CHECK(strstr(s, "Shared_Clean:          0 kB") && strstr(s, " ms ") && !strstr(s, " sh ") && !strstr(s, " mw "));
    close(fd);
    close(ro);
}

TEST_MAIN(CASE(anonymous), CASE(arguments), CASE(shared_file), CASE(breaks), CASE(residency), CASE(shown))
