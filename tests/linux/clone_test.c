/* fork, vfork, clone, clone3, ids, process_vm_readv, kcmp. */
#include "check.h"
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void fork_copies(void)
{
    static int x = 1;
    int st;
    pid_t me = getpid(), k = fork();
    CHECK(k >= 0);
    if (!k) {
        x = 2;
        _exit(getppid() == me && getpid() != me && x == 2 ? 7 : 1);
    }
    CHECK(waitpid(k, &st, 0) == k && WIFEXITED(st) && WEXITSTATUS(st) == 7 && x == 1);
}

static void vfork_shares(void)
{
    volatile int x = 1;
    int st;
    pid_t k = vfork();
    if (!k) {
        x = 5;
        _exit(0);
    }
    CHECK(k > 0 && x == 5);
    CHECK(waitpid(k, &st, 0) == k && st == 0);
}

static void clone3_rules(void)
{
    struct clone_args a = { .exit_signal = SIGCHLD };
    int st;
    long k = syscall(SYS_clone3, &a, sizeof(a));
    CHECK(k >= 0);
    if (!k) _exit(3);
    CHECK(waitpid((pid_t)k, &st, 0) == k && WEXITSTATUS(st) == 3);
    CHECK_ERR(syscall(SYS_clone3, &a, 8), EINVAL);
    CHECK_ERR(syscall(SYS_clone3, &a, 100000), E2BIG);
    a.exit_signal = 300;
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
    a = (struct clone_args){ .flags = CLONE_THREAD };
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
    a = (struct clone_args){ .stack = 0x10000 };
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
    CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
    CHECK_ERR(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
}

static void tids(void)
{
    int tid = 0, st;
    static int child_tid;
    long k = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &tid, &child_tid, 0);
    CHECK(k >= 0);
    if (!k) _exit(child_tid == getpid() ? 0 : 1);
    CHECK(tid == k && waitpid((pid_t)k, &st, 0) == k && st == 0);
}

static void *thread(void *p)
{
    *(pid_t *)p = (pid_t)syscall(SYS_gettid);
    return (void *)(long)getpid();
}

static void threads(void)
{
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        pid_t tid = 0;
        void *r;
        CHECK(pthread_create(&t, NULL, thread, &tid) == 0);
        CHECK(pthread_join(t, &r) == 0);
        CHECK((long)r == getpid() && tid != getpid());
    }
}

static void vm_readv(void)
{
    char src[64] = "across", dst[64] = "";
    struct iovec l = { dst, sizeof(dst) }, r = { src, sizeof(src) };
    CHECK(process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 64 && !strcmp(dst, "across"));
    CHECK_ERR(process_vm_readv(getpid(), &l, 1, &r, 1, 1), EINVAL);
    CHECK_ERR(process_vm_readv(0x3ffffff, &l, 1, &r, 1, 0), ESRCH);
    r.iov_base = (void *)8;
    CHECK_ERR(process_vm_readv(getpid(), &l, 1, &r, 1, 0), EFAULT);
}

static void tls_range(void)
{
    char stack[256];
    CHECK_ERR(syscall(SYS_clone, SIGCHLD | CLONE_SETTLS, stack + sizeof stack, NULL, NULL, 1UL << 63), EPERM);
}

TEST_MAIN(CASE(fork_copies), CASE(vfork_shares), CASE(clone3_rules), CASE(tids), CASE(threads), CASE(vm_readv), CASE(tls_range))
