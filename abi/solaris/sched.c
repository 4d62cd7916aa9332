/*
 * Scheduling classes (priocntl(2)) and processor sets (pset_create(2)): there is one class, TS, whose nice value is what there is to set, and
 * no set. Source: sys/priocntl.h, sys/tspriocntl.h, uts/common/disp/priocntl.c, uts/common/syscall/pset.c.
 */
#include "abi/solaris/solaris.h"
#include <linux/capability.h>

enum { PC_GETCID, PC_GETCLINFO, PC_SETPARMS, PC_GETPARMS, PC_ADMIN, PC_GETPRIRANGE, PC_DONICE, PC_SETXPARMS, PC_GETXPARMS, PC_SETDFLCL, PC_GETDFLCL, PC_DOPRIO };
enum { CL_SYS, CL_TS, CL_N };
#define TS_MAXUPRI 60
struct sol_pcinfo { s32 cid; char clname[16]; s16 maxupri; s16 fill[15]; };
SOL_SIZE(sol_pcinfo, 52);
struct sol_pcparms { s32 cid; s16 uprilim, upri; s16 fill[14]; };
SOL_SIZE(sol_pcparms, 36);
struct sol_procset { s32 op, lidtype; s32 lid; s32 ridtype; s32 rid; };
#define P_MYID (-1)

static const char *const class_names[CL_N] = { "SYS", "TS" };

/* Nice values 20 (worst) .. -20 as user priorities -60 .. 60. */
static s16 upri_of(int nice) { return (s16)(-nice * TS_MAXUPRI / 20); }
static int nice_of(int upri) { return -upri * 20 / TS_MAXUPRI; }

typedef void each_fn(struct task *t, void *arg);

/* Each task of the processes meant by the left half of a set. -EINVAL: not a kind of set that is understood; -ESRCH: nobody. */
static int for_each_of(const struct sol_procset *ps, each_fn *fn, void *arg)
{
    s32 id = ps->lid;
    struct tgroup *tg;
    struct task *t;
    bool found = false;

    switch (ps->lidtype) {
    case 8:                              /* P_LWPID, of this process */
        t = id == P_MYID ? current : sol_lwp_task_get(id);
        if (!t) return -ESRCH;
        fn(t, arg);
        if (t != current || id != P_MYID) task_put(t);
        return 0;
    case 0: if (id == P_MYID) id = current->tg->tgid; break;
    case 2: if (id == P_MYID) id = (s32)task_getpgid(0); break;
    case 5: if (id == P_MYID) id = (s32)current_cred()->uid; break;
    case 7: break;                       /* P_ALL */
    default: return -EINVAL;
    }
    for (s32 next = 1; (tg = tgroup_next_get(next)); tgroup_put(tg)) {
        next = tg->tgid + 1;
        if (ps->lidtype == 0 && tg->tgid != id) continue;
        if (ps->lidtype == 2 && tgroup_pgid(tg) != id) continue;
        for (s32 tid = 1; (t = tgroup_next_task_get(tg, tid)); task_put(t)) {
            struct cred *c = task_get_cred(t);
            bool match = ps->lidtype != 5 || c->uid == (u32)id;

            cred_put(c);
            tid = t->tid + 1;
            if (!match) continue;
            found = true;
            fn(t, arg);
        }
    }
    return found ? 0 : -ESRCH;
}

struct nice_op { int nice, err; bool relative; };

static void nice_set(struct task *t, void *arg)
{
    struct nice_op *op = arg;
    struct cred *o = task_get_cred(t);
    bool mine = current_cred()->euid == o->euid || current_cred()->euid == o->uid;

    cred_put(o);
    if (!mine && !cred_over_task(current_cred(), t, CAP_SYS_NICE)) op->err = -EPERM;
    else if (op->nice < atomic_load(&t->nice) && !capable(CAP_SYS_NICE)) op->err = -EPERM;
    else atomic_store(&t->nice, op->nice);
}

static void nice_min(struct task *t, void *arg)
{
    struct nice_op *op = arg;
    op->nice = MIN(op->nice, atomic_load(&t->nice));
}

static sysret_t do_nice(const struct sol_procset *ps, gaddr_t arg)
{
    struct { s32 val, op; } n;
    struct nice_op op = { 0 };
    int r;

    if (copy_in(&n, arg, sizeof(n))) return -EFAULT;
    if (n.op == 1) {                     /* PC_SETNICE */
        op.nice = n.val > 19 ? 19 : n.val < -20 ? -20 : n.val;
        r = for_each_of(ps, nice_set, &op);
        return r ? r : op.err;
    }
    if (n.op) return -EINVAL;
    op.nice = 100;
    if ((r = for_each_of(ps, nice_min, &op))) return r;
    n.val = op.nice;
    return copy_out(arg, &n, sizeof(n));
}

static void class_fill(struct sol_pcinfo *i, int cid)
{
    *i = (struct sol_pcinfo){ .cid = cid, .maxupri = cid == CL_TS ? TS_MAXUPRI : 0 };
    strcpy(i->clname, class_names[cid]);
}

static sysret_t class_info(int cmd, gaddr_t arg)
{
    struct sol_pcinfo i;
    int cid;

    if (!arg) return cmd == PC_GETCLINFO ? CL_N : -EINVAL;
    if (copy_in(&i, arg, sizeof(i))) return -EFAULT;
    if (cmd == PC_GETCLINFO) {
        cid = i.cid;
        if (cid < 0 || cid >= CL_N) return -EINVAL;
    } else {
        i.clname[sizeof(i.clname) - 1] = 0;
        for (cid = 0; cid < CL_N && strcmp(i.clname, class_names[cid]); cid++) {}
        if (cid == CL_N) return -EINVAL;
    }
    class_fill(&i, cid);
    return copy_out(arg, &i, sizeof(i)) ? -EFAULT : CL_N;
}

static sysret_t get_parms(const struct sol_procset *ps, gaddr_t arg)
{
    struct sol_pcparms p;
    struct nice_op op = { .nice = 100 };
    int r;

    if (copy_in(&p, arg, sizeof(p))) return -EFAULT;
    if (p.cid != -1 && p.cid != CL_TS) return p.cid < 0 || p.cid >= CL_N ? -EINVAL : -ESRCH;
    if ((r = for_each_of(ps, nice_min, &op))) return r;
    p = (struct sol_pcparms){ .cid = CL_TS, .uprilim = 0, .upri = upri_of(op.nice) };
    return copy_out(arg, &p, sizeof(p)) ? -EFAULT : current->tg->tgid;
}

static sysret_t set_parms(const struct sol_procset *ps, gaddr_t arg)
{
    struct sol_pcparms p;
    struct nice_op op = { 0 };
    int r;

    if (copy_in(&p, arg, sizeof(p))) return -EFAULT;
    if (p.cid != CL_TS) return -EINVAL;
    if (p.upri == INT16_MIN) return 0;   /* TS_NOCHANGE */
    if (p.upri < -TS_MAXUPRI || p.upri > TS_MAXUPRI) return -EINVAL;
    op.nice = MIN(nice_of(p.upri), 19);
    r = for_each_of(ps, nice_set, &op);
    return r ? r : op.err;
}

/* priocntlsys(version, procset, cmd, arg, arg2) */
sysret_t solaris_priocntlsys(const struct syscall_args *a)
{
    struct sol_procset ps;
    struct { s32 cid; s16 max, min; } range;
    struct { s32 op, cid, val; } prio;
    int cmd = ARG_INT(2);

    if (ARG_INT(0) != 1) return -EINVAL;
    switch (cmd) {
    case PC_GETCID: case PC_GETCLINFO:
        return class_info(cmd, a->a[3]);
    case PC_SETPARMS: case PC_GETPARMS: case PC_DONICE: case PC_DOPRIO:
        if (copy_in(&ps, a->a[1], sizeof(ps))) return -EFAULT;
        if (cmd == PC_SETPARMS) return set_parms(&ps, a->a[3]);
        if (cmd == PC_GETPARMS) return get_parms(&ps, a->a[3]);
        if (cmd == PC_DONICE) return do_nice(&ps, a->a[3]);
        if (copy_in(&prio, a->a[3], sizeof(prio))) return -EFAULT;
        if (prio.op != 0) return prio.op == 1 ? -EPERM : -EINVAL;
        prio.cid = CL_TS;
        prio.val = 0;                    /* no class here has priorities of its own */
        return copy_out(a->a[3], &prio, sizeof(prio));
    case PC_GETPRIRANGE:
        if (copy_in(&range, a->a[3], sizeof(range))) return -EFAULT;
        if (range.cid < 0 || range.cid >= CL_N) return -EINVAL;
        range.max = range.cid == CL_TS ? 59 : 99;
        range.min = range.cid == CL_TS ? 0 : 60;
        return copy_out(a->a[3], &range, sizeof(range));
    case PC_GETDFLCL: {
        struct sol_pcinfo i;
        class_fill(&i, CL_TS);
        return copy_out(a->a[3], &i, sizeof(i));
    }
    case PC_GETXPARMS: case PC_SETXPARMS: return -EOPNOTSUPP;
    case PC_ADMIN: case PC_SETDFLCL: return -EPERM;
    default: return -EINVAL;
    }
}

enum { PSET_CREATE, PSET_DESTROY, PSET_ASSIGN, PSET_INFO, PSET_BIND, PSET_GETLOADAVG, PSET_LIST, PSET_SETATTR, PSET_GETATTR, PSET_ASSIGN_FORCED };
#define PS_NONE (-1)
#define PS_QUERY (-2)
#define PS_MYID (-3)

/* pset(op, ...): none exists, all processors are in none */
sysret_t solaris_pset(const struct syscall_args *a)
{
    s32 none = PS_NONE, type = 1;        /* PS_SYSTEM */
    u32 n, have = 0;

    switch (ARG_INT(0)) {
    case PSET_CREATE: case PSET_DESTROY: case PSET_SETATTR: return -EPERM;
    case PSET_ASSIGN: case PSET_ASSIGN_FORCED:
        if (ARG_INT(1) != PS_QUERY) return -EPERM;
        if (ARG_U32(2) >= kernel_ncpus()) return -EINVAL;
        return a->a[3] && copy_out(a->a[3], &none, sizeof(none)) ? -EFAULT : 0;
    case PSET_INFO:                      /* (set, type, n, cpus) */
        if (ARG_INT(1) != PS_NONE && ARG_INT(1) != PS_MYID) return -EINVAL;
        if (a->a[2] && copy_out(a->a[2], &type, sizeof(type))) return -EFAULT;
        if (!a->a[3]) return 0;
        if (copy_in(&n, a->a[3], sizeof(n))) return -EFAULT;
        have = kernel_ncpus();
        for (s32 cpu = 0; a->a[4] && cpu < (s32)MIN(n, have); cpu++)
            if (copy_out(a->a[4] + (u64)cpu * 4, &cpu, sizeof(cpu))) return -EFAULT;
        return copy_out(a->a[3], &have, sizeof(have));
    case PSET_BIND:                      /* (set, idtype, id, old) */
        if (ARG_INT(1) != PS_QUERY && ARG_INT(1) != PS_NONE) return -EINVAL;
        return a->a[4] && copy_out(a->a[4], &none, sizeof(none)) ? -EFAULT : 0;
    case PSET_LIST:                      /* (sets, n) */
        return copy_out(a->a[2], &have, sizeof(have));
    case PSET_GETLOADAVG: case PSET_GETATTR: return -EINVAL;
    default: return -EINVAL;
    }
}
