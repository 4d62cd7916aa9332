/* System V IPC. Source: msgget(2), msgop(2), msgctl(2), msgids(2), shmget(2), shmop(2), semget(2), semop(2), semctl(2); sys/ipc.h, sys/msg.h, sys/shm.h, sys/sem.h. */
#include "sys.h"

enum { IPC_RMID = 10, IPC_SET, IPC_STAT };
struct perm { u32 uid, gid, cuid, cgid, mode, seq; s32 key; u32 pad; };
struct msqid { struct perm p; u64 first, last, cbytes, qnum, qbytes; s32 lspid, lrpid; s64 stime, rtime, ctime, fill[4]; };
struct shmid { struct perm p; u64 segsz, amp; u16 lkcnt, f1; s32 lpid, cpid, f2; u64 nattch, cnattch; s64 atime, dtime, ctime, fill[4]; };
struct semid { struct perm p; u64 base; u16 nsems, f[3]; s64 otime, ctime; s32 binary, f2; s64 fill[3]; };
struct op { u16 num; s16 op, flg; };

static void messages(void)
{
    struct { s64 type; char text[16]; } m = { 3, "three" };
    struct msqid ds;
    s32 ids[8];
    u32 n;
    struct res r = sys(49, 0, 0x1234, 01666);
    s32 q = (s32)r.r1;

    CHECK(!r.cf);
    EXPECT(q, 49, 0, 0x1234, 0);
    EXPECT_ERR(17, 49, 0, 0x1234, 03600);                    /* EEXIST */
    EXPECT(0, 49, 3, q, &m, 6, 0);
    m.type = 5;
    EXPECT(0, 49, 3, q, &m, 16, 0);
    EXPECT_ERR(22, 49, 3, q, &(s64[2]){ 0 }, 1, 0);          /* a type must be positive */
    EXPECT(0, 49, 1, q, IPC_STAT, &ds);
    CHECK(ds.qnum == 2 && ds.cbytes == 22 && ds.lspid == (s32)sys(20).r1 && ds.p.key == 0x1234 && (ds.p.mode & 0777) == 0666);
    EXPECT_ERR(7, 49, 2, q, &m, 4, 5, 04000);                /* E2BIG: too long for the buffer */
    EXPECT(4, 49, 2, q, &m, 4, 5, 014000);                   /* MSG_NOERROR cuts */
    CHECK_EQ(m.type, 5);
    EXPECT_ERR(35, 49, 2, q, &m, 16, 5, 04000);              /* ENOMSG */
    EXPECT(6, 49, 2, q, &m, 16, 0, 0);
    CHECK(m.type == 3 && same(m.text, "three", 6));
    EXPECT(0, 49, 4, ids, 8, &n);
    CHECK(n == 1 && ids[0] == q);
    EXPECT(0, 49, 4, 0, 0, &n);
    CHECK_EQ(n, 1);
    EXPECT(0, 49, 1, q, IPC_RMID, 0);
    EXPECT_ERR(22, 49, 1, q, IPC_STAT, &ds);
}

static void memory(void)
{
    struct shmid ds;
    struct res r = sys(52, 3, 0, 8192, 01600), at, ro;
    s32 id = (s32)r.r1, ids[4];
    u32 n;

    CHECK(!r.cf);
    at = sys(52, 0, id, 0, 0);
    CHECK(!at.cf);
    if (at.cf) return;
    ((volatile u32 *)at.r1)[100] = 77;
    ro = sys(52, 0, id, 0, 010000);                          /* SHM_RDONLY, at another address */
    CHECK(!ro.cf && ro.r1 != at.r1 && ((volatile u32 *)ro.r1)[100] == 77);
    EXPECT(0, 52, 1, id, IPC_STAT, &ds);
    CHECK(ds.segsz == 8192 && ds.nattch == 2 && ds.cpid == (s32)sys(20).r1);
    r = sys(142, 0, 1);
    if (!r.cf && r.r2 == 1) {
        ((volatile u32 *)at.r1)[100] = 78;
        sys(1, 0);
    }
    EXPECT_OK(107, 0, r.r1, &(struct siginfo){ 0 }, 1);
    CHECK_EQ(((volatile u32 *)ro.r1)[100], 78);
    EXPECT(0, 52, 4, ids, 4, &n);
    CHECK(n == 1 && ids[0] == id);
    EXPECT_ERR(22, 52, 2, at.r1 + 4096);
    EXPECT(0, 52, 2, ro.r1);
    EXPECT(0, 52, 1, id, IPC_RMID, 0);
    CHECK_EQ(((volatile u32 *)at.r1)[100], 78);              /* it stays while it is attached */
    EXPECT(0, 52, 2, at.r1);
    EXPECT_ERR(14, 254, at.r1, &n, 4);
}

static void semaphores(void)
{
    struct semid ds;
    struct op down = { 0, -1, 04000 }, up2 = { 0, 2, 0 }, undo = { 1, 1, 010000 };
    u16 vals[3] = { 4, 5, 6 };
    struct ts ms = { 0, 1000000 };
    s32 ids[4];
    u32 n;
    struct res r = sys(53, 1, 0, 3, 01600);
    s32 id = (s32)r.r1;

    CHECK(!r.cf);
    EXPECT_ERR(11, 53, 2, id, &down, 1);                     /* EAGAIN */
    EXPECT(0, 53, 2, id, &up2, 1);
    EXPECT(0, 53, 2, id, &down, 1);
    EXPECT(1, 53, 0, id, 0, 5, 0);                           /* GETVAL */
    EXPECT((s32)sys(20).r1, 53, 0, id, 0, 4, 0);             /* GETPID */
    EXPECT(0, 53, 0, id, 0, 9, vals);                        /* SETALL */
    EXPECT(6, 53, 0, id, 2, 5, 0);
    EXPECT(0, 53, 0, id, 2, 8, 1);                           /* SETVAL */
    memset(vals, 0, sizeof(vals));
    EXPECT(0, 53, 0, id, 0, 6, vals);                        /* GETALL */
    CHECK(vals[0] == 4 && vals[1] == 5 && vals[2] == 1);
    down = (struct op){ 0, -5, 0 };
    EXPECT_ERR(11, 53, 4, id, &down, 1, &ms);                /* semtimedop */
    EXPECT(0, 53, 0, id, 0, IPC_STAT, &ds);
    CHECK(ds.nsems == 3 && ds.otime != 0);
    r = sys(142, 0, 1);
    if (!r.cf && r.r2 == 1) {
        sys(53, 2, id, &undo, 1);
        sys(1, sys(53, 0, id, 1, 5, 0).r1 == 6 ? 0 : 1);
    }
    EXPECT_OK(107, 0, r.r1, &(struct siginfo){ 0 }, 1);
    EXPECT(5, 53, 0, id, 1, 5, 0);                           /* SEM_UNDO: what the child added went with it */
    EXPECT_ERR(27, 53, 2, id, (&(struct op){ 9, 1, 0 }), 1);   /* EFBIG: no such semaphore */
    EXPECT(0, 53, 3, ids, 4, &n);
    CHECK(n == 1 && ids[0] == id);
    EXPECT(0, 53, 0, id, 0, IPC_RMID, 0);
    EXPECT_ERR(22, 53, 0, id, 0, 5, 0);
}

static void run(void)
{
    messages();
    memory();
    semaphores();
}
