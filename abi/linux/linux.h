/*
 * The Linux x86-64 ABI: what its files share. Adapters are named linux_<syscall> and take raw arguments; they convert
 * structures (uapi_*.h) and call the neutral bodies of the kernel core.
 */
#ifndef SUNDOG_ABI_LINUX_H
#define SUNDOG_ABI_LINUX_H

#include "abi/abi.h"
#include "abi/linux/linux_syscalls.gen.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usercopy.h"
#include <time.h>

struct exec_image;

/* Reads a kernel sigset_t (8 bytes). */
int linux_copy_in_sigset(ksigset_t *out, gaddr_t p, u64 size) MUST_CHECK;   /* -EINVAL wrong size, -EFAULT */
int linux_copy_out_sigset(gaddr_t p, const ksigset_t *s) MUST_CHECK;
/* siginfo_t, 128 bytes. In: what rt_sigqueueinfo and friends accept from a guest. */
int linux_copy_out_siginfo(gaddr_t p, const struct ksiginfo *info) MUST_CHECK;
int linux_copy_in_siginfo(struct ksiginfo *out, gaddr_t p) MUST_CHECK;
struct linux_siginfo;
void linux_siginfo_fill(struct linux_siginfo *out, const struct ksiginfo *info);   /* *out is zeroed before */
int linux_copy_in_timespec(struct timespec *out, gaddr_t p);        /* abi/linux/uapi_time.h's file */
int linux_copy_out_timespec(gaddr_t p, const struct timespec *ts);

/* Delivers what is pending; restart: the -ERESTART* result of the system call in service, else 0 (signal.c). */
void linux_deliver(struct task *t, int restart);
void linux_deliver_signals(struct task *t);

int linux_load(struct exec_image *img);                             /* load.c */
int linux_recognise(const u8 *head, size_t len);
bool linux_exception(struct task *t, const struct platform_exit *e);/* vsyscall.c */
void linux_task_exit(struct task *t);                               /* process.c */
const char *linux_errno_name(int err);                              /* names.c */
const char *linux_signal_name(int sig);

/*
 * seccomp(2). Runs the filters of current on this call. True: go on; false: *ret is the answer (or the task was sent
 * a signal). Must be called only with t->seccomp_mode != 0.
 */
bool linux_seccomp_check(struct task *t, u64 nr, const struct syscall_args *a, sysret_t *ret);

/* rseq(2) (rseq.c). False: the area or its critical section is bad. */
bool linux_rseq_moved(struct task *t);                              /* abi->cpu_moved; sends SIGSEGV */
bool linux_rseq_signal(struct task *t);                             /* before a handler's frame is built */
#define LINUX_RSEQ_FEATURE_SIZE 28
#define LINUX_RSEQ_ALIGN 32

/* Around what a handler calls: it may answer -EPARKED, which is the handler's result then. Not while calls are traced or timed. */
void linux_parking(bool on);
struct core_dump;
void linux_core(struct core_dump *c);                               /* core.c */

struct rusage_acc;
int linux_copy_out_rusage(gaddr_t p, const struct rusage_acc *ru) MUST_CHECK;
/* The accounting of a whole live thread group, or of one task (info.c). */
void linux_rusage_of(struct task *t, int who, struct rusage_acc *out);

/* ptrace(2) access rules (mm.c). */
bool linux_may_access_task(struct task *t);
/*
 * A structure that grows, of size bytes: at least `least`, of which `have` are known; what a newer program adds must be zero.
 * -EFAULT, -EINVAL, -E2BIG. Source: copy_struct_from_user() of Linux.
 */
int linux_copy_in_grown(void *dst, size_t have, size_t least, gaddr_t src, u64 size);

#define ARG_INT(n) ((int)a->a[n])
#define ARG_U32(n) ((u32)a->a[n])

#endif
