/* shmget(2) and family, semget(2) and family, msgget(2) and family: the structures of x86-64. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_ipc.h"
#include "abi/linux/uapi_time.h"
#include "sentry/base/alloc.h"
#include "sentry/ipc/sysv.h"
#include "sentry/kernel/ns.h"
#include "sentry/base/clock.h"
#include <string.h>

static struct linux_ipc64_perm perm_out(const struct ipc_perm_k *p)
{
    return (struct linux_ipc64_perm){ .key = p->key, .uid = uid_out(p->uid), .gid = gid_out(p->gid), .cuid = uid_out(p->cuid), .cgid = gid_out(p->cgid), .mode = p->mode,
        .seq = p->seq };
}

/* What IPC_SET takes of a structure; (uid_t)-1 is nobody's id. */
static int set_in(struct ipc_set_k *out, const struct linux_ipc64_perm *p)
{
    *out = (struct ipc_set_k){ uid_in(p->uid), gid_in(p->gid), p->mode };
    return out->uid == UINT32_MAX || out->gid == UINT32_MAX ? -EINVAL : 0;
}

static sysret_t pid_or_error(sysret_t r) { return r > 0 ? pid_out((s32)r) : r; }

/* --- shared memory --- */

sysret_t linux_shmget(const struct syscall_args *a) { return shm_get(ARG_INT(0), a->a[1], ARG_U32(2)); }
sysret_t linux_shmat(const struct syscall_args *a) { return shm_attach(ARG_INT(0), a->a[1], ARG_U32(2)); }
sysret_t linux_shmdt(const struct syscall_args *a) { return shm_detach(a->a[0]); }

static sysret_t shm_stat_out(s32 id, enum ipc_stat_how how, gaddr_t to)
{
    struct shm_stat st;
    sysret_t r = shm_do_stat(id, how, &st);

    if (r < 0) return r;
    struct linux_shmid64_ds ds = { .perm = perm_out(&st.perm), .segsz = st.size, .atime = st.atime, .dtime = st.dtime, .ctime = st.ctime,
        .cpid = pid_out(st.cpid), .lpid = pid_out(st.lpid), .nattch = st.nattch };
    if (copy_out(to, &ds, sizeof ds)) return -EFAULT;
    return how == IPC_STAT_ID ? 0 : r;
}

sysret_t linux_shmctl(const struct syscall_args *a)
{
    s32 id = ARG_INT(0);
    gaddr_t p = a->a[2];
    int r;

    if (id < 0 || ARG_INT(1) < 0) return -EINVAL;
    switch (ARG_INT(1)) {
    case LINUX_IPC_INFO: {
        const struct ipc_settings *s = ipc_ns_settings();
        u32 mni = atomic_load(&s->shmmni);
        struct linux_shminfo64 i = { .max = atomic_load(&s->shmmax), .min = SYSV_SHMMIN, .mni = mni, .seg = mni, .all = atomic_load(&s->shmall) };
        return copy_out(p, &i, sizeof i) ? -EFAULT : shm_max_index();
    }
    case LINUX_SHM_INFO: {
        struct shm_usage u;
        shm_usage(&u);
        struct linux_shm_info i = { .used_ids = (s32)u.used_ids, .tot = u.tot, .rss = u.rss };
        return copy_out(p, &i, sizeof i) ? -EFAULT : shm_max_index();
    }
    case LINUX_IPC_STAT: return shm_stat_out(id, IPC_STAT_ID, p);
    case LINUX_SHM_STAT: return shm_stat_out(id, IPC_STAT_INDEX, p);
    case LINUX_SHM_STAT_ANY: return shm_stat_out(id, IPC_STAT_ANY, p);
    case LINUX_IPC_SET: {
        struct linux_shmid64_ds ds;
        struct ipc_set_k s;
        if (copy_in(&ds, p, sizeof ds)) return -EFAULT;
        return (r = set_in(&s, &ds.perm)) ? r : shm_set(id, &s);
    }
    case LINUX_IPC_RMID: return shm_remove(id);
    case LINUX_SHM_LOCK: return shm_lock(id, true);
    case LINUX_SHM_UNLOCK: return shm_lock(id, false);
    default: return -EINVAL;
    }
}

/* --- semaphores --- */

sysret_t linux_semget(const struct syscall_args *a) { return sem_get(ARG_INT(0), ARG_INT(1), ARG_U32(2)); }

static sysret_t operate(s32 id, gaddr_t p, u32 n, ktime_t deadline)
{
    struct linux_sembuf few[16];
    struct sem_op few_ops[16];
    AUTO_FREE void *more = NULL;
    struct linux_sembuf *in = few;
    struct sem_op *ops = few_ops;

    if (n < 1 || id < 0) return -EINVAL;
    int bad = sem_check_count(n);
    if (bad) return bad;
    if (n > ARRAY_LEN(few)) {
        more = xzalloc(n * (sizeof *in + sizeof *ops));
        ops = more;
        in = (struct linux_sembuf *)(ops + n);
    }
    if (copy_in(in, p, n * sizeof *in)) return -EFAULT;
    for (u32 i = 0; i < n; i++) ops[i] = (struct sem_op){ in[i].num, in[i].op, (u16)in[i].flg };
    return sem_operate(id, ops, n, deadline);
}

sysret_t linux_semop(const struct syscall_args *a) { return operate(ARG_INT(0), a->a[1], ARG_U32(2), KTIME_NEVER); }

sysret_t linux_semtimedop(const struct syscall_args *a)
{
    ktime_t deadline = KTIME_NEVER;

    if (a->a[3]) {
        int r = linux_timeout_in(&deadline, a->a[3]);
        if (r) return r;
    }
    return operate(ARG_INT(0), a->a[1], ARG_U32(2), deadline);
}

static sysret_t sem_stat_out(s32 id, enum ipc_stat_how how, gaddr_t to)
{
    struct sem_stat st;
    sysret_t r = sem_do_stat(id, how, &st);

    if (r < 0) return r;
    struct linux_semid64_ds ds = { .perm = perm_out(&st.perm), .otime = st.otime, .ctime = st.ctime, .nsems = st.nsems };
    if (copy_out(to, &ds, sizeof ds)) return -EFAULT;
    return how == IPC_STAT_ID ? 0 : r;
}

static sysret_t sem_info_out(gaddr_t to, bool live)
{
    const u32 *set = ipc_ns_settings()->sem;
    /* What is no setting is a constant of sem.h, of no meaning any more. */
    struct linux_seminfo i = { .map = 1024000000, .mni = (s32)atomic_load(&set[3]), .mns = (s32)atomic_load(&set[1]), .mnu = 1024000000,
        .msl = (s32)atomic_load(&set[0]), .opm = (s32)atomic_load(&set[2]), .ume = 500, .usz = 20, .vmx = SYSV_SEMVMX, .aem = SYSV_SEMAEM };

    if (live) {
        u32 sets, sems;
        sem_usage(&sets, &sems);
        i.usz = (s32)sets;
        i.aem = (s32)sems;
    }
    return copy_out(to, &i, sizeof i) ? -EFAULT : sem_max_index();
}

static sysret_t sem_all(s32 id, gaddr_t p, bool set)
{
    sysret_t n = sem_count(id, set);

    if (n < 0) return n;
    AUTO_FREE u16 *vals = xzalloc((size_t)n * sizeof *vals);
    if (set) {
        if (copy_in(vals, p, (size_t)n * sizeof *vals)) return -EFAULT;
        return sem_set_all(id, vals, (unsigned)n);
    }
    sysret_t r = sem_get_all(id, vals, (unsigned)n);
    if (!r && copy_out(p, vals, (size_t)n * sizeof *vals)) r = -EFAULT;
    return r;
}

sysret_t linux_semctl(const struct syscall_args *a)
{
    s32 id = ARG_INT(0), num = ARG_INT(1);
    gaddr_t p = a->a[3];
    int r;

    if (id < 0) return -EINVAL;
    switch (ARG_INT(2)) {
    case LINUX_IPC_INFO: return sem_info_out(p, false);
    case LINUX_SEM_INFO: return sem_info_out(p, true);
    case LINUX_IPC_STAT: return sem_stat_out(id, IPC_STAT_ID, p);
    case LINUX_SEM_STAT: return sem_stat_out(id, IPC_STAT_INDEX, p);
    case LINUX_SEM_STAT_ANY: return sem_stat_out(id, IPC_STAT_ANY, p);
    case LINUX_SEM_GETVAL: return sem_get_one(id, num, SEM_VALUE);
    case LINUX_SEM_GETPID: return pid_or_error(sem_get_one(id, num, SEM_PID));
    case LINUX_SEM_GETNCNT: return sem_get_one(id, num, SEM_NCOUNT);
    case LINUX_SEM_GETZCNT: return sem_get_one(id, num, SEM_ZCOUNT);
    case LINUX_SEM_SETVAL: return sem_set_one(id, num, (s32)p);
    case LINUX_SEM_GETALL: return sem_all(id, p, false);
    case LINUX_SEM_SETALL: return sem_all(id, p, true);
    case LINUX_IPC_SET: {
        struct linux_semid64_ds ds;
        struct ipc_set_k s;
        if (copy_in(&ds, p, sizeof ds)) return -EFAULT;
        return (r = set_in(&s, &ds.perm)) ? r : sem_set(id, &s);
    }
    case LINUX_IPC_RMID: return sem_remove(id);
    default: return -EINVAL;
    }
}

/* --- message queues --- */

sysret_t linux_msgget(const struct syscall_args *a) { return msq_get(ARG_INT(0), ARG_U32(1)); }

sysret_t linux_msgsnd(const struct syscall_args *a)
{
    s64 type;
    u64 len = a->a[2];

    if (copy_in(&type, a->a[1], sizeof type)) return -EFAULT;
    struct msq_msg *m;
    if (ARG_INT(0) < 0 || type < 1) return -EINVAL;
    sysret_t r = msq_msg_new(type, len, &m);
    if (r) return r;
    r = copy_in(m->data, a->a[1] + sizeof type, len) ? -EFAULT : msq_send(ARG_INT(0), m, ARG_U32(3));
    if (r) free(m);
    return r;
}

sysret_t linux_msgrcv(const struct syscall_args *a)
{
    struct msq_msg *m = NULL;
    u64 limit = a->a[2];
    sysret_t r = msq_receive(ARG_INT(0), limit, (s64)a->a[3], ARG_U32(4), &m);

    if (r) return r;
    u64 n = MIN(limit, m->len);
    /* As in Linux, a message that cannot be stored is lost. */
    if (copy_out(a->a[1], &m->type, sizeof m->type) || copy_out(a->a[1] + sizeof m->type, m->data, n)) r = -EFAULT;
    else r = (sysret_t)n;
    free(m);
    return r;
}

static sysret_t msq_stat_out(s32 id, enum ipc_stat_how how, gaddr_t to)
{
    struct msq_stat st;
    sysret_t r = msq_do_stat(id, how, &st);

    if (r < 0) return r;
    struct linux_msqid64_ds ds = { .perm = perm_out(&st.perm), .stime = st.stime, .rtime = st.rtime, .ctime = st.ctime,
        .cbytes = st.cbytes, .qnum = st.qnum, .qbytes = st.qbytes, .lspid = pid_out(st.lspid), .lrpid = pid_out(st.lrpid) };
    if (copy_out(to, &ds, sizeof ds)) return -EFAULT;
    return how == IPC_STAT_ID ? 0 : r;
}

static sysret_t msq_info_out(gaddr_t to, bool live)
{
    const struct ipc_settings *s = ipc_ns_settings();
    struct linux_msginfo i = { .pool = 512000, .map = 16384, .max = (s32)atomic_load(&s->msgmax), .mnb = (s32)atomic_load(&s->msgmnb),
        .mni = (s32)atomic_load(&s->msgmni), .ssz = 16, .tql = 16384, .seg = 0xffff };

    if (live) {
        struct msq_usage u;
        msq_usage(&u);
        i.pool = (s32)u.queues;
        i.map = (s32)u.msgs;
        i.tql = (s32)u.bytes;
    }
    return copy_out(to, &i, sizeof i) ? -EFAULT : msq_max_index();
}

sysret_t linux_msgctl(const struct syscall_args *a)
{
    s32 id = ARG_INT(0);
    gaddr_t p = a->a[2];
    int r;

    if (id < 0 || ARG_INT(1) < 0) return -EINVAL;
    switch (ARG_INT(1)) {
    case LINUX_IPC_INFO: return msq_info_out(p, false);
    case LINUX_MSG_INFO: return msq_info_out(p, true);
    case LINUX_IPC_STAT: return msq_stat_out(id, IPC_STAT_ID, p);
    case LINUX_MSG_STAT: return msq_stat_out(id, IPC_STAT_INDEX, p);
    case LINUX_MSG_STAT_ANY: return msq_stat_out(id, IPC_STAT_ANY, p);
    case LINUX_IPC_SET: {
        struct linux_msqid64_ds ds;
        struct ipc_set_k s;
        if (copy_in(&ds, p, sizeof ds)) return -EFAULT;
        return (r = set_in(&s, &ds.perm)) ? r : msq_set(id, &s, ds.qbytes);
    }
    case LINUX_IPC_RMID: return msq_remove(id);
    default: return -EINVAL;
    }
}
