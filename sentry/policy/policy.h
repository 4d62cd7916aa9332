/*
 * Every allow or deny is made here, by rules that sundog compiled from a profile and sent with the plan; each verdict
 * names the rule by its id (sundog knows its file and line) and can be recorded (base/evlog.h). Without a profile there
 * are no rules: what is mounted decides, as before.
 *
 * Paths: a dentry under a root that rules cover carries the state of the automaton (base/pathrules.h). The check of a
 * dentry that was granted and recorded before is two loads.
 */
#ifndef SUNDOG_POLICY_H
#define SUNDOG_POLICY_H

#include "sentry/base/evlog.h"
#include "sentry/base/connrules.h"
#include "sentry/base/pathrules.h"
#include "sentry/vfs/vfs.h"

enum policy_op { POLICY_NET_SOCKET, POLICY_NET_CONNECT, POLICY_NET_BIND, POLICY_FILE_READ, POLICY_FILE_WRITE, POLICY_FILE_EXEC, POLICY_SYSCALL };
enum policy_verdict { POLICY_ALLOW, POLICY_DENY };
struct policy_object { const char *path; u8 ip[16]; u16 port; unsigned proto; /* NR_* */ u32 nr; unsigned abi; /* 0 Linux, 1 Solaris */ };
/*
 * The decision alone, nothing recorded or counted. rule: its id, 0 when no rule names the object; may be NULL. In warn
 * mode the answer is still what the rules say.
 */
enum policy_verdict policy_check(enum policy_op op, const struct policy_object *o, u32 *rule);

/* From the plan, before the sentry locks itself in (maps the record). 0 or -errno: malformed. */
int policy_init(const u8 *plan, size_t len);
/* The views are made; from here on it is the program that looks for names. */
void policy_start(void);
extern bool policy_records_looks;       /* (c) after policy_start: policy_looked is to be called */
extern bool policy_records_absent;      /* (c) after policy_start */
extern bool policy_syscalls;            /* (a) calls are counted, and perhaps refused: the dispatch asks policy_syscall */
extern bool policy_times;               /* (c) calls are timed: the dispatch tells policy_syscall_done */
extern bool policy_watched;             /* (a) what is opened is recorded where no rules cover it */
/*
 * Somebody watches (CTL_WATCH), or nobody any more. fd: the record, taken, when there is none yet; -1 otherwise. Without
 * a watcher and without a profile nothing is counted or recorded. 0 or -errno
 */
int policy_watch(int fd, bool on);

/* --- files --- */
/*
 * sb is what is shown at path `at`; before anybody walks there. host: it holds files of the host, which the path rules
 * cover: sets the state of its root. Nothing without a profile.
 */
void policy_attach(struct super *sb, const char *at, bool host);
u32 policy_step(u32 state, const char *name, size_t len);
int policy_dentry_slow(struct dentry *d, u32 want);
void policy_dentry_watched(struct dentry *d, u32 want);
/* 0, or -EROFS (readable, not writable) or -EACCES. want: PR_*. Recorded. */
static inline int policy_dentry(struct dentry *d, u32 want)
{
    if (likely(!d->policy)) {
        if (unlikely(__atomic_load_n(&policy_watched, __ATOMIC_RELAXED))) policy_dentry_watched(d, want);
        return 0;
    }
    if ((__atomic_load_n(&d->policy_seen, __ATOMIC_RELAXED) & want) == want) return 0;
    return policy_dentry_slow(d, want);
}
/* Something in a place that is mounted read-only was to be changed: recorded, if rules are about it. */
void policy_readonly(struct dentry *d);
/* As policy_dentry, asked by access(2): not recorded. */
int policy_would(struct dentry *d, u32 want);
/* May the walk go on to `name` in dir? -EACCES where nothing there or beneath it is granted. rest: the path behind it. */
int policy_enter(struct dentry *dir, const char *name, const char *rest);
/* A name that is not there, in the root file system: recorded, so that it can be shown next time. */
void policy_looked(struct dentry *d);
void policy_absent(struct dentry *dir, const char *name, const char *rest);
/* May from's object get to's place (rename, link)? Rights must not change by it: -EXDEV. */
int policy_move(struct dentry *from, struct dentry *to, bool is_dir);

/* --- sockets, system calls, limits --- */
int policy_net(enum connrule_op op, unsigned proto, const u8 ip[16], u16 port);    /* 0 or -EACCES */
/* What the broker's resolver answered and refused since the last time (dns.c): pinned for the rules, recorded. Cheap when there is nothing. */
void policy_dns_sync(void);
int policy_dns_open(int fd);             /* takes the descriptor of a struct dnslog */
bool policy_dns_on(void);
void policy_dns_event(u32 kind, u32 rule, const char *name, const u8 ip[16]);
/* Counts it; -EPERM when a rule refuses it. abi 0: Linux, 1: Solaris. */
int policy_syscall(unsigned abi, u32 nr, const char *name);
void policy_syscall_done(unsigned abi, u32 nr);
void policy_limit_hit(const char *what);                                             /* recorded */
void policy_count_tasks(unsigned now);
/* Recorded with EVLOG_TIMES, else nothing. comm may lack its NUL: 16 bytes. */
void policy_process_forked(s32 pid, s32 parent, const char *comm);
void policy_process_execed(s32 pid, const char *file, char **argv);
void policy_process_ended(s32 pid, u32 wait_status, const char *comm);

/* --- the record (evlog.c) --- */
int evlog_open(int fd, u32 flags);       /* takes the descriptor of a sealed file of EVLOG_SIZE; EVLOG_* */
void evlog_add(enum evlog_op op, enum evlog_verdict v, u32 rule, u32 want, const char *object);
bool evlog_on(void);
void evlog_count_call(unsigned abi, u32 nr);
void evlog_count_tasks(unsigned now);
void evlog_call_time(unsigned abi, u32 nr, s64 began, s64 ended);   /* with EVLOG_TIMES */
void evlog_process(enum evlog_op op, s32 pid, u32 nr, const char *object);   /* nothing without EVLOG_TIMES */

#endif
