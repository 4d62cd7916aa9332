/* Pid namespaces. pid_namespaces(7). NULL is the initial one, where numbers are the kernel's own. */
#ifndef SUNDOG_KERNEL_PID_NS_H
#define SUNDOG_KERNEL_PID_NS_H

#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"

#define PID_NS_CHAIN 33

struct pid_entry;
struct pid_ns {
    struct ns ns;
    struct pid_ns *parent;         /* (c) counted */
    unsigned level;                /* (c) */
    s32 next;                      /* with by_nr under the lock of pid_ns.c */
    struct pid_entry *by_nr;
    struct tgroup *init;           /* (T) process 1; borrowed, NULL before it is made and after it was reaped */
    bool dead;                     /* (T) process 1 is ending: nobody is born any more */
    struct task *zapper;           /* (T) its last thread, waiting for the others to go; borrowed */
};
int pid_ns_new(struct pid_ns *parent, struct user_ns *owner, struct ns **out);     /* -ENOSPC */
bool pid_ns_contains(const struct pid_ns *above, const struct pid_ns *ns);         /* also itself */
/* Gives id its numbers in ns and above; *own: that in ns, which is `wanted` if not 0. -EAGAIN -EEXIST */
int pid_ns_number(s32 id, struct pid_ns *ns, s32 wanted, s32 *own);
/* The number given last in ns (NULL: the initial one), and what that is to be: the next process gets the one behind it, if free. */
s32 pid_ns_last(struct pid_ns *ns);
void pid_ns_set_last(struct pid_ns *ns, s32 nr);
void pid_ns_release_locked(s32 id);            /* tasklist held: id may have lost its last user */
/* To: 0 when id is not seen there. From: a number that nobody has. Ids and numbers <= 0 stay. */
s32 pid_to_ns(s32 id, const struct pid_ns *ns);
s32 pid_from_ns(s32 nr, struct pid_ns *ns);
s32 pid_ns_next(struct pid_ns *ns, s32 nr);    /* smallest number in use there >= nr; 0: none. ns not NULL */
/* The numbers of id from namespace `from` down to its own. */
void pid_ns_chain(s32 id, const struct pid_ns *from, s32 out[PID_NS_CHAIN], unsigned *n);
struct tgroup *pid_ns_init_locked(const struct pid_ns *ns);

#endif
