/* Signals, contexts. Source: sendsig.c (frame), sys/signal.h, sigaction(2), sigprocmask(2), sys/syscall ERESTART rules. */
#include "sys.h"

static volatile int count, code, in_handler_blocked;
static volatile u64 addr;
static u8 altstack[65536] __attribute__((aligned(16)));

static void plain(int sig, struct siginfo *si, struct ucontext *uc)
{
    struct sigset now;
    u64 sp;
    __asm__("mov %%rsp, %0" : "=r"(sp));
    count++;
    code = si->code;
    sys(95, 1, 0, &now);
    in_handler_blocked = now.w[(sig - 1) >> 5] >> ((sig - 1) & 31) & 1;
    CHECK_EQ(si->signo, sig);
    CHECK_EQ((u64)uc & 15, 0);
    CHECK_EQ(uc->g[CS], 0x53);
    back(uc);
}

static void on_alt(int sig, struct siginfo *si, struct ucontext *uc)
{
    struct stk ss;
    u8 here;
    count++;
    CHECK(&here > altstack && &here < altstack + sizeof(altstack));
    sys(97, 0, &ss);
    CHECK_EQ(ss.flags, 1);                                   /* SS_ONSTACK */
    EXPECT_ERR(1, 97, &ss, 0);                               /* EPERM while in use */
    back(uc);
}

static void on_segv(int sig, struct siginfo *si, struct ucontext *uc)
{
    count++;
    code = si->code;
    addr = si->body[0];
    uc->g[RIP] = uc->g[RBX];                                 /* go on where the fault said */
    back(uc);
}

static u64 try_read(u64 at)
{
    u64 v = 1;
    __asm__ volatile("lea 1f(%%rip), %%rbx; mov (%1), %0; 1:" : "+a"(v) : "r"(at) : "rbx", "memory");
    return v;
}

static void run(void)
{
    s32 pid = (s32)sys(20).r1;
    struct sigset set, old, pend;
    struct sigact act;
    struct stk ss;
    struct res r;

    EXPECT_ERR(22, 98, 0, 0, 0);
    EXPECT_ERR(22, 98, 74, 0, 0);
    memset(&act, 0, sizeof(act));
    act.handler = plain;
    EXPECT_ERR(22, 98, 9, &act, 0);
    EXPECT_ERR(22, 98, 23, &act, 0);
    EXPECT_ERR(14, 98, 16, 8, 0);
    act.flags = 0x3001f & 0x3001d;                           /* every flag but RESETHAND */
    act.mask.w[0] = ~0u, act.mask.w[1] = ~0u, act.mask.w[2] = ~0u, act.mask.w[3] = ~0u;
    EXPECT(0, 98, 16, &act, 0);
    EXPECT(0, 98, 16, 0, &act);
    CHECK_EQ(act.flags, 0x3001d);
    CHECK_EQ(act.mask.w[0], (s64)(~0u & ~(1u << 8) & ~(1u << 22)));   /* KILL 9 and STOP 23 cannot be in it */
    CHECK_EQ(act.mask.w[2], 0x1ff);                          /* 65 .. 73 */
    CHECK_EQ(act.mask.w[3], 0);

    /* every signal with a number comes as itself */
    for (int sig = 1; sig < 74; sig++) {
        if (sig == 9 || sig == 23) continue;
        set_handler(sig, plain, 0);
        count = 0;
        EXPECT(0, 37, pid, sig);
        if (count != 1) fail_at("signal did not come", sig, count, 1);
        CHECK_EQ(code, 0);
        CHECK(in_handler_blocked);
        act.handler = 0;
        memset(&act, 0, sizeof(act));
        EXPECT(0, 98, sig, &act, 0);
    }
    set_handler(17, plain, 0);
    /* lwp_kill: code -1; sigqueue: -2 and the value */
    EXPECT(0, 163, 1, 17);
    CHECK_EQ(code, -1);
    EXPECT(0, 190, pid, 17, 1234, -2, 0);
    CHECK_EQ(code, -2);
    EXPECT_ERR(22, 37, pid, 74);
    EXPECT_ERR(3, 37, 30000, 0);
    EXPECT_ERR(3, 163, 99, 0);
    /* masks: block 1, unblock 2, set 3; pending */
    memset(&set, 0, sizeof(set));
    set.w[0] = 1u << 16;
    EXPECT(0, 95, 1, &set, &old);
    CHECK_EQ(old.w[0], 0);
    count = 0;
    EXPECT(0, 37, pid, 17);
    CHECK_EQ(count, 0);
    EXPECT(0, 99, 1, &pend);
    CHECK_EQ(pend.w[0], 1u << 16);
    EXPECT_ERR(22, 95, 4, &set, 0);
    r = sys(165, 2, 1u << 16, 0, 0, 0);                      /* lwp_sigmask by value, the old one in two registers */
    CHECK(!r.cf && (u32)r.r1 == 1u << 16 && (u32)r.r2 == 0);
    CHECK_EQ(count, 1);
    EXPECT(0, 99, 2, &pend);
    CHECK_EQ(pend.w[2], 0x1ff);
    /* the alternate stack */
    ss.sp = (u64)altstack, ss.size = 100, ss.flags = 0, ss.pad = 0;
    EXPECT_ERR(12, 97, &ss, 0);
    ss.size = sizeof(altstack);
    ss.flags = 4;
    EXPECT_ERR(22, 97, &ss, 0);
    ss.flags = 0;
    EXPECT(0, 97, &ss, 0);
    set_handler(16, on_alt, 1);
    count = 0;
    EXPECT(0, 37, pid, 16);
    CHECK_EQ(count, 1);
    EXPECT(0, 97, 0, &ss);
    CHECK_EQ(ss.flags, 0);                                   /* left again through setcontext */
    /* faults: MAPERR 1 with the address */
    set_handler(11, on_segv, 0);
    count = 0;
    try_read(0x1234);
    CHECK_EQ(count, 1);
    CHECK_EQ(code, 1);
    CHECK_EQ(addr, 0x1234);
    /* a call that a handler ends: EINTR 4, or ERESTART 91 with SA_RESTART; the kernel does not run it again */
    {
        struct { s64 i[2], v[2]; } it = { { 0, 0 }, { 0, 50000 } };
        struct ts ts = { 5, 0 }, rem = { 0, 0 };
        set_handler(14, plain, 0);
        EXPECT(0, 158, 0, &it, 0);
        EXPECT_ERR(4, 199, &ts, &rem);
        CHECK(rem.sec == 4);
        set_handler(14, plain, 4);
        EXPECT(0, 158, 0, &it, 0);
        EXPECT_ERR(91, 199, &ts, &rem);
        EXPECT(0, 158, 0, &it, 0);
        EXPECT_ERR(91, 29);                                  /* pause */
    }
    /* sigtimedwait */
    {
        struct siginfo si;
        struct ts ts = { 0, 1000000 };
        set.w[0] = 1u << 16;
        EXPECT(0, 95, 1, &set, 0);
        EXPECT_ERR(11, 144, &set, &si, &ts);
        EXPECT(0, 37, pid, 17);
        EXPECT(17, 144, &set, &si, &ts);
        CHECK_EQ(si.signo, 17);
        CHECK_EQ((u32)si.body[0], pid);
    }
    /* getcontext and setcontext: comes back a second time, with a changed register */
    {
        static struct ucontext uc __attribute__((aligned(16)));
        static volatile int turns;
        turns = 0;
        EXPECT_OK(100, 0, &uc);
        if (turns++ < 3) {
            CHECK(uc.flags == 15);
            CHECK(uc.g[RSP] != 0);
            sys(100, 1, &uc);
            CHECK(0);
        }
        CHECK_EQ(turns, 4);
        EXPECT_ERR(14, 100, 0, 8);
        EXPECT_ERR(14, 100, 1, 8);
        EXPECT_ERR(22, 100, 9, &uc);
    }
}
