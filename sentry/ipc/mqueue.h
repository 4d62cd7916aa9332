/* POSIX message queues, ABI-neutral. Source: mq_overview(7), mq_open(3), mq_notify(3); ipc/mqueue.c of Linux. */
#ifndef SUNDOG_IPC_MQUEUE_H
#define SUNDOG_IPC_MQUEUE_H

#include "sentry/base/types.h"

struct file;

/* What the settings (struct ipc_settings) may be, and what binds the privileged. */
#define MQ_MIN_MSGSIZE_MAX 128
#define MQ_HARD_MSG_MAX 65536
#define MQ_HARD_MSGSIZE_MAX (16 * 1024 * 1024)
#define MQ_PRIO_LIMIT 32768

struct mq_limits { s64 maxmsg, msgsize; };
struct mq_state { u32 flags; s64 maxmsg, msgsize, curmsgs; };
/* none: SIGEV_NONE */
/* sock: a netlink socket that gets the cookie, its last byte set to what happened (MQ_WOKEN_UP, MQ_REMOVED). Counted, NULL: a signal. */
#define MQ_COOKIE 32
#define MQ_WOKEN_UP 1
#define MQ_REMOVED 2
struct mq_notice { bool none; int signo; u64 value; struct file *sock; u8 cookie[MQ_COOKIE]; };

/* name without the slash. limits NULL: the defaults. *out: a new open file. */
int mq_open_file(const char *name, u32 flags, u32 mode, const struct mq_limits *limits, struct file **out);
int mq_remove(const char *name);
bool mq_is(const struct file *f);
/* deadline: CLOCK_REALTIME, KTIME_NEVER: none. The caller has the access mode checked. */
s64 mq_msgsize(struct file *f);
/* data: malloc'ed, consumed on success. */
sysret_t mq_send_msg(struct file *f, void *data, u64 len, u32 prio, ktime_t deadline);
/* *data: to be freed by the caller. Length. */
sysret_t mq_receive_msg(struct file *f, void **data, u32 *prio, ktime_t deadline);
int mq_set_notice(struct file *f, const struct mq_notice *n /* NULL: no more */);   /* takes its own reference of sock; -EBUSY */
void mq_get_state(struct file *f, struct mq_state *out);

#endif
