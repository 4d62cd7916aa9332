/*
 * Bring your own root: the calls that the real ld.so.1 and libc.so.1 make before main, in their order, as a static program does them.
 * Run under --rootfs. Source: the start-up sequence in illumos' usr/src/cmd/sgs/rtld (setup.c, analyze.c) and lib/libc (libc_init).
 */
#include "sys.h"

struct mmapobj_result { u64 addr, msize, fsize, offset; u32 prot, flags; };

static void run(void)
{
    struct res r, fd;
    struct mmapobj_result mr[8];
    u32 n = 8, i, hdr = 0;
    u64 st[16], lim[2], ulwp[128] = { 0 };
    struct ucontext uc;
    struct stk stack, *got = NULL;
    char buf[1024];
    u8 *heap;

    /* ld.so.1: the platform, a heap, where it and the program are */
    r = sys(139, 513, buf, 257);
    CHECK(!r.cf && same(buf, "i86pc", 6));
    r = sys(115, 0, 65536, 7, 2 | 0x100, -1L, 0);
    CHECK(!r.cf);
    heap = (u8 *)r.r1;
    heap[65535] = 1;
    EXPECT_OK(131, heap, 65536, 4, 3, 0, 0);                 /* MC_ADVISE, MADV_WILLNEED */
    r = sys(209, "/prog", buf, sizeof(buf));
    CHECK(!r.cf && r.r1 == 5 && same(buf, "/prog", 5));
    EXPECT(4096, 137, 6);                                    /* _CONFIG_PAGESIZE */
    EXPECT(0, 18, "/prog", st);
    EXPECT_ERR(2, 5, "/var/ld/64/ld.config", 0, 0);
    /* each library: stat, resolvepath, open, mmapobj, close; here the program itself stands for one that is position-independent */
    EXPECT(0, 18, "/lib/64/libtest.so.1", st);
    r = sys(209, "/lib/64/libtest.so.1", buf, sizeof(buf));
    CHECK(!r.cf && same(buf, "/lib/amd64/libtest.so.1", r.r1));
    fd = sys(5, buf, 0, 0);                                  /* resolvepath writes no NUL: the path is followed by what was there */
    buf[r.r1] = 0;
    if (fd.cf) fd = sys(5, buf, 0, 0);
    CHECK(!fd.cf);
    r = sys(127, fd.r1, 0x20000, mr, &n, 0);                 /* MMOBJ_INTERPRET */
    CHECK(!r.cf && n >= 1);
    for (i = 0; i < n && i < 8; i++)
        if ((mr[i].flags & 0xffff) == 2) {                   /* MR_HDR_ELF */
            hdr++;
            CHECK(same((void *)mr[i].addr, "\177ELF", 4));
        }
    CHECK_EQ(hdr, 1);
    EXPECT(0, 6, fd.r1);
    n = 0;
    fd = sys(5, "/lib/64/libtest.so.1", 0, 0);
    EXPECT_ERR(7, 127, fd.r1, 0x20000, mr, &n, 0);           /* E2BIG, and how many it takes */
    CHECK(n >= 1);
    EXPECT(0, 6, fd.r1);
    r = sys(115, 0x200000, 0x200000, 3, 2 | 0x100 | 0x200, -1L, 0);   /* MAP_ALIGN */
    CHECK(!r.cf && !(r.r1 & 0x1fffff));
    EXPECT(0, 116, r.r1, 4096, 5);
    /* libc_init */
    memset(&uc, 0, sizeof(uc));
    uc.flags = 15;
    EXPECT(0, 100, 0, &uc);
    CHECK(uc.g[RSP] != 0 && uc.stack.size != 0);
    EXPECT(0, 129, 3, lim);
    CHECK(!sys(20).cf);
    ulwp[0] = (u64)ulwp;                                     /* the thread structure, itself in its first word */
    EXPECT(0, 166, 0, 0, ulwp);
    {
        u64 self, base = 0;
        __asm__ volatile("movq %%fs:0, %0" : "=r"(self));
        CHECK_EQ(self, (u64)ulwp);
        EXPECT(0, 166, 1, 0, &base);
        CHECK_EQ(base, (u64)ulwp);
    }
    memset(&stack, 0, sizeof(stack));
    stack.sp = uc.stack.sp;
    stack.size = uc.stack.size;
    EXPECT(0, 100, 3, &stack);                               /* setustack, getustack */
    EXPECT(0, 100, 2, &got);
    CHECK_EQ((u64)got, (u64)&stack);
    EXPECT_OK(165, 3, ~0u, ~0u, 0x1ff, 0);                   /* all blocked, then none */
    EXPECT_OK(165, 3, 0, 0, 0, 0);
    EXPECT(4096, 137, 6);
    CHECK(!sys(82, 5, 0, 0, 0, 0, 0).cf);                    /* issetugid */
    CHECK(!sys(227, 6, 0).cf);                               /* zone(lookup) */
    r = sys(206);                                            /* schedctl may be refused, with an errno libc takes for "none" */
    CHECK(!r.cf || r.r1 == 48 || r.r1 == 122 || r.r1 == 12);
    EXPECT_ERR(2, 5, "/var/run/name_service_door", 0, 0);
    /* main */
    EXPECT_OK(28, 1, st);
    r = sys(54, 1, 0x5401, buf);
    CHECK(!r.cf || r.r1 == 25);                              /* TCGETA: a terminal, or ENOTTY */
}
