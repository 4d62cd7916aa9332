/*
 * Solaris system calls from C: number in %eax, arguments in rdi rsi rdx r10 r8 r9, errors by the carry flag with a
 * positive errno. raw_call() gives the first value, or -errno; the second value (%rdx) goes to *second if wanted.
 */
#ifndef SUNDOG_SOLARIS_SYSENTRY_H
#define SUNDOG_SOLARIS_SYSENTRY_H
#include <stdint.h>

#define SYS_exit 1
#define SYS_read 3
#define SYS_write 4
#define SYS_open 5
#define SYS_close 6
#define SYS_linkat 7
#define SYS_link 9
#define SYS_unlink 10
#define SYS_symlinkat 11
#define SYS_chdir 12
#define SYS_mknod 14
#define SYS_chmod 15
#define SYS_chown 16
#define SYS_brk 17
#define SYS_stat 18
#define SYS_lseek 19
#define SYS_getpid 20
#define SYS_readlinkat 22
#define SYS_setuid 23
#define SYS_getuid 24
#define SYS_stime 25
#define SYS_alarm 27
#define SYS_fstat 28
#define SYS_pause 29
#define SYS_access 33
#define SYS_nice 34
#define SYS_sync 36
#define SYS_kill 37
#define SYS_pgrpsys 39
#define SYS_pipe 42
#define SYS_times 43
#define SYS_faccessat 45
#define SYS_setgid 46
#define SYS_getgid 47
#define SYS_mknodat 48
#define SYS_msgsys 49
#define SYS_shmsys 52
#define SYS_semsys 53
#define SYS_ioctl 54
#define SYS_fchownat 56
#define SYS_fdsync 58
#define SYS_execve 59
#define SYS_umask 60
#define SYS_chroot 61
#define SYS_fcntl 62
#define SYS_ulimit 63
#define SYS_renameat 64
#define SYS_unlinkat 65
#define SYS_fstatat 66
#define SYS_openat 68
#define SYS_getpagesizes 73
#define SYS_rctlsys 74
#define SYS_lwp_park 77
#define SYS_sendfilev 78
#define SYS_rmdir 79
#define SYS_mkdir 80
#define SYS_getdents 81
#define SYS_privsys 82
#define SYS_getmsg 85
#define SYS_putmsg 86
#define SYS_lstat 88
#define SYS_symlink 89
#define SYS_readlink 90
#define SYS_setgroups 91
#define SYS_getgroups 92
#define SYS_fchmod 93
#define SYS_fchown 94
#define SYS_sigsuspend 96
#define SYS_sigaltstack 97
#define SYS_sigaction 98
#define SYS_sigpending 99
#define SYS_context 100
#define SYS_fchmodat 101
#define SYS_mkdirat 102
#define SYS_statvfs 103
#define SYS_fstatvfs 104
#define SYS_getloadavg 105
#define SYS_waitid 107
#define SYS_utimesys 110
#define SYS_sigresend 111
#define SYS_priocntlsys 112
#define SYS_pathconf 113
#define SYS_mincore 114
#define SYS_mmap 115
#define SYS_mprotect 116
#define SYS_munmap 117
#define SYS_fpathconf 118
#define SYS_fchdir 120
#define SYS_readv 121
#define SYS_writev 122
#define SYS_preadv 123
#define SYS_pwritev 124
#define SYS_getrandom 126
#define SYS_setrlimit 128
#define SYS_getrlimit 129
#define SYS_lchown 130
#define SYS_memcntl 131
#define SYS_rename 134
#define SYS_uname 135
#define SYS_setegid 136
#define SYS_sysconfig 137
#define SYS_adjtime 138
#define SYS_systeminfo 139
#define SYS_seteuid 141
#define SYS_forksys 142
#define SYS_sigtimedwait 144
#define SYS_yield 146
#define SYS_lwp_sema_post 148
#define SYS_lwp_sema_trywait 149
#define SYS_lwp_detach 150
#define SYS_gettimeofday 156
#define SYS_getitimer 157
#define SYS_setitimer 158
#define SYS_lwp_create 159
#define SYS_lwp_exit 160
#define SYS_lwp_suspend 161
#define SYS_lwp_continue 162
#define SYS_lwp_kill 163
#define SYS_lwp_self 164
#define SYS_lwp_sigmask 165
#define SYS_lwp_private 166
#define SYS_lwp_wait 167
#define SYS_lwp_mutex_wakeup 168
#define SYS_lwp_cond_wait 170
#define SYS_lwp_cond_signal 171
#define SYS_lwp_cond_broadcast 172
#define SYS_pread 173
#define SYS_pwrite 174
#define SYS_rusagesys 181
#define SYS_port 182
#define SYS_pollsys 183
#define SYS_p_online 189
#define SYS_sigqueue 190
#define SYS_clock_gettime 191
#define SYS_clock_settime 192
#define SYS_clock_getres 193
#define SYS_timer_create 194
#define SYS_timer_delete 195
#define SYS_timer_settime 196
#define SYS_timer_gettime 197
#define SYS_timer_getoverrun 198
#define SYS_nanosleep 199
#define SYS_setreuid 202
#define SYS_setregid 203
#define SYS_resolvepath 209
#define SYS_lwp_mutex_timedlock 210
#define SYS_lwp_sema_timedwait 211
#define SYS_getcwd 229
#define SYS_so_socket 230
#define SYS_so_socketpair 231
#define SYS_bind 232
#define SYS_listen 233
#define SYS_accept 234
#define SYS_connect 235
#define SYS_shutdown 236
#define SYS_recv 237
#define SYS_recvfrom 238
#define SYS_recvmsg 239
#define SYS_send 240
#define SYS_sendmsg 241
#define SYS_sendto 242
#define SYS_getpeername 243
#define SYS_getsockname 244
#define SYS_getsockopt 245
#define SYS_setsockopt 246
#define SYS_lwp_mutex_unlock 250
#define SYS_lwp_mutex_trylock 251

static inline __attribute__((always_inline)) long raw_call(long *second, long nr, long a, long b, long c, long d,
                                                           long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long rax = nr, rdx = c;

    __asm__ volatile("syscall\n\tjnc 1f\n\tmovl %%eax, %%eax\n\tnegq %%rax\n1:"
                     : "+a"(rax), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "D"(a), "S"(b)
                     : "rcx", "r11", "memory", "cc");
    if (second)
        *second = rdx;
    return rax;
}

#define RAW_L(x) (long)(x)
#define RAW_PICK(_0, _1, _2, _3, _4, _5, _6, N, ...) N
#define RAW0(n) raw_call(0, n, 0, 0, 0, 0, 0, 0)
#define RAW1(n, a) raw_call(0, n, RAW_L(a), 0, 0, 0, 0, 0)
#define RAW2(n, a, b) raw_call(0, n, RAW_L(a), RAW_L(b), 0, 0, 0, 0)
#define RAW3(n, a, b, c) raw_call(0, n, RAW_L(a), RAW_L(b), RAW_L(c), 0, 0, 0)
#define RAW4(n, a, b, c, d) raw_call(0, n, RAW_L(a), RAW_L(b), RAW_L(c), RAW_L(d), 0, 0)
#define RAW5(n, a, b, c, d, e) raw_call(0, n, RAW_L(a), RAW_L(b), RAW_L(c), RAW_L(d), RAW_L(e), 0)
#define RAW6(n, a, b, c, d, e, f) raw_call(0, n, RAW_L(a), RAW_L(b), RAW_L(c), RAW_L(d), RAW_L(e), RAW_L(f))
/* RAW(number, arguments...): value or -errno */
#define RAW(...) RAW_PICK(__VA_ARGS__, RAW6, RAW5, RAW4, RAW3, RAW2, RAW1, RAW0)(__VA_ARGS__)
/* an error result: errnos are 1..151; a mapping address or a clock never falls there */
#define RAW_FAILED(r) ((unsigned long)(r) > -4096UL)
#endif
