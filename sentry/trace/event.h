/* One event stream: strace, unsupported calls, fatal signals, denials. Sinks format it. */
#ifndef SUNDOG_TRACE_EVENT_H
#define SUNDOG_TRACE_EVENT_H
#include "abi/abi.h"

enum trace_mode { TRACE_OFF, TRACE_TEXT, TRACE_JSON };
extern bool trace_syscalls;                       /* fast test in the dispatch path */
extern bool trace_fatal, trace_backtrace;         /* (c) report signals that kill; with the guest's stack */
void trace_init(enum trace_mode mode, int fd);
void trace_syscall_enter(struct task *t, u64 nr, const struct syscall_desc *d, const struct syscall_args *a);
void trace_syscall_exit(struct task *t, u64 nr, const struct syscall_desc *d, const struct syscall_args *a, sysret_t ret);
void trace_signal(struct task *t, const struct ksiginfo *info);
void trace_task_exit(struct task *t, u32 wait_status);
/* Each call (by abi and number) is named once on stderr with its consequence. */
void event_unsupported(const struct abi *abi, u64 nr, const struct syscall_desc *d);
void event_fatal_signal(struct task *t, const struct ksiginfo *info);
void event_denied(const char *what, const char *object, const char *rule, const char *how_to_allow);
/* The guest's call stack of t (its own thread, or t stopped) on the trace descriptor (trace/backtrace.c). */
void backtrace_print(struct task *t);
void trace_line(const char *s, size_t n);         /* one write(2) to the trace descriptor */

/* Argument decoders (trace/decode.c): false when the name or the value is not known. */
struct strbuf;
bool decode_flags(const char *name, u64 v, struct strbuf *out);
bool decode_struct(const char *name, gaddr_t p, struct strbuf *out);
void decode_quoted(struct strbuf *out, const u8 *s, size_t n, bool cut);
void decode_string(struct strbuf *out, gaddr_t p, size_t max);
#endif
