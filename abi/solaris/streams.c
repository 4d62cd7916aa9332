/*
 * Calls for STREAMS, Version 7 terminals and access control lists on files that are none and have none: the descriptor or name is looked
 * at first. Source: getmsg(2), putmsg(2), acl(2); uts/common/syscall/strcalls.c, ioctl.c (stty, gtty), acl.c.
 */
#include "abi/solaris/solaris.h"

static sysret_t no_stream(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return -ENOSTR;
}

sysret_t solaris_getmsg(const struct syscall_args *a) { return no_stream(a); }
sysret_t solaris_putmsg(const struct syscall_args *a) { return no_stream(a); }
sysret_t solaris_getpmsg(const struct syscall_args *a) { return no_stream(a); }
sysret_t solaris_putpmsg(const struct syscall_args *a) { return no_stream(a); }

/* The requests TIOCSETP and TIOCGETP, which no terminal here knows (the module "ttcompat" would). */
static sysret_t no_sgtty(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return -ENOTTY;
}

sysret_t solaris_stty(const struct syscall_args *a) { return no_sgtty(a); }
sysret_t solaris_gtty(const struct syscall_args *a) { return no_sgtty(a); }

/* acl(path, cmd, n, entries) */
sysret_t solaris_acl(const struct syscall_args *a)
{
    AUTO_PATH p = { 0 };
    PATH_ARG(path, a->a[0]);
    int r = sol_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    return r ? r : -ENOSYS;
}

sysret_t solaris_facl(const struct syscall_args *a)
{
    FILE_ARG(f, a->a[0]);
    return -ENOSYS;
}
