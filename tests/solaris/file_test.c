/* Files. Source: open(2), fcntl(2), stat(2), getdents(2), unlink(2), rmdir(2), readlink(2), statvfs(2), resolvepath(2) of illumos. */
#include "sys.h"

struct st { u64 dev, ino; u32 mode, nlink, uid, gid; u64 rdev; s64 size; struct ts a, m, c; s32 blksize, pad; s64 blocks; char fstype[16]; };
struct flock { u16 type, whence; s32 pad0; s64 start, len; s32 sysid, pid; s64 pad[4]; };
enum { CREAT = 0x100, TRUNC = 0x200, EXCL = 0x400, RDWR = 2, WRONLY = 1, APPEND = 8, NONBLOCK = 0x80, CLOEXEC = 0x800000, DIRECTORY = 0x1000000 };
#define CWD 0xffd19553UL

static int has_name(const char *buf, u64 n, const char *name)
{
    for (u64 at = 0; at < n;) {
        u16 rec = *(const u16 *)(buf + at + 16);
        if (same(buf + at + 18, name, len(name) + 1)) return 1;
        CHECK(rec % 8 == 0 && rec >= 24);
        at += rec;
    }
    return 0;
}

static void run(void)
{
    static char buf[4096];
    struct st st;
    struct flock fl;
    struct res r;
    s32 fd, fd2;
    u64 sv[17];

    EXPECT(0, 80, "/tmp/sol", 0755);
    EXPECT(0, 12, "/tmp/sol");
    EXPECT(0, 229, buf, sizeof(buf));
    CHECK(same(buf, "/tmp/sol", 9));
    EXPECT_ERR(34, 229, buf, 3);                             /* ERANGE */
    r = sys(5, "f", CREAT | EXCL | RDWR | CLOEXEC, 0640);
    CHECK(!r.cf);
    fd = (s32)r.r1;
    EXPECT_ERR(17, 5, "f", CREAT | EXCL | RDWR, 0640);
    EXPECT_ERR(20, 5, "f/x", 0, 0);
    EXPECT_ERR(20, 5, "f", DIRECTORY, 0);
    EXPECT_ERR(21, 5, ".", WRONLY, 0);
    EXPECT_ERR(14, 5, 8, 0, 0);
    EXPECT(1, 62, fd, 1, 0);                                 /* F_GETFD */
    EXPECT(2 | 0x2000, 62, fd, 3, 0);                        /* F_GETFL: RDWR and LARGEFILE */
    EXPECT(0, 62, fd, 4, APPEND | NONBLOCK);
    EXPECT(2 | 0x2000 | APPEND | NONBLOCK, 62, fd, 3, 0);
    EXPECT(0, 62, fd, 4, 0);
    EXPECT(5, 4, fd, "hello", 5);
    EXPECT(2, 174, fd, "XY", 2, 10L);
    EXPECT(3, 173, fd, buf, 3, 9L);
    CHECK(buf[0] == 0 && buf[1] == 'X' && buf[2] == 'Y');
    EXPECT(12, 19, fd, 0, 2);
    EXPECT_ERR(22, 19, fd, -1, 0);
    EXPECT_ERR(22, 19, fd, 0, 9);
    EXPECT(0, 28, fd, &st);
    CHECK(st.size == 12 && (st.mode & 0177700) == 0100600);
    CHECK_EQ(st.nlink, 1);
    CHECK(same(st.fstype, "tmpfs", 6));
    /* F_FREESP with length 0 is ftruncate */
    memset(&fl, 0, sizeof(fl));
    fl.start = 3;
    EXPECT(0, 62, fd, 11, &fl);
    EXPECT(0, 18, "f", &st);
    CHECK_EQ(st.size, 3);
    /* locks: F_WRLCK is 2 here, F_UNLCK 3 */
    fl.start = 0, fl.type = 2;
    EXPECT(0, 62, fd, 6, &fl);
    fl.type = 9;
    EXPECT_ERR(22, 62, fd, 6, &fl);
    fl.type = 1;
    EXPECT(0, 62, fd, 14, &fl);
    CHECK_EQ(fl.type, 3);                                    /* one's own lock is no conflict */
    EXPECT(40, 62, fd, 9, 40);                               /* F_DUP2FD */
    EXPECT(0, 62, 40, 1, 0);
    EXPECT(41, 62, fd, 36, 41);
    EXPECT(1, 62, 41, 1, 0);
    EXPECT_ERR(22, 62, fd, 999, 0);
    EXPECT_ERR(9, 62, 99, 3, 0);
    EXPECT(0, 6, 40);
    EXPECT_ERR(9, 6, 40);
    /* names */
    EXPECT(0, 9, "f", "g");
    EXPECT(0, 89, "g", "s");
    EXPECT(1, 90, "s", buf, 100);
    EXPECT_ERR(22, 90, "f", buf, 100);
    EXPECT(0, 88, "s", &st);
    CHECK_EQ(st.mode & 0170000, 0120000);
    EXPECT(0, 66, CWD, "s", &st, 0x1000);
    CHECK_EQ(st.mode & 0170000, 0120000);
    EXPECT(0, 66, CWD, "s", &st, 0);
    CHECK_EQ(st.mode & 0170000, 0100000);
    EXPECT(10, 209, "s", buf, 100);                          /* resolvepath: /tmp/sol/g without NUL */
    CHECK(same(buf, "/tmp/sol/g", 10));
    EXPECT(0, 102, CWD, "d", 0700);
    EXPECT(0, 134, "g", "d/g");
    EXPECT_ERR(17, 79, "d");                                 /* not empty: EEXIST, not ENOTEMPTY */
    EXPECT_ERR(1, 10, "d");                                  /* unlink of a directory: EPERM */
    EXPECT(0, 65, CWD, "d/g", 0);
    EXPECT(0, 65, CWD, "d", 1);
    EXPECT_ERR(22, 65, CWD, "d", 2);
    EXPECT_ERR(2, 79, "d");
    /* directories: no type, reclen of 18 + name, rounded to 8 */
    r = sys(5, ".", 0, 0);
    fd2 = (s32)r.r1;
    r = sys(81, fd2, buf, sizeof(buf));
    CHECK(!r.cf && has_name(buf, r.r1, "f") && has_name(buf, r.r1, "s") && has_name(buf, r.r1, ".."));
    EXPECT(0, 81, fd2, buf, sizeof(buf));
    EXPECT(0, 19, fd2, 0, 0);
    EXPECT_ERR(22, 81, fd2, buf, 4);
    EXPECT_ERR(20, 81, fd, buf, sizeof(buf));
    EXPECT_ERR(21, 3, fd2, buf, 10);
    /* attributes and times */
    EXPECT(0, 15, "f", 0600);
    EXPECT(0, 93, fd, 0604);
    {
        struct ts t[2] = { { 1000, 5 }, { 2000, -2 } };      /* second: UTIME_OMIT */
        EXPECT(0, 110, 1, CWD, "f", t, 0);
        EXPECT(0, 18, "f", &st);
        CHECK(st.a.sec == 1000 && st.a.nsec == 5 && st.m.sec != 2000 && (st.mode & 07777) == 0604);
        t[0].nsec = 2000000000;
        EXPECT_ERR(22, 110, 1, CWD, "f", t, 0);
    }
    EXPECT(0, 33, "f", 4);
    EXPECT(0, 33, "f", 014);                                 /* E_OK */
    EXPECT_ERR(22, 33, "f", 0100);
    EXPECT(0, 103, "/tmp", sv);
    CHECK(sv[0] >= 512 && same((char *)&sv[9], "tmpfs", 6));
    EXPECT(255, 113, "/tmp", 4);
    EXPECT_ERR(22, 113, "/tmp", 999);
    EXPECT(022, 60, 022);
    /* pipes */
    {
        s32 p[2];
        EXPECT(0, 42, p, CLOEXEC | NONBLOCK);
        EXPECT(1, 62, p[0], 1, 0);
        EXPECT_ERR(11, 3, p[0], buf, 1);
        EXPECT_ERR(22, 42, p, 1);
        EXPECT_ERR(14, 42, 8, 0);
        EXPECT(0, 6, p[0]);
        set_handler(13, (void *)1, 0);                       /* SIG_IGN */
        EXPECT_ERR(32, 4, p[1], "x", 1);
    }
    EXPECT_ERR(25, 54, fd, 0x5401, buf);                     /* TCGETA of a file: ENOTTY */
    EXPECT_ERR(78, 5, ({ memset(buf, 'a', 2000); buf[2000] = 0; buf; }), 0, 0);   /* ENAMETOOLONG */
    {
        static char b2[40];
        struct { char *p; u64 n; } iov[2] = { { b2, 1 }, { b2 + 10, 2 } };
        EXPECT(0, 19, fd, 0, 0);
        EXPECT(3, 121, fd, iov, 2);
        CHECK(b2[0] == 'h' && b2[10] == 'e' && b2[11] == 'l');
        EXPECT_ERR(22, 121, fd, iov, 0);
        EXPECT_ERR(22, 121, fd, iov, 2000);
    }
}
