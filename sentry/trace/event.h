/* One event stream: strace, unsupported calls, fatal signals, denials. Sinks format it. */
#ifndef SUNDOG_TRACE_EVENT_H
#define SUNDOG_TRACE_EVENT_H
#include "abi/abi.h"

enum trace_mode { TRACE_OFF, TRACE_TEXT, TRACE_JSON };
extern bool trace_syscalls;                       /* fast test in the dispatch path */
void trace_init(enum trace_mode mode, int fd);
void trace_syscall_enter(struct task *t, u64 nr, const struct syscall_desc *d, const struct syscall_args *a);
void trace_syscall_exit(struct task *t, u64 nr, const struct syscall_desc *d, const struct syscall_args *a, sysret_t ret);
void trace_signal(struct task *t, const struct ksiginfo *info);
void trace_task_exit(struct task *t, u32 wait_status);
/* Each call (by abi and number) is named once on stderr with its consequence. */
void event_unsupported(const struct abi *abi, u64 nr, const struct syscall_desc *d);
void event_fatal_signal(struct task *t, const struct ksiginfo *info);
void event_denied(const char *what, const char *object, const char *rule, const char *how_to_allow);
#endif
