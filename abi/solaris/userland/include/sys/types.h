/* Basic types of the Solaris LP64 ABI (sys/types.h). */
#ifndef _SYS_TYPES_H
#define _SYS_TYPES_H
#include <stddef.h>
#include <stdint.h>

typedef long ssize_t;
typedef int pid_t;
typedef unsigned int uid_t, gid_t, mode_t, nlink_t, minor_t, major_t;
typedef int id_t, zoneid_t, taskid_t, projid_t, poolid_t, ctid_t, key_t, blksize_t, clockid_t, timer_t;
typedef unsigned long dev_t, ino_t, ino64_t, rlim_t, rlim64_t, fsblkcnt_t, fsfilcnt_t, nfds_t;
typedef long off_t, off64_t, offset_t, blkcnt_t, blkcnt64_t, time_t, clock_t, suseconds_t;
typedef unsigned long u_offset_t;
typedef long long hrtime_t;
typedef unsigned int useconds_t, thread_t, thread_key_t, pthread_t, pthread_key_t;
typedef unsigned char uchar_t, u_char;
typedef unsigned short ushort_t, u_short, ushort;
typedef unsigned int uint_t, u_int, uint;
typedef unsigned long ulong_t, u_long, ulong;
typedef long long longlong_t;
typedef unsigned long long u_longlong_t;
typedef char *caddr_t;
typedef unsigned char u_int8_t;
typedef unsigned short u_int16_t;
typedef unsigned int u_int32_t;
typedef unsigned long u_int64_t;
typedef enum { B_FALSE, B_TRUE } boolean_t;
typedef int processorid_t, psetid_t, lgrp_id_t;
typedef unsigned int lwpid_t;

/* An all-zero mutex, condition or read-write lock is a valid, unlocked one of the default type. */
typedef struct _pthread_mutex {
    struct {
        uint16_t __flag1; /* recursion count */
        uint8_t __flag2, __ceiling;
        uint16_t __type, __magic;
    } __flags;
    union {
        uint8_t __bytes[8];
        uint64_t __word64;
        struct {
            uint32_t __word, __owner;
        } __w;
    } __lock;
    uint64_t __data;
} pthread_mutex_t;
typedef struct _pthread_cond {
    struct {
        uint8_t __flag[4];
        uint16_t __type, __magic;
    } __flags;
    uint64_t __data;
} pthread_cond_t;
typedef struct _pthread_rwlock {
    int32_t __readers;
    uint16_t __type, __magic;
    uint32_t __words[14];
} pthread_rwlock_t;
typedef struct { void *__pthread_attrp; } pthread_attr_t;
typedef struct { void *__pthread_mutexattrp; } pthread_mutexattr_t;
typedef struct { void *__pthread_condattrp; } pthread_condattr_t;
typedef struct { void *__pthread_rwlockattrp; } pthread_rwlockattr_t;
typedef struct { void *__pthread_barrierattrp; } pthread_barrierattr_t;
typedef struct { uint64_t __pthread_once_pad[4]; } pthread_once_t;
typedef struct { uint64_t __words[8]; } pthread_barrier_t;
typedef struct { uint64_t __words[3]; } pthread_spinlock_t;

#include <sys/select.h>
#endif
