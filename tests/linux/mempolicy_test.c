/* set_mempolicy(2), get_mempolicy(2), mbind(2), on node 0, which every machine has. */
#include "check.h"

#include <linux/mempolicy.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096UL
#define BITS 1024UL

struct nodes { uint64_t w[BITS / 64]; };
static const struct nodes node0 = { { 1 } }, none;

static long set(int mode, const struct nodes *n) { return syscall(SYS_set_mempolicy, mode, n, BITS); }
static long get(int *mode, struct nodes *n, void *addr, unsigned long flags)
{
    return syscall(SYS_get_mempolicy, mode, n, n ? BITS : 0, addr, flags);
}
static long bind_to(void *p, size_t len, int mode, const struct nodes *n, unsigned flags)
{
    return syscall(SYS_mbind, p, len, mode, n, BITS, flags);
}

static void expect(void *addr, unsigned long flags, int mode, uint64_t nodes)
{
    struct nodes n;
    int m = -1;

    memset(&n, 0xff, sizeof n);
    CHECK(get(&m, &n, addr, flags) == 0);
    CHECK(m == mode && n.w[0] == nodes && n.w[1] == 0 && n.w[BITS / 64 - 1] == 0);
}

static void of_the_thread(void)
{
    expect(NULL, 0, MPOL_DEFAULT, 0);
    CHECK(set(MPOL_BIND, &node0) == 0);
    expect(NULL, 0, MPOL_BIND, 1);
    CHECK(set(MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, &node0) == 0);
    expect(NULL, 0, MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, 1);
    CHECK(set(MPOL_PREFERRED, &node0) == 0);
    expect(NULL, 0, MPOL_PREFERRED, 1);
    pid_t pid = fork();
    if (!pid) {
        expect(NULL, 0, MPOL_PREFERRED, 1);
        CHECK(set(MPOL_DEFAULT, NULL) == 0);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    expect(NULL, 0, MPOL_PREFERRED, 1);
    CHECK(set(MPOL_PREFERRED, &none) == 0);
    expect(NULL, 0, MPOL_LOCAL, 0);
    CHECK(set(MPOL_DEFAULT, &none) == 0);
    expect(NULL, 0, MPOL_DEFAULT, 0);
}

static void wrong_policies(void)
{
    CHECK_ERR(set(99, &node0), EINVAL);
    CHECK_ERR(set(MPOL_DEFAULT, &node0), EINVAL);
    CHECK_ERR(set(MPOL_BIND, &none), EINVAL);
    CHECK_ERR(set(MPOL_BIND, NULL), EINVAL);
    CHECK_ERR(set(MPOL_INTERLEAVE, &none), EINVAL);
    CHECK_ERR(set(MPOL_LOCAL, &node0), EINVAL);
    CHECK_ERR(set(MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, &node0), EINVAL);
    CHECK_ERR(set(MPOL_PREFERRED | MPOL_F_STATIC_NODES, &none), EINVAL);
    CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_BIND, &node0, 0), EINVAL); /* one less than none */
    CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_BIND, &node0, 1), EINVAL);
    CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_BIND, (void *)8, BITS), EFAULT);
    expect(NULL, 0, MPOL_DEFAULT, 0);
}

static void asking(void)
{
    struct nodes n;
    int m = -1, here;

    CHECK(get(&m, &n, NULL, MPOL_F_MEMS_ALLOWED) == 0 && n.w[0] & 1);
    CHECK_ERR(get(&m, NULL, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_NODE), EINVAL);
    CHECK_ERR(get(&m, NULL, NULL, 8), EINVAL);
    CHECK_ERR(get(&m, NULL, &here, 0), EINVAL);
    CHECK_ERR(get(&m, NULL, NULL, MPOL_F_NODE), EINVAL);
    CHECK(set(MPOL_INTERLEAVE, &node0) == 0);
    CHECK(get(&m, NULL, NULL, MPOL_F_NODE) == 0 && m == 0);
    CHECK(set(MPOL_DEFAULT, NULL) == 0);
    CHECK(get(&m, NULL, &here, MPOL_F_ADDR | MPOL_F_NODE) == 0 && m >= 0);
    CHECK_ERR(get(&m, NULL, (void *)-1, MPOL_F_ADDR), EFAULT);
    CHECK_ERR(get((int *)8, NULL, NULL, 0), EFAULT);
    CHECK(get(NULL, NULL, NULL, 0) == 0);
}

static void of_mappings(void)
{
    char *p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    CHECK(set(MPOL_PREFERRED, &node0) == 0);
    expect(p, MPOL_F_ADDR, MPOL_DEFAULT, 0);
    CHECK(bind_to(p + P, 2 * P, MPOL_BIND, &node0, 0) == 0);
    expect(p, MPOL_F_ADDR, MPOL_DEFAULT, 0);
    expect(p + P, MPOL_F_ADDR, MPOL_BIND, 1);
    expect(p + 2 * P + 17, MPOL_F_ADDR, MPOL_BIND, 1);
    expect(p + 3 * P, MPOL_F_ADDR, MPOL_DEFAULT, 0);
    pid_t pid = fork();
    if (!pid) {
        expect(p + P, MPOL_F_ADDR, MPOL_BIND, 1);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(mprotect(p, 4 * P, PROT_READ) == 0);
    expect(p + P, MPOL_F_ADDR, MPOL_BIND, 1);
    CHECK(bind_to(p, 4 * P, MPOL_DEFAULT, NULL, 0) == 0);
    expect(p + P, MPOL_F_ADDR, MPOL_DEFAULT, 0);
    CHECK_ERR(bind_to(p + 1, P, MPOL_BIND, &node0, 0), EINVAL);
    CHECK_ERR(bind_to(p, P, MPOL_BIND, &node0, 64), EINVAL);
    CHECK_ERR(bind_to(p, P, MPOL_BIND, &none, 0), EINVAL);
    CHECK(bind_to(p, 0, MPOL_BIND, &node0, 0) == 0);
    CHECK(munmap(p + P, P) == 0);
    CHECK_ERR(bind_to(p, 4 * P, MPOL_BIND, &node0, 0), EFAULT);
    CHECK(set(MPOL_DEFAULT, NULL) == 0);
}

TEST_MAIN(CASE(of_the_thread), CASE(wrong_policies), CASE(asking), CASE(of_mappings))
