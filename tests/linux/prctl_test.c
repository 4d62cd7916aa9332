/* prctl(2), arch_prctl(2), getrandom(2). */
#include "check.h"
#include <asm/prctl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void names(void)
{
    char n[16];
    CHECK(prctl(PR_SET_NAME, "a very long thread name") == 0);
    CHECK(prctl(PR_GET_NAME, n) == 0 && !strcmp(n, "a very long thr"));
    CHECK_ERR(prctl(PR_SET_NAME, 8), EFAULT);
}

static void flags(void)
{
    int v = -1;
    CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_GET_PDEATHSIG, &v) == 0 && v == SIGUSR1);
    CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
    CHECK_ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK_ERR(prctl(PR_SET_DUMPABLE, 3), EINVAL);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &v) == 0 && v == 1);
    CHECK(prctl(PR_SET_TIMERSLACK, 12345) == 0 && prctl(PR_GET_TIMERSLACK) == 12345);
    CHECK(prctl(PR_CAPBSET_READ, 0) >= 0);
    CHECK_ERR(prctl(PR_CAPBSET_READ, 63), EINVAL);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, 0) == 0);
    CHECK_ERR(prctl(PR_CAP_AMBIENT, 99, 0, 0, 0), EINVAL);
    CHECK_ERR(prctl(12345, 0, 0, 0, 0), EINVAL);
}

static void orphans_come_to_a_subreaper(void)
{
    int p[2], st;
    pid_t grandchild, k;
    CHECK(pipe(p) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    if (!(k = fork())) {
        pid_t g = fork();
        if (!g) {
            usleep(30000);
            _exit(5);
        }
        if (write(p[1], &g, sizeof(g)) != sizeof(g)) _exit(1);
        _exit(0);
    }
    CHECK(read(p[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
    CHECK(waitpid(k, &st, 0) == k && waitpid(grandchild, &st, 0) == grandchild && WEXITSTATUS(st) == 5);
}

static void bases(void)
{
    unsigned long fs = 0, gs = 1;
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1234000) == 0);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == 0x1234000);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
    CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, 0x8000000000000000), EPERM);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
}

static void random_bytes(void)
{
    char a[32], b[32];
    CHECK(getrandom(a, 32, 0) == 32 && getrandom(b, 32, GRND_NONBLOCK) == 32 && memcmp(a, b, 32));
    CHECK_ERR(getrandom(a, 32, 0x100), EINVAL);
    CHECK_ERR(syscall(SYS_getrandom, 8, 32, 0), EFAULT);
}

TEST_MAIN(CASE(names), CASE(flags), CASE(orphans_come_to_a_subreaper), CASE(bases), CASE(random_bytes))
