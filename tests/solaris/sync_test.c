/* Process-shared synchronisation. Source: sys/synch.h and synch32.h (layouts), lwp_sobj.c. */
#include "sys.h"

static struct { u32 count; u16 type, magic; u8 flags[8]; u64 data; } sema;
static struct { u16 flag1; u8 flag2, ceiling; u16 type, magic; u32 pid, word; u64 owner; } mutex;
static struct { u8 flags[4]; u16 type, magic; u64 data; } cond;
static u32 rw[16];

static void run(void)
{
    struct ts ts = { 0, 10000000 };

    EXPECT_ERR(16, 149, &sema);                              /* EBUSY */
    EXPECT(0, 148, &sema);
    CHECK_EQ(sema.count, 1);
    EXPECT(0, 149, &sema);
    EXPECT_ERR(62, 211, &sema, &ts, 0);                      /* ETIME */
    EXPECT_ERR(14, 148, 8);
    sema.count = 0x7fffffff;
    EXPECT_ERR(79, 148, &sema);                              /* EOVERFLOW */
    EXPECT(0, 210, &mutex, 0, 0x1234);
    CHECK_EQ(mutex.word >> 24, 1);
    CHECK_EQ(mutex.owner, 0x1234);
    EXPECT_ERR(16, 251, &mutex, 0);
    ts.nsec = 10000000;
    EXPECT_ERR(62, 210, &mutex, &ts, 0);
    CHECK_EQ(mutex.word & 1, 1);                             /* a waiter was noted */
    EXPECT(0, 250, &mutex);
    CHECK_EQ(mutex.word >> 24, 0);
    EXPECT(0, 251, &mutex, 5);
    ts.nsec = 10000000;
    EXPECT_ERR(62, 170, &cond, &mutex, &ts, 0);
    CHECK_EQ(mutex.word >> 24, 0);                           /* released, for the caller to take again */
    EXPECT(0, 171, &cond);
    EXPECT(0, 172, &cond);
    EXPECT(0, 212, 0, rw, 0);
    EXPECT(0, 212, 0, rw, 0);
    CHECK_EQ(rw[0], 2);
    EXPECT_ERR(16, 212, 3, rw, 0);
    EXPECT(0, 212, 4, rw, 0);
    EXPECT(0, 212, 4, rw, 0);
    EXPECT(0, 212, 1, rw, 0);
    CHECK_EQ(rw[0], 0x40000000);
    EXPECT_ERR(16, 212, 2, rw, 0);
    EXPECT(0, 212, 4, rw, 0);
    EXPECT_ERR(1, 212, 4, rw, 0);
    EXPECT_ERR(22, 212, 9, rw, 0);
}
