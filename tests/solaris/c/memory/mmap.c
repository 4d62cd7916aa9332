/* Source: mmap(2), mprotect(2), madvise(3C), msync(3C), mincore(2); numbers of sys/mman.h. */
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
static sigjmp_buf jb;
static volatile int code;
static void on(int s, siginfo_t *si, void *u) { code = si->si_code; siglongjmp(jb, 1); }
int main(void)
{
    char v[2]; volatile char c; struct sigaction sa;
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 8192);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *q;
    strcpy(p + 5000, "mapped");
    printf("%d\n", msync(p, 8192, MS_SYNC));
    char b[8] = "";
    pread(fd, b, 6, 5000);
    puts(b);
    q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    printf("%x %d\n", MAP_ANON, q[100]);
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on;
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &sa, NULL);
    mprotect(q, 4096, PROT_READ);
    if (!sigsetjmp(jb, 1)) *q = 1;
    printf("%d\n", code == SEGV_ACCERR);
    munmap(q, 4096);
    if (!sigsetjmp(jb, 1)) c = *(volatile char *)q;
    printf("%d\n", code == SEGV_MAPERR);
    printf("%d %d\n", mincore(p, 8192, v), mincore(q, 4096, v) && errno == ENOMEM);
    printf("%d %d\n", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANON, -1, 0) == MAP_FAILED, errno == EINVAL);
    printf("%d\n", madvise(p, 8192, MADV_WILLNEED));
    q = mmap((void *)65536, 65536, PROT_READ, MAP_PRIVATE | MAP_ANON | MAP_ALIGN, -1, 0);
    printf("%d\n", (int)((unsigned long)q % 65536));
    return 0;
}
