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

/* ucred_get(3C), getpeerucred(3C); sys/ucred.h, sys/procfs_isa.h: the parts are found by their offsets */
struct ucred { u32 size, credoff, privoff; s32 pid; u32 audoff; s32 zone, proj; u32 label; };
struct prcred { u32 euid, ruid, suid, egid, rgid, sgid; s32 n; u32 groups[4]; };
static void credentials(void)
{
    static u8 b[8192];
    struct ucred *u = (void *)b;
    struct res uid = sys(24), gid = sys(47);
    s32 me = (s32)sys(20).r1, sv[2];

    for (int i = 0; i < 2; i++) sv[i] = (s32)sys(230, 1, 2, 0, 0, 1).r1;
    EXPECT_OK(231, sv);
    for (int peer = 0; peer < 2; peer++) {
        memset(b, 0, sizeof(b));
        EXPECT(0, 83, peer, peer ? sv[0] : -1, b);
        struct prcred *c = (void *)(b + u->credoff);
        CHECK(u->pid == me && u->size > u->privoff && u->zone == 0 && u->proj == 0);
        CHECK(c->euid == (u32)uid.r2 && c->egid == (u32)gid.r2 && c->n >= 0);
        if (!peer) CHECK(c->ruid == (u32)uid.r1 && c->rgid == (u32)gid.r1);
        CHECK_EQ(*(u32 *)(void *)(b + u->privoff), 4);       /* four sets */
    }
    EXPECT(0, 83, 0, me, b);
    sys(6, sv[0]), sys(6, sv[1]);
}

/* getppriv(2), setppriv(2), priv_impl_info in sys/priv.h: names come in the order of the numbers, the highest bit of a word first */
static void privileges(void)
{
    static u8 info[8192];
    u32 *h = (void *)info, set[3], more[3], pos = 28, nth = 0, fork = 0;

    EXPECT(0, 82, 2, 0, 0, info, sizeof(info));
    CHECK(h[0] == 28 && h[2] == 4 && h[3] == 3);
    for (u32 k = 0; k < 2; k++) {                            /* the names of the sets, then those of the privileges */
        u32 *part = (void *)(info + pos);
        const char *s = (char *)(part + 3);
        CHECK_EQ(part[0], k + 1);
        for (u32 i = 0; i < part[2]; i++, s += len(s) + 1) {
            if (!k && i == 3) CHECK(same(s, "Limit", 6));
            if (k && same(s, "proc_fork", 10)) nth = i, fork = 1;
        }
        pos += part[1];
    }
    CHECK(fork);
    for (int t = 0; t < 4; t++) {
        EXPECT(0, 82, 1, 0, t, set, sizeof(set));
        CHECK(set[nth / 32] & 0x80000000u >> nth % 32);      /* a basic privilege, which everybody has */
    }
    EXPECT(0, 82, 1, 0, 2, set, sizeof(set));
    EXPECT(0, 82, 0, 2, 0, set, sizeof(set));                /* what one has may be set */
    memset(more, 0xff, sizeof(more));
    if (!same(set, more, sizeof(set))) EXPECT_ERR(1, 82, 0, 2, 0, more, sizeof(more));
    EXPECT(0, 82, 4, 2, 0, 0, 0);                            /* not privilege-aware */
}

/* priocntl(2), pset_list(2), pset_bind(2), processor_bind(2) */
static void scheduling(void)
{
    struct { s32 cid; char name[16]; s16 maxupri, fill[15]; } pc = { 0, "TS", 0, { 0 } };
    struct { s32 cid; s16 lim, upri; s16 fill[14]; } parms = { -1, 0, 0, { 0 } };
    struct { s32 val, op; } nice = { 0, 0 };
    struct { s32 op, lt, lid, rt, rid; } me = { 2, 0, -1, 7, -1 };
    u32 n = 7;
    s32 old = 5;

    EXPECT(2, 112, 1, 0, 0, &pc, 0);
    CHECK(pc.cid == 1 && pc.maxupri == 60);
    EXPECT(2, 112, 1, 0, 1, &pc, 0);
    CHECK(same(pc.name, "TS", 3));
    EXPECT((s32)sys(20).r1, 112, 1, &me, 3, &parms, 0);
    CHECK(parms.cid == 1 && parms.upri == 0);
    EXPECT(0, 112, 1, &me, 6, &nice, 0);
    CHECK_EQ(nice.val, 0);
    nice.val = 10, nice.op = 1;
    EXPECT(0, 112, 1, &me, 6, &nice, 0);
    nice.val = nice.op = 0;
    EXPECT(0, 112, 1, &me, 6, &nice, 0);
    CHECK_EQ(nice.val, 10);
    parms.cid = -1;
    EXPECT((s32)sys(20).r1, 112, 1, &me, 3, &parms, 0);
    CHECK_EQ(parms.upri, -30);                               /* half of the way down */
    me.lid = 29999;
    EXPECT_ERR(3, 112, 1, &me, 6, &nice, 0);
    EXPECT(0, 207, 6, 0, &n);                                /* PSET_LIST */
    CHECK_EQ(n, 0);
    EXPECT(0, 207, 4, -2, 0, -1, &old);                      /* PSET_BIND, PS_QUERY */
    CHECK_EQ(old, -1);
    EXPECT(0, 187, 0, -1, -2, &old);                         /* processor_bind, PBIND_QUERY */
    CHECK_EQ(old, -1);
}

/* sysfs(2), fchroot(2), core_get_process_path(3C) */
static void file_systems(void)
{
    char name[16], path[64];
    s32 n = (s32)sys(84, 3).r1, root;
    struct siginfo si;
    struct res r;

    CHECK(n >= 2);
    for (int i = 1; i <= n; i++) {
        EXPECT(0, 84, 2, i, name);
        EXPECT(i, 84, 1, name);
    }
    EXPECT(0, 151, 6, path, sizeof(path), -1);
    CHECK(same(path, "core", 5));
    if ((s32)sys(24).r2) return;                             /* not the super-user */
    EXPECT_OK(80, "newroot", 0755);
    root = (s32)sys(5, "newroot", 0, 0).r1;
    r = sys(142, 0, 1);
    if (!r.cf && r.r2 == 1) sys(1, sys(153, root).cf || sys(12, "/").cf || !sys(18, "/newroot", name).cf);
    memset(&si, 0, sizeof(si));
    do r = sys(107, 0, r.r1, &si, 1); while (r.cf && (r.r1 == 91 || r.r1 == 4));
    CHECK(si.code == 1 && (s32)si.body[2] == 0);
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
    EXPECT(0, 39, 9);                                         /* pgrpsys.c knows no wrong code */
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
    credentials();
    privileges();
    scheduling();
    file_systems();
}
