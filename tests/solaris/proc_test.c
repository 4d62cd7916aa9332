/* Processes and what they ask about themselves. Source: fork.c, waitid(2), siginfo.h, systeminfo(2), sysconfig.h, getrlimit(2). */
#include "sys.h"

static volatile int chld_code, chld_status, chld;
static void on_chld(int sig, struct siginfo *si, struct ucontext *uc)
{
    chld = sig;
    chld_code = si->code;
    chld_status = (s32)si->body[2];
    back(uc);
}

static void run(void)
{
    struct siginfo si;
    struct res r;
    char buf[1400];
    u64 lim[2];
    s32 pid, me = (s32)sys(20).r1;

    set_handler(18, on_chld, 4);
    r = sys(142, 0, 0);
    if (r.r2) {
        /* the child: the parent's id, and 1 beside it */
        if ((s32)r.r1 != me || r.r2 != 1 || (s32)sys(20).r2 != me) sys(1, 99);
        sys(1, 7);
    }
    pid = (s32)r.r1;
    CHECK(!r.cf && pid > me);
    do r = sys(107, 0, pid, &si, 1); while (r.cf && (r.r1 == 91 || r.r1 == 4));
    CHECK(!r.cf);
    CHECK_EQ(si.signo, 18);
    CHECK_EQ(si.code, 1);
    CHECK_EQ((s32)si.body[0], pid);
    CHECK_EQ((s32)si.body[2], 7);
    CHECK_EQ(chld, 18);
    CHECK_EQ(chld_code, 1);
    CHECK_EQ(chld_status, 7);
    EXPECT_ERR(10, 107, 7, 0, &si, 1);                       /* ECHILD */
    EXPECT_ERR(22, 107, 7, 0, &si, 0);
    EXPECT_ERR(22, 107, 99, 0, &si, 1);
    /* no SIGCHLD, killed by SIGUSR1 = 16, WNOHANG 0x40 */
    chld = 0;
    r = sys(142, 0, 1);
    if (r.r2) for (;;) sys(29);
    pid = (s32)r.r1;
    memset(&si, 1, sizeof(si));
    EXPECT(0, 107, 7, 0, &si, 0x41);
    CHECK_EQ(si.signo, 0);
    EXPECT(0, 37, pid, 16);
    EXPECT(0, 107, 0, pid, &si, 1);
    CHECK_EQ(si.code, 2);
    CHECK_EQ((s32)si.body[2], 16);
    CHECK_EQ(chld, 0);
    /* vfork */
    {
        static volatile int shared;
        r = sys(142, 2, 0);
        if (r.r2) {
            shared = 5;
            sys(1, 0);
        }
        CHECK_EQ(shared, 5);
        do r = sys(107, 7, 0, &si, 1); while (r.cf && (r.r1 == 91 || r.r1 == 4));
    }
    EXPECT_ERR(22, 142, 9, 0);
    EXPECT_ERR(22, 142, 0, 8);
    /* groups */
    EXPECT((s64)sys(39, 0).r1, 39, 4, 0);
    EXPECT_ERR(3, 39, 4, 30000);
    EXPECT_ERR(22, 39, 9);
    /* identity */
    EXPECT(6, 139, 1, buf, 100);
    CHECK(same(buf, "SunOS", 6));
    EXPECT(5, 139, 3, buf, 100);
    CHECK(same(buf, "5.11", 5));
    EXPECT(6, 139, 513, buf, 3);                             /* cut, but the whole length */
    CHECK(same(buf, "i8", 3));
    EXPECT_ERR(22, 139, 999, buf, 100);
    EXPECT_ERR(14, 139, 1, 8, 100);
    EXPECT(0, 135, buf);
    CHECK(same(buf, "SunOS", 6) && same(buf + 514, "5.11", 5) && same(buf + 1028, "i86pc", 6));
    EXPECT(4096, 137, 6);
    EXPECT(100, 137, 7);
    EXPECT_ERR(22, 137, 999);
    CHECK((s64)sys(137, 12).r1 >= 1);
    EXPECT(0, 129, 5, lim);
    CHECK(lim[0] >= 16);
    EXPECT_ERR(22, 129, 7, lim);
    EXPECT(0, 129, 6, lim);
    lim[0] = lim[1] = 0;
    EXPECT(0, 128, 4, lim);                                  /* core */
    EXPECT(0, 129, 4, lim);
    CHECK(lim[0] == 0 && lim[1] == 0);
    EXPECT(0, 227, 6, 0);                                    /* own zone */
    EXPECT(7, 227, 2, 0, 2, buf, 100);
    CHECK(same(buf, "global", 7));
    EXPECT(0, 82, 5);                                        /* issetugid */
    EXPECT_ERR(3, 74, 0, "zone.cpu-cap", 0, buf, 0, 0);      /* Go asks for it at start */
    EXPECT_ERR(9, 201, 99, 0, 0, 0, 0, 3);                   /* door_call */
    EXPECT(16, 126, buf, 16, 0);
    EXPECT_ERR(22, 126, buf, 16, 8);
    EXPECT(0, 181, 0, buf);
    EXPECT_ERR(22, 181, 99, buf);
    EXPECT(2, 189, 0, 3);
}
