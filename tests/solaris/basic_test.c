/* Entry conventions. Source: SYS.h of illumos' libc (carry, two results), sys/trap.h (fast traps), nosys.c (SIGSYS). */
#include "sys.h"

static volatile int sigsys;
static void on_sigsys(int sig, struct siginfo *si, struct ucontext *uc)
{
    sigsys = sig;
    CHECK_EQ(si->signo, 12);
    CHECK(uc->g[RFL] & 1);            /* the call has failed already ... */
    CHECK_EQ(uc->g[RAX], 89);         /* ... with ENOSYS */
    back(uc);
}

static u64 fast_trap(u32 fn, u64 *rdx)
{
    u64 a = fn, d = 77;
    __asm__ volatile("int $0xd2" : "+a"(a), "+d"(d) : : "memory", "cc");
    if (rdx) *rdx = d;
    return a;
}

static void run(void)
{
    struct res r;
    struct ts ts;
    u64 d, t1, t2;

    CHECK_EQ((u64)initial_sp & 15, 0);
    CHECK_EQ(initial_sp[0], 1);                       /* argc */
    /* A static ET_EXEC has no auxiliary vector: after the environment's NULL come strings (elf.c). */
    r = sys(20);
    CHECK(!r.cf && (s64)r.r1 > 0);
    r = sys(24);
    CHECK(!r.cf && r.r1 == r.r2);                     /* ruid and euid */
    EXPECT_ERR(9, 4, -1, "x", 1);                     /* EBADF */
    EXPECT_ERR(14, 4, 1, 8, 1);                       /* EFAULT */
    EXPECT_ERR(2, 5, "/nonexistent", 0, 0);           /* ENOENT */
    /* carry set before the call must not stay */
    __asm__ volatile("stc");
    r = sys(13);
    CHECK(!r.cf);
    /* the other instruction */
    {
        u64 a = 20;
        u8 cf;
        __asm__ volatile("stc; int $0x91; setc %1" : "+a"(a), "=r"(cf) : : "rdx", "memory", "cc");
        CHECK_EQ(a, sys(20).r1);
        CHECK(!cf);
        a = 6;
        __asm__ volatile("int $0x91; setc %1" : "+a"(a), "=r"(cf) : "D"(-1L) : "rdx", "memory", "cc");
        CHECK_EQ(a, 9);
        CHECK(cf);
    }
    t1 = fast_trap(3, &d);
    CHECK_EQ(d, 77);
    t2 = fast_trap(3, NULL);
    CHECK(t2 >= t1 && t2 - t1 < 10000000000UL);
    EXPECT(0, 191, 4, &ts);
    CHECK(ts.sec * 1000000000L + ts.nsec >= (s64)t2);
    t1 = fast_trap(5, &d);
    CHECK(d < 1000000000);
    CHECK(t1 - sys(13).r1 + 2 <= 4);
    fast_trap(6, &d);
    CHECK_EQ(d, 0);
    (void)fast_trap(4, NULL);
    /* numbers that are no calls */
    set_handler(12, on_sigsys, 0);
    EXPECT_ERR(89, 0);
    CHECK_EQ(sigsys, 12);
    sigsys = 0;
    EXPECT_ERR(89, 9999);
    CHECK_EQ(sigsys, 12);
}
