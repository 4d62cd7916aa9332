/* Basic types and helpers shared by every program of the project. Depends on libc only. */
#ifndef SUNDOG_BASE_TYPES_H
#define SUNDOG_BASE_TYPES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* A guest virtual address: never a C pointer. Only mm/usercopy.h turns it into bytes. */
typedef u64 gaddr_t;

/* Nanoseconds; of which clock, the user says. KTIME_NEVER: no deadline. */
typedef s64 ktime_t;
#define KTIME_NEVER INT64_MAX
#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL

/*
 * What a system-call body returns: a value >= 0, or a negative errno (host Linux numbers), or a
 * restart class below. A second result register (Solaris) goes to current->ret2.
 */
typedef s64 sysret_t;

/* Restart classes: never seen by the guest; resolved once at the ABI's exit path (signal(7)). */
#define ERESTARTSYS 512          /* restart if the handler has SA_RESTART, else EINTR */
#define ERESTARTNOINTR 513       /* always restart */
#define ERESTARTNOHAND 514       /* restart only if no handler ran, else EINTR */
#define ERESTART_RESTARTBLOCK 516 /* restart through restart_syscall(2) (relative timeouts) */
/* Not a result: the call has to wait, and says in current->park how it goes on (task_park). Never leaves the dispatch. */
#define EPARKED 530
#define SYSRET_MAX_ERRNO 4095

#define GPAGE_SHIFT 12
#define GPAGE_SIZE 4096ULL
#define GPAGE_MASK (~(GPAGE_SIZE - 1))
#define gpage_down(x) ((u64)(x) & GPAGE_MASK)
#define gpage_up(x) (((u64)(x) + GPAGE_SIZE - 1) & GPAGE_MASK)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define UNUSED __attribute__((unused))

/* Overflow-checked sums for numbers that come from a guest. True on overflow. */
#define add_overflow(a, b, r) __builtin_add_overflow(a, b, r)
#define mul_overflow(a, b, r) __builtin_mul_overflow(a, b, r)

#endif
