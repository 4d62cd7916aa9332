/* /proc as Solaris programs see it. Source: proc(5); sys/procfs.h of illumos for sizes and offsets. */
#include "sys.h"

static u8 buf[8192];

static s64 slurp(const char *path)
{
    struct res r = sys(5, path, 0, 0), n;
    if (r.cf) return -(s64)r.r1;
    memset(buf, 0xee, sizeof(buf));
    n = sys(3, r.r1, buf, sizeof(buf));
    sys(6, r.r1);
    return n.cf ? -(s64)n.r1 : (s64)n.r1;
}
static s32 i32(u64 off) { return *(s32 *)(void *)(buf + off); }
static u64 w64(u64 off) { return *(u64 *)(void *)(buf + off); }

static int listed(const char *dir, const char *name)
{
    struct res r = sys(5, dir, 0, 0), n;
    int found = 0;
    if (r.cf) return -1;
    while (!(n = sys(81, r.r1, buf, sizeof(buf))).cf && n.r1)
        for (u64 at = 0; at < n.r1; at += *(u16 *)(void *)(buf + at + 16))
            if (same(buf + at + 18, name, len(name) + 1)) found++;
    sys(6, r.r1);
    return found;
}

static void run(void)
{
    struct res id = sys(20);
    char link[256], *argv0 = (char *)initial_sp[1];
    u64 st[16];
    s64 n;

    /* psinfo_t: 416 bytes whatever the process */
    CHECK_EQ(slurp("/proc/self/psinfo"), 416);
    CHECK_EQ(i32(4), 1);                                      /* pr_nlwp */
    CHECK_EQ(i32(8), (s32)id.r1);
    CHECK_EQ(i32(12), (s32)id.r2);
    CHECK_EQ(i32(24), (s32)sys(24).r1);
    CHECK(same(buf + 136, "prog", 5));                        /* pr_fname */
    CHECK(same(buf + 152, argv0, len(argv0)));                /* pr_psargs */
    CHECK_EQ(i32(236), (s32)initial_sp[0]);
    CHECK_EQ(w64(240), (u64)(initial_sp + 1));                /* pr_argv */
    CHECK_EQ(w64(248), (u64)(initial_sp + 1 + initial_sp[0] + 1));
    CHECK_EQ(buf[256], 2);                                    /* PR_MODEL_LP64 */
    CHECK_EQ(i32(288 + 4), 1);                                /* pr_lwp.pr_lwpid */
    CHECK_EQ(buf[288 + 26], 'O');                             /* running on a processor: it reads itself */
    EXPECT(0, 18, "/proc/self/psinfo", st);
    CHECK_EQ(st[5], 416);
    /* pstatus_t and its LWP part */
    CHECK_EQ(slurp("/proc/self/status"), 1680);
    CHECK_EQ(i32(8), (s32)id.r1);
    CHECK_EQ(buf[304], 2);
    CHECK_EQ(i32(384 + 4), 1);
    CHECK_EQ(*(short *)(void *)(buf + 384 + 368), 3);           /* pr_syscall: read */
    {
        struct sigset s = { { 1u << (16 - 1) } };
        struct siginfo *unused = NULL;
        (void)unused;
        EXPECT(0, 95, 1, &s, 0);
        sys(37, id.r1, 16);
        CHECK_EQ(slurp("/proc/self/lwp/1/lwpstatus"), 1296);
        CHECK_EQ(i32(288), 1 << 15);                          /* pr_lwphold */
        CHECK_EQ(slurp("/proc/self/status"), 1680);
        CHECK_EQ((i32(32) | i32(384 + 272)) & 1 << 15, 1 << 15);   /* pending on the process, or already on its LWP */
    }
    CHECK_EQ(slurp("/proc/self/lwp/1/lwpsinfo"), 128);
    CHECK_EQ(slurp("/proc/self/lwp/1/lwpusage"), 504);
    CHECK_EQ(slurp("/proc/self/lwp/2/lwpsinfo"), -2);
    CHECK_EQ(slurp("/proc/self/lpsinfo"), 16 + 128);
    CHECK_EQ(w64(0), 1);
    CHECK_EQ(w64(8), 128);
    CHECK_EQ(slurp("/proc/self/lstatus"), 16 + 1296);
    CHECK_EQ(slurp("/proc/self/usage"), 504);
    CHECK_EQ(slurp("/proc/self/sigact"), 73 * 32);
    n = slurp("/proc/self/cred");
    CHECK(n >= 32 && n == 28 + 4 * (i32(24) ? i32(24) : 1));
    CHECK_EQ(i32(0), (s32)sys(24).r2);
    n = slurp("/proc/self/map");
    CHECK(n > 0 && n % 104 == 0);
    CHECK(same(buf + 16, "a.out", 6));
    CHECK(i32(88) & 4);                                       /* MA_READ */
    /* links */
    n = (s64)sys(90, "/proc/self/path/a.out", link, sizeof(link)).r1;
    CHECK(n > 5 && same(link + n - 5, "/prog", 5));
    EXPECT_OK(90, "/proc/self/path/cwd", link, sizeof(link));
    EXPECT_OK(90, "/proc/self/path/0", link, sizeof(link));
    EXPECT_ERR(2, 90, "/proc/self/path/99", link, sizeof(link));
    {
        struct res fd = sys(5, "/proc/self/as", 0, 0);
        u64 word = 0;
        CHECK(!fd.cf);
        EXPECT(8, 173, fd.r1, &word, 8, initial_sp);
        CHECK_EQ(word, initial_sp[0]);
        sys(6, fd.r1);
    }
    /* names of Linux are not there, and those that are get listed */
    EXPECT_ERR(2, 18, "/proc/self/maps", st);
    EXPECT_ERR(2, 18, "/proc/self/stat", st);
    EXPECT_ERR(2, 18, "/proc/self/task", st);
    CHECK_EQ(listed("/proc/self", "psinfo"), 1);
    CHECK_EQ(listed("/proc/self", "exe"), 0);
    CHECK_EQ(listed("/proc/self/lwp", "1"), 1);
    CHECK_EQ(listed("/proc/self/path", "a.out"), 1);
}
