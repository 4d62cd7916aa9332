/* Memory. Source: mmap(2), memcntl(2), brk(2), mincore(2), mmapobj(2) of illumos; sys/mman.h. */
#include "sys.h"

enum { SHARED = 1, PRIVATE = 2, FIXED = 0x10, NORESERVE = 0x40, ANON = 0x100, ALIGN = 0x200, NEW = (int)0x80000000 };

static volatile int faults;
static void on_segv(int sig, struct siginfo *si, struct ucontext *uc)
{
    faults++;
    uc->g[RIP] = uc->g[RBX];
    back(uc);
}
static void poke(volatile u8 *at) { __asm__ volatile("lea 1f(%%rip), %%rbx; movb $1, (%0); 1:" : : "r"(at) : "rbx", "memory"); }

static void run(void)
{
    struct res r;
    u8 *p, vec[4];
    char buf[32];

    r = sys(115, 0, 8192, 3, PRIVATE | ANON, -1L, 0);
    CHECK(!r.cf);
    p = (u8 *)r.r1;
    p[0] = p[8191] = 1;
    EXPECT_ERR(22, 115, 0, 0, 3, PRIVATE | ANON, -1L, 0);
    EXPECT_ERR(22, 115, 0, 4096, 3, ANON, -1L, 0);           /* neither SHARED nor PRIVATE */
    EXPECT_ERR(22, 115, 0, 4096, 3, PRIVATE | ANON, 0, 0);   /* ANON wants descriptor -1 */
    EXPECT_ERR(22, 115, 0, 4096, 3, PRIVATE | ANON | 0x1000, -1L, 0);
    EXPECT_ERR(22, 115, 1, 4096, 3, PRIVATE | ANON | FIXED, -1L, 0);
    EXPECT_ERR(9, 115, 0, 4096, 1, PRIVATE, 99, 0);
    EXPECT_ERR(22, 115, 0, 4096, 1, PRIVATE, 0, 7);
    EXPECT_ERR(22, 115, 12345, 4096, 3, PRIVATE | ANON | ALIGN, -1L, 0);
    r = sys(115, 0x100000, 4096, 3, PRIVATE | ANON | ALIGN, -1L, 0);
    CHECK(!r.cf && (r.r1 & 0xfffff) == 0);
    r = sys(115, p, 4096, 1, PRIVATE | ANON | FIXED | NEW, -1L, 0);
    CHECK_EQ(r.r1, (u64)p);
    CHECK_EQ(p[0], 0);
    set_handler(11, on_segv, 0);
    poke(p);
    CHECK_EQ(faults, 1);
    EXPECT(0, 116, p, 4096, 3);
    poke(p);
    CHECK_EQ(faults, 1);
    EXPECT_ERR(12, 116, 0x10000, 4096, 1);                   /* not mapped: ENOMEM */
    EXPECT_ERR(22, 116, p + 1, 4096, 1);
    EXPECT_ERR(22, 116, p, 4096, 99);
    /* MADV_DONTNEED keeps anonymous contents here */
    p[1] = 9;
    EXPECT(0, 131, p, 4096, 4, 4, 0, 0);
    CHECK_EQ(p[1], 9);
    EXPECT(0, 131, p, 4096, 4, 5, 0, 0);
    EXPECT_ERR(22, 131, p, 4096, 4, 99, 0, 0);
    EXPECT_ERR(22, 131, p, 4096, 99, 0, 0, 0);
    EXPECT_ERR(22, 131, p + 1, 4096, 4, 0, 0, 0);
    EXPECT_ERR(12, 131, 0x10000, 4096, 4, 3, 0, 0);
    EXPECT(0, 131, p, 4096, 1, 4, 0, 0);
    EXPECT(0, 114, p, 8192, vec);
    EXPECT_ERR(12, 114, 0x10000, 4096, vec);
    EXPECT(0, 117, p, 8192);
    EXPECT_ERR(22, 117, p + 1, 4096);
    EXPECT_ERR(22, 117, p, 0);
    /* brk returns 0; the memory is there */
    r = sys(17, 0);
    CHECK(!r.cf);
    {
        u8 *b = (u8 *)r.r1;
        EXPECT(0, 17, b + 10000);
        b[9999] = 1;
        EXPECT_ERR(12, 17, 4096);
        EXPECT(0, 17, b);
    }
    EXPECT(1, 73, 0, 0, 0);
    /* uucopy */
    EXPECT(0, 254, "abc", buf, 4);
    CHECK(same(buf, "abc", 4));
    EXPECT_ERR(14, 254, 8, buf, 4);
    EXPECT_ERR(14, 254, buf, 8, 4);
    EXPECT(4, 40, "xyz", buf, 32);
    CHECK(same(buf, "xyz", 4));
    EXPECT_ERR(78, 40, "xyz", buf, 2);
    EXPECT_ERR(78, 40, "xyz", buf, 0);
    EXPECT_ERR(78, 40, "xyz", buf, 3);
    EXPECT(4, 40, "xyz", buf, -1L);                          /* lengths that wrap around */
    EXPECT(4, 40, "xyz", buf, 0x7fffffffffffffff);
    EXPECT_ERR(14, 40, 8, buf, 32);
    EXPECT_ERR(9, 127, 99, 0x20000, buf, buf, 0);
    EXPECT_ERR(22, 127, 0, 1, buf, buf, 0);
}
