/* LWPs: creation from a context, parking, joining, private base. Source: _lwp_create(2), lwp_park of libc's synch.c. */
#include "sys.h"

static u8 stack[65536] __attribute__((aligned(16)));
static volatile int ran, self_id, go;
static volatile u64 tls_seen;
static u64 tls_block[8];

__attribute__((noreturn)) static void thread(u64 arg)
{
    u64 v;
    ran = (int)arg;
    self_id = (int)sys(164).r1;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    tls_seen = v;
    /* parked until the main LWP says so */
    while (!go) sys(77, 0, 0, 0);
    sys(160);
    __builtin_unreachable();
}

static s32 start(u32 flags, u64 arg)
{
    static struct ucontext uc;
    s32 id = -1;
    EXPECT_OK(100, 0, &uc);
    uc.g[RIP] = (u64)thread;
    uc.g[RSP] = ((u64)stack + sizeof(stack)) - 8;
    uc.g[RDI] = arg;
    uc.g[FSBASE] = (u64)tls_block;
    struct res r = sys(159, &uc, flags, &id);
    if (r.cf) fail_at("lwp_create", __LINE__, (s64)r.r1, 0);
    CHECK_EQ(r.r1, id);
    return id;
}

static void run(void)
{
    struct ts ts = { 0, 20000000 };
    u64 base = 0, mine[4];
    s32 id, left = 0;

    EXPECT(1, 164);
    tls_block[0] = 0x5157;
    mine[0] = 42;
    EXPECT(0, 166, 0, 0, mine);                              /* %fs */
    EXPECT(0, 166, 1, 0, &base);
    CHECK_EQ(base, (u64)mine);
    EXPECT_ERR(22, 166, 0, 7, mine);
    EXPECT_ERR(14, 166, 1, 0, 8);
    /* park: times out with ETIME, a wake is sticky */
    EXPECT_ERR(62, 77, 0, &ts, 0);
    CHECK(ts.sec == 0 && ts.nsec == 0);                      /* time left */
    EXPECT(0, 77, 1, 1);
    ts.sec = 10;
    EXPECT(0, 77, 0, &ts, 0);
    EXPECT_ERR(3, 77, 1, 999);
    EXPECT_ERR(22, 77, 9, 0, 0);
    /* a thread */
    id = start(0x80, 7);                                     /* suspended */
    CHECK_EQ(id, 2);
    for (int i = 0; i < 1000; i++) sys(146);
    CHECK_EQ(ran, 0);
    EXPECT(0, 162, id);
    while (!tls_seen) sys(146);
    CHECK_EQ(ran, 7);
    CHECK_EQ(self_id, 2);
    CHECK_EQ(tls_seen, 0x5157);
    EXPECT_ERR(45, 167, 1, &left);                           /* oneself: EDEADLK */
    go = 1;
    EXPECT(0, 77, 1, id);
    EXPECT(0, 167, id, &left);
    CHECK_EQ(left, id);
    EXPECT_ERR(3, 167, id, &left);
    EXPECT_ERR(3, 163, id, 0);
    /* detached */
    go = 1;
    ran = 0;
    id = start(0x40, 8);
    CHECK_EQ(id, 3);
    while (ran != 8) sys(146);
    EXPECT_ERR(22, 159, 8, 0x1000, 0);
    EXPECT_ERR(14, 159, 8, 0, 0);
    EXPECT_ERR(3, 161, 77);
    EXPECT_ERR(3, 162, 77);
}
