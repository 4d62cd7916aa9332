/*
 * System V IPC: msgsys, shmsys, semsys. Flags and the layout of a message, an operation and a set's values are the host's; commands and
 * the *_ds structures are not. Source: sys/ipc.h, sys/msg.h, sys/shm.h, sys/sem.h; msgget(2), msgctl(2), msgids(2), shmop(2), semop(2).
 */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include "sentry/ipc/sysv.h"
#include <stdlib.h>

enum { SOL_IPC_RMID = 10, SOL_IPC_SET = 11, SOL_IPC_STAT = 12 };
/* Each begins with struct ipc_perm, of 28 bytes; what comes next aligns itself. */
struct sol_msqid_ds {
    u32 uid, gid, cuid, cgid, mode, seq; s32 key; u32 pad; u64 first, last, cbytes, qnum, qbytes; s32 lspid, lrpid; s64 stime, rtime, ctime; s16 cv, qnum_cv; s32 pad2;
    s64 pad4[3];
};
SOL_SIZE(sol_msqid_ds, 136); SOL_AT(sol_msqid_ds, cbytes, 48); SOL_AT(sol_msqid_ds, stime, 80);
struct sol_shmid_ds {
    u32 uid, gid, cuid, cgid, mode, seq; s32 key; u32 pad; u64 segsz, amp; u16 lkcnt, pad2; s32 lpid, cpid; u32 pad3; u64 nattch, cnattch; s64 atime, dtime, ctime, pad4[4];
};
SOL_SIZE(sol_shmid_ds, 136); SOL_AT(sol_shmid_ds, segsz, 32); SOL_AT(sol_shmid_ds, lpid, 52); SOL_AT(sol_shmid_ds, nattch, 64); SOL_AT(sol_shmid_ds, atime, 80);
struct sol_semid_ds { u32 uid, gid, cuid, cgid, mode, seq; s32 key; u32 pad; u64 base; u16 nsems, pad2[3]; s64 otime, ctime; s32 binary, pad3; s64 pad4[3]; };
SOL_SIZE(sol_semid_ds, 96); SOL_AT(sol_semid_ds, nsems, 40); SOL_AT(sol_semid_ds, otime, 48);

#define PERM(p) .uid = (p).uid, .gid = (p).gid, .cuid = (p).cuid, .cgid = (p).cgid, .mode = (p).mode | 0100000u /* IPC_ALLOC */, .seq = (p).seq, .key = (p).key
#define SET_OF(ds) ((struct ipc_set_k){ (ds).uid, (ds).gid, (ds).mode & 0777 })
#define MAX_IDS 32768u

static bool bad_owner(const struct ipc_set_k *s) { return s->uid > INT32_MAX || s->gid > INT32_MAX; }

/* The ids that exist: at most n into the buffer, their number into *count. next(index): an id, or an error for a free index. */
static sysret_t list_ids(gaddr_t buf, u32 n, gaddr_t count, s32 max, sysret_t (*next)(s32 index))
{
    u32 found = 0, room = MIN(n, MAX_IDS);
    AUTO_FREE s32 *ids = try_zalloc(room + 1, sizeof(*ids));

    if (!ids) return -ENOMEM;
    for (s32 i = 0; i <= max; i++) {
        sysret_t id = next(i);
        if (id < 0) continue;
        if (found < room) ids[found] = (s32)id;
        found++;
    }
    u32 out = MIN(found, room);
    if (out && copy_out(buf, ids, out * sizeof(*ids))) return -EFAULT;
    return copy_out(count, &found, sizeof(found));
}

/* --- message queues --- */

static sysret_t msq_at(s32 i)
{
    struct msq_stat st;
    return msq_do_stat(i, IPC_STAT_INDEX, &st);
}

static sysret_t msg_ctl(s32 id, int cmd, gaddr_t p)
{
    struct msq_stat st;
    struct sol_msqid_ds ds;
    sysret_t r;

    switch (cmd) {
    case SOL_IPC_RMID: return msq_remove(id);
    case SOL_IPC_STAT:
        if ((r = msq_do_stat(id, IPC_STAT_ID, &st)) < 0) return r;
        ds = (struct sol_msqid_ds){ PERM(st.perm), .cbytes = st.cbytes, .qnum = st.qnum, .qbytes = st.qbytes, .lspid = st.lspid, .lrpid = st.lrpid,
            .stime = st.stime, .rtime = st.rtime, .ctime = st.ctime };
        return copy_out(p, &ds, sizeof(ds));
    case SOL_IPC_SET: {
        if (copy_in(&ds, p, sizeof(ds))) return -EFAULT;
        struct ipc_set_k s = SET_OF(ds);
        return bad_owner(&s) ? -EINVAL : msq_set(id, &s, ds.qbytes);
    }
    default: return -EINVAL;
    }
}

static sysret_t msg_send(s32 id, gaddr_t p, u64 len, u32 flags)
{
    s64 type;

    if (copy_in(&type, p, sizeof(type))) return -EFAULT;
    if (type < 1) return -EINVAL;
    struct msq_msg *m;
    sysret_t r = msq_msg_new(type, len, &m);
    if (r) return r;
    r = copy_in(m->data, p + sizeof(type), len) ? -EFAULT : msq_send(id, m, flags);
    if (r) free(m);
    return r;
}

static sysret_t msg_receive(s32 id, gaddr_t p, u64 limit, s64 type, u32 flags)
{
    struct msq_msg *m = NULL;

    if ((s64)limit < 0) return -EINVAL;
    sysret_t r = msq_receive(id, limit, type, flags & 014000, &m);   /* IPC_NOWAIT, MSG_NOERROR */
    if (r) return r;
    u64 n = MIN(limit, m->len);
    if (copy_out(p, &m->type, sizeof(m->type)) || copy_out(p + sizeof(m->type), m->data, n)) r = -EFAULT;
    else r = (sysret_t)n;
    free(m);
    return r;
}

/* msgsys(op, ...): 0 msgget, 1 msgctl, 2 msgrcv, 3 msgsnd, 4 msgids, 5 msgsnap */
sysret_t solaris_msgsys(const struct syscall_args *a)
{
    switch (ARG_INT(0)) {
    case 0: return msq_get(ARG_INT(1), ARG_U32(2));
    case 1: return msg_ctl(ARG_INT(1), ARG_INT(2), a->a[3]);
    case 2: return msg_receive(ARG_INT(1), a->a[2], a->a[3], (s64)a->a[4], ARG_U32(5));
    case 3: return msg_send(ARG_INT(1), a->a[2], a->a[3], ARG_U32(4));
    case 4: return list_ids(a->a[1], ARG_U32(2), a->a[3], msq_max_index(), msq_at);
    case 5: return -EOPNOTSUPP;
    default: return -EINVAL;
    }
}

/* --- shared memory --- */

static sysret_t shm_at(s32 i)
{
    struct shm_stat st;
    return shm_do_stat(i, IPC_STAT_INDEX, &st);
}

static sysret_t shm_ctl(s32 id, int cmd, gaddr_t p)
{
    struct shm_stat st;
    struct sol_shmid_ds ds;
    sysret_t r;

    switch (cmd) {
    case SOL_IPC_RMID: return shm_remove(id);
    case 3: case 4: return shm_lock(id, cmd == 3);
    case SOL_IPC_STAT:
        if ((r = shm_do_stat(id, IPC_STAT_ID, &st)) < 0) return r;
        ds = (struct sol_shmid_ds){ PERM(st.perm), .segsz = st.size, .lpid = st.lpid, .cpid = st.cpid, .nattch = st.nattch, .cnattch = st.nattch,
            .atime = st.atime, .dtime = st.dtime, .ctime = st.ctime };
        return copy_out(p, &ds, sizeof(ds));
    case SOL_IPC_SET: {
        if (copy_in(&ds, p, sizeof(ds))) return -EFAULT;
        struct ipc_set_k s = SET_OF(ds);
        return bad_owner(&s) ? -EINVAL : shm_set(id, &s);
    }
    default: return -EINVAL;
    }
}

/* shmsys(op, ...): 0 shmat, 1 shmctl, 2 shmdt, 3 shmget, 4 shmids. SHM_SHARE_MMU and SHM_PAGEABLE ask for nothing that is missing. */
sysret_t solaris_shmsys(const struct syscall_args *a)
{
    switch (ARG_INT(0)) {
    case 0:
        if (ARG_U32(3) & ~0170600u) return -EINVAL;
        return shm_attach(ARG_INT(1), a->a[2], ARG_U32(3) & 030000);
    case 1: return shm_ctl(ARG_INT(1), ARG_INT(2), a->a[3]);
    case 2: return shm_detach(a->a[1]);
    case 3: return shm_get(ARG_INT(1), a->a[2], ARG_U32(3));
    case 4: return list_ids(a->a[1], ARG_U32(2), a->a[3], shm_max_index(), shm_at);
    default: return -EINVAL;
    }
}

/* --- semaphores --- */

static sysret_t sem_at(s32 i)
{
    struct sem_stat st;
    return sem_do_stat(i, IPC_STAT_INDEX, &st);
}

static sysret_t sem_all(s32 id, gaddr_t p, bool set)
{
    sysret_t n = sem_count(id, set);

    if (n < 0) return n;
    AUTO_FREE u16 *vals = xzalloc((size_t)n * sizeof(*vals));
    if (set) return copy_in(vals, p, (size_t)n * sizeof(*vals)) ? -EFAULT : sem_set_all(id, vals, (unsigned)n);
    sysret_t r = sem_get_all(id, vals, (unsigned)n);
    return !r && copy_out(p, vals, (size_t)n * sizeof(*vals)) ? -EFAULT : r;
}

static sysret_t sem_ctl(s32 id, s32 num, int cmd, u64 arg)
{
    struct sem_stat st;
    struct sol_semid_ds ds;
    sysret_t r;

    switch (cmd) {
    case 3: return sem_get_one(id, num, SEM_NCOUNT);
    case 4: return sem_get_one(id, num, SEM_PID);
    case 5: return sem_get_one(id, num, SEM_VALUE);
    case 6: return sem_all(id, arg, false);
    case 7: return sem_get_one(id, num, SEM_ZCOUNT);
    case 8: return sem_set_one(id, num, (s32)arg);
    case 9: return sem_all(id, arg, true);
    case SOL_IPC_RMID: return sem_remove(id);
    case SOL_IPC_STAT:
        if ((r = sem_do_stat(id, IPC_STAT_ID, &st)) < 0) return r;
        ds = (struct sol_semid_ds){ PERM(st.perm), .nsems = (u16)st.nsems, .otime = st.otime, .ctime = st.ctime };
        return copy_out(arg, &ds, sizeof(ds));
    case SOL_IPC_SET: {
        if (copy_in(&ds, arg, sizeof(ds))) return -EFAULT;
        struct ipc_set_k s = SET_OF(ds);
        return bad_owner(&s) ? -EINVAL : sem_set(id, &s);
    }
    default: return -EINVAL;
    }
}

static sysret_t sem_ops(s32 id, gaddr_t p, u64 n, ktime_t deadline)
{
    struct sem_op ops[512];
    struct { u16 num; s16 op, flags; } in;

    if (!n || id < 0) return n ? -EINVAL : 0;
    if (n > ARRAY_LEN(ops)) return -E2BIG;   /* more than process.max-sem-ops of Solaris by default */
    for (u64 i = 0; i < n; i++) {
        if (copy_in(&in, p + i * sizeof(in), sizeof(in))) return -EFAULT;
        ops[i] = (struct sem_op){ in.num, in.op, (u16)in.flags };
    }
    return sem_operate(id, ops, (unsigned)n, deadline);
}

/* semsys(op, ...): 0 semctl, 1 semget, 2 semop, 3 semids, 4 semtimedop */
sysret_t solaris_semsys(const struct syscall_args *a)
{
    ktime_t rel;
    int r;

    switch (ARG_INT(0)) {
    case 0: return sem_ctl(ARG_INT(1), ARG_INT(2), ARG_INT(3), a->a[4]);
    case 1: return sem_get(ARG_INT(1), ARG_INT(2), ARG_U32(3));
    case 2: return sem_ops(ARG_INT(1), a->a[2], a->a[3], KTIME_NEVER);
    case 3: return list_ids(a->a[1], ARG_U32(2), a->a[3], sem_max_index(), sem_at);
    case 4:
        if (!a->a[4]) return sem_ops(ARG_INT(1), a->a[2], a->a[3], KTIME_NEVER);
        if ((r = sol_copy_in_ktime(&rel, a->a[4]))) return r;
        return sem_ops(ARG_INT(1), a->a[2], a->a[3], ktime_add_sat(clock_mono(), rel));
    default: return -EINVAL;
    }
}
