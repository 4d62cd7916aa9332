/*
 * Throws random Linux x86-64 calls at the kernel below it: a guest program, for the sandbox.
 *
 *   syscall_fuzz [--seconds N] [--seed S] [--workers N] [--threads N] [--last] [--log]
 *
 * A supervisor keeps workers alive for a second or two each: a worker may kill, unmap or block itself as it likes. What
 * the supervisor looks at is whether a killed worker can be reaped, and that the kernel below survives. --last prints
 * each worker's last calls when it ends, --log every call before it is made (the way to find the one that kills a
 * sentry). The calls of one thread depend on the seed alone; how threads interleave does not.
 */
#include "syscall_fuzz.h"
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))
enum { PAGE = 4096, RING = 32, MAX_WORKERS = 16, MAX_THREADS = 8, NFDS = 56 };
typedef uint64_t u64;

struct record {
    int nr, tid;
    u64 a[6];
    long ret;
    bool done;
};

struct ring { /* shared with the supervisor; one per thread slot */
    unsigned at;
    u64 calls;
    struct record r[RING];
};

static struct ring (*rings)[MAX_THREADS];
static bool opt_last, opt_log;
static unsigned nthreads = 3;
static int log_fd;

/* Of the worker. */
static char *area, *ro_page, *hole; /* 8 pages rw, then a page without access; read-only page; unmapped page */
static int fds[NFDS];
static u64 aio_context[2];
static pid_t dummy;
static volatile u64 worker_end;

struct thread {
    u64 rng;
    struct ring *ring;
    char *buf; /* a page of our own, its end the start of no-access */
};

static u64 now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static u64 rnd(struct thread *t)
{
    u64 z = (t->rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(struct thread *t, unsigned n) { return (unsigned)(rnd(t) >> 33) % n; }

/* No libc frame between us and the call: a vfork child returns here on our stack. */
static inline __attribute__((always_inline)) long raw(long nr, const u64 *a)
{
    register long ret __asm__("rax") = nr;
    register u64 r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall" : "+r"(ret) : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

static u64 edge(struct thread *t)
{
    static const u64 edges[] = { 0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536, 0x7fffffff,
        0x80000000u, 0xffffffffu, 0x100000000u, 0x7fffffffffffffff, 0x8000000000000000u, ~0ull, ~0ull - 1, ~0ull - 4095,
        0x7ffffffff000, 0x800000000000, 0xffff800000000000u, 0xffffffffff600000u, 0x7fffffffe000 };
    return below(t, 4) ? edges[below(t, ARRAY_LEN(edges))] : rnd(t) >> below(t, 64);
}

static u64 an_fd(struct thread *t)
{
    switch (below(t, 24)) {
    case 0: return edge(t);
    case 1: return (u64)below(t, 300);
    case 2: return (u64)AT_FDCWD;
    default: return (u64)fds[below(t, NFDS)];
    }
}

static u64 size(struct thread *t)
{
    static const u64 sizes[] = { 0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 56, 64, 88, 96, 112, 128, 144, 512, 1024, 4096, 8192, 65536, 1 << 20 };
    return below(t, 10) ? sizes[below(t, ARRAY_LEN(sizes))] : edge(t);
}

static u64 bad_pointer(struct thread *t)
{
    switch (below(t, 6)) {
    case 0: return 0;
    case 1: return (u64)ro_page + below(t, PAGE);
    case 2: return (u64)hole + below(t, PAGE);
    case 3: return (u64)area + 8 * PAGE - below(t, 64); /* runs into the page without access */
    case 4: return (u64)(uintptr_t)&bad_pointer;
    default: return edge(t);
    }
}

/* Random bytes with plausible words among them. */
static void fill(struct thread *t, char *p, unsigned n)
{
    unsigned how = below(t, 4);
    for (unsigned i = 0; i + 8 <= n; i += 8) {
        u64 w = how == 0 ? 0 : how == 1 ? rnd(t) : 0;
        if (how >= 2) switch (below(t, 8)) {
            case 0: w = edge(t); break;
            case 1: w = an_fd(t) | (u64)below(t, 64) << 32; break;
            case 2: w = (u64)t->buf + below(t, PAGE); break;
            case 3: w = size(t); break;
            case 4: w = (u64)below(t, 64) | (u64)below(t, 64) << 32; break;
            case 5: w = 1ull << below(t, 64); break;
            default: break;
            }
        memcpy(p + i, &w, 8);
    }
}

static u64 pointer(struct thread *t)
{
    if (!below(t, 12)) return bad_pointer(t);
    char *p = t->buf + below(t, 8) * 256;
    if (!below(t, 8)) p = t->buf + PAGE - 8 * (1 + below(t, 24)); /* ends at the page's end */
    unsigned room = (unsigned)(t->buf + PAGE - p);
    fill(t, p, room < 256 ? room : 256);
    return (u64)p + (below(t, 16) ? 0 : below(t, 8));
}

static u64 path(struct thread *t)
{
    static const char *const paths[] = { "a", "b", "c", "d", "d/a", "d/b", "d/c", "e", "e/a", "l", "l/a", "fifo", "sock", ".", "..",
        "", "a/", "d/", "d/.", "d/../a", "no/such", "x\xff", "/proc/self/maps", "/proc/self/mem", "/proc/self/status",
        "/proc/self/stat", "/proc/self/fd", "/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fdinfo/5", "/proc/self/task",
        "/proc/self/environ", "/proc/self/cmdline", "/proc/self/exe", "/proc/self/cwd", "/proc/self/root", "/proc/self/ns/net",
        "/proc/self/ns/pid", "/proc/self/oom_score_adj", "/proc/self/clear_refs", "/proc/self/smaps", "/proc/self/pagemap",
        "/proc/self/mountinfo", "/proc/self/comm", "/proc/self/uid_map", "/proc/self/attr/current", "/proc/self/limits",
        "/proc/thread-self", "/proc/thread-self/comm", "/proc/1/maps", "/proc/meminfo", "/proc/stat", "/proc/net/tcp",
        "/proc/net/unix", "/proc/sys/kernel/hostname", "/proc/sys/kernel/pid_max", "/proc/sys/vm/overcommit_memory",
        "/proc/cpuinfo", "/proc/mounts", "/proc/filesystems", "/proc/sys/fs/pipe-max-size", "/proc", "/sys", "/dev", "/dev/null",
        "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/net/tun", "/dev/pts", "/dev/pts/0", "/dev/shm/z",
        "/dev/shm", "/sys/devices/system/cpu/online", "/sys/kernel/mm", "/etc/passwd", "/bin/true", "/etc", "/tmp", "/" };
    if (!below(t, 24)) return pointer(t);
    const char *s = paths[below(t, below(t, 3) ? 22 : ARRAY_LEN(paths))];
    size_t n = strlen(s) + 1;
    char *p = t->buf + PAGE - 256 - 128 * below(t, 8);
    if (!below(t, 10)) p = t->buf + PAGE - n;
    memcpy(p, s, n);
    return (u64)p;
}

static u64 timespec(struct thread *t)
{
    if (!below(t, 8)) return pointer(t);
    struct timespec ts = { below(t, 20) ? 0 : (long)edge(t), below(t, 20) ? (long)below(t, 2000000) : (long)edge(t) };
    char *p = t->buf + 16 * below(t, 64);
    memcpy(p, &ts, sizeof ts);
    return (u64)p;
}

static u64 iovec(struct thread *t)
{
    if (!below(t, 12)) return pointer(t);
    struct iovec v[6];
    for (unsigned i = 0; i < ARRAY_LEN(v); i++) v[i] = (struct iovec){ (void *)pointer(t), below(t, 6) ? below(t, 600) : size(t) };
    memcpy(t->buf + 1024, v, sizeof v);
    return (u64)t->buf + 1024;
}

static u64 address(struct thread *t)
{
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_nl nl;
        struct sockaddr_ll ll;
    } u;
    if (!below(t, 6)) return pointer(t);
    memset(&u, 0, sizeof u);
    unsigned port = htons((uint16_t)(below(t, 8) ? 20000 + below(t, 16) : rnd(t)));
    switch (below(t, 5)) {
    case 4:
        u.ll = (struct sockaddr_ll){ AF_PACKET, htons((uint16_t)(below(t, 2) ? 0x0800 : rnd(t))), (int)below(t, 3), 0, 0, 6, { 0 } };
        break;
    case 0:
        u.in = (struct sockaddr_in){ AF_INET, (in_port_t)port, { htonl(below(t, 3) ? INADDR_LOOPBACK : (uint32_t)edge(t)) }, { 0 } };
        break;
    case 1:
        u.in6.sin6_family = AF_INET6;
        u.in6.sin6_port = (in_port_t)port;
        u.in6.sin6_addr = below(t, 2) ? in6addr_loopback : in6addr_any;
        break;
    case 2:
        u.un.sun_family = AF_UNIX;
        strcpy(u.un.sun_path + (below(t, 2) ? 1 : 0), below(t, 2) ? "sock" : "d/s");
        break;
    default: u.nl = (struct sockaddr_nl){ AF_NETLINK, 0, (uint32_t)below(t, 3), (uint32_t)below(t, 4) }; break;
    }
    memcpy(t->buf + 2048, &u, sizeof u);
    return (u64)t->buf + 2048;
}

static u64 msghdr(struct thread *t)
{
    if (!below(t, 12)) return pointer(t);
    struct msghdr h[2] = { { 0 }, { 0 } };
    for (unsigned i = 0; i < 2; i++) {
        if (below(t, 2)) h[i] = (struct msghdr){ .msg_name = (void *)address(t), .msg_namelen = below(t, 4) ? 16 : (socklen_t)edge(t) };
        h[i].msg_iov = (void *)iovec(t);
        h[i].msg_iovlen = below(t, 12) ? below(t, 5) : size(t);
        if (below(t, 2)) {
            union {
                struct cmsghdr c;
                char b[96];
            } m;
            memset(&m, 0, sizeof m);
            int type = below(t, 4) ? SCM_RIGHTS : (int)below(t, 40);
            unsigned n = below(t, 6);
            m.c = (struct cmsghdr){ below(t, 8) ? CMSG_LEN(4 * n) : edge(t), below(t, 4) ? SOL_SOCKET : (int)below(t, 60), type };
            for (unsigned k = 0; k < n; k++) ((int *)CMSG_DATA(&m.c))[k] = (int)an_fd(t);
            memcpy(t->buf + 3000 + 0, &m, sizeof m);
            h[i].msg_control = t->buf + 3000;
            h[i].msg_controllen = below(t, 4) ? CMSG_SPACE(4 * n) : size(t);
        }
    }
    memcpy(t->buf + 3200, h, sizeof h);
    return (u64)t->buf + 3200;
}

/* Attributes of rtnetlink: mostly those that are there, of lengths that mostly fit. */
static unsigned attributes(struct thread *t, char *p, unsigned room, unsigned depth)
{
    static const char *const words[] = { "lo", "va", "vb", "veth", "dummy", "bridge", "tun0", "" };
    unsigned at = 0;
    for (unsigned n = below(t, 6); n && at + 40 < room; n--) {
        char v[32] = { 0 };
        unsigned len = below(t, 3) ? 4 : 16;
        switch (below(t, 5)) {
        case 0: strcpy(v, words[below(t, ARRAY_LEN(words))]), len = (unsigned)strlen(v) + 1; break;
        case 1: memcpy(v, "\x0a\x09\x00", 3), v[3] = (char)below(t, 4); break;
        case 2: v[0] = (char)below(t, 6); break;
        case 3: fill(t, v, sizeof v), len = below(t, 33); break;
        default: len = depth && at + 120 < room ? ~0u : 0; break;
        }
        if (len == ~0u) len = attributes(t, p + at + 4, 80, depth - 1);
        else memcpy(p + at + 4, v, len);
        struct rtattr a = { (unsigned short)(below(t, 24) ? 4 + len : edge(t)), (unsigned short)(below(t, 3) ? 1 + below(t, 8) : below(t, 64)) };
        memcpy(p + at, &a, sizeof a);
        at += RTA_ALIGN(4 + len);
    }
    return at;
}

static u64 netlink_request(struct thread *t, u64 *n)
{
    char *p = t->buf + 256;
    struct nlmsghdr h = { .nlmsg_type = (unsigned short)(below(t, 12) ? 16 + below(t, 20) : rnd(t)), .nlmsg_seq = 1,
                          .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | (below(t, 2) ? NLM_F_ACK : 0) | below(t, 16) << 8) };
    unsigned body = 4 * (1 + below(t, 7));
    memset(p, 0, 512);
    p[16] = (char)(below(t, 3) ? 2 : below(t, 2) ? 10 : below(t, 30));
    p[17] = (char)(below(t, 2) ? 24 : below(t, 140));
    p[20] = (char)below(t, 8);
    if (!below(t, 4)) fill(t, p + 16, body);
    *n = 16 + body + attributes(t, p + 16 + body, 400, 3);
    h.nlmsg_len = (unsigned)(below(t, 24) ? *n : edge(t));
    memcpy(p, &h, sizeof h);
    return (u64)p;
}

/* A question to rtnetlink, by a socket of its own; the answers are thrown away. */
static void netlink_call(struct thread *t)
{
    char answer[512];
    u64 n, p;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    for (unsigned i = 1 + below(t, 6); i; i--) {
        p = netlink_request(t, &n);
        if (send(fd, (void *)p, n, 0) < 0 && errno == EBADF) break;
        for (unsigned k = 0; k < 4 && recv(fd, answer, sizeof answer, 0) > 0; k++) {}
    }
    close(fd);
}

static u64 aio_requests(struct thread *t)
{
    struct iocb cb[4];
    u64 p[4];
    if (!below(t, 12)) return pointer(t);
    for (unsigned i = 0; i < ARRAY_LEN(cb); i++) {
        unsigned op = below(t, 9);
        cb[i] = (struct iocb){ .aio_data = rnd(t), .aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)an_fd(t),
                               .aio_buf = op == IOCB_CMD_POLL ? below(t, 64) : op >= IOCB_CMD_PREADV ? iovec(t) : pointer(t),
                               .aio_nbytes = op == IOCB_CMD_POLL ? 0 : below(t, 8) ? below(t, 8) : size(t),
                               .aio_offset = below(t, 4) ? 0 : (long long)below(t, 20000) };
        if (!below(t, 3)) cb[i].aio_flags = IOCB_FLAG_RESFD, cb[i].aio_resfd = (uint32_t)an_fd(t);
        if (!below(t, 12)) fill(t, (char *)&cb[i], sizeof cb[i]);
        p[i] = (u64)t->buf + 512 + i * sizeof cb[0];
    }
    memcpy(t->buf + 512, cb, sizeof cb);
    memcpy(t->buf + 512 + sizeof cb, p, sizeof p);
    return (u64)t->buf + 512 + sizeof cb;
}

static u64 flags(struct thread *t)
{
    switch (below(t, 6)) {
    case 0: return 0;
    case 1: return edge(t);
    case 2: return O_RDWR | O_CREAT | (below(t, 2) ? O_NONBLOCK : 0) | (below(t, 4) ? 0 : O_TRUNC) | (below(t, 8) ? 0 : O_DIRECT);
    case 3: return O_NONBLOCK | (below(t, 2) ? O_CLOEXEC : 0) | (below(t, 4) ? 0 : O_PATH);
    case 4: return (u64)1 << below(t, 32) | (u64)1 << below(t, 32);
    default: return (u64)below(t, 16);
    }
}

static u64 mapping(struct thread *t)
{
    if (!below(t, 8)) return edge(t);
    if (!below(t, 64)) return (u64)area;
    /* A region of its own for maps to fight over. */
    return 0x100000000000u + (u64)below(t, 64) * PAGE + (below(t, 16) ? 0 : below(t, PAGE));
}

static u64 ioctl_request(struct thread *t)
{
    static const unsigned short small[] = { 0x5401, 0x5402, 0x5405, 0x5407, 0x540b, 0x540e, 0x540f, 0x5410, 0x5411, 0x5412, 0x5413,
        0x5414, 0x541b, 0x5420, 0x5421, 0x5422, 0x5423, 0x5425, 0x5429, 0x5450, 0x5451, 0x5452, 0x5460, 0x8901, 0x8902, 0x8904,
        0x8905, 0x8910, 0x8912, 0x8913, 0x8915, 0x8916, 0x8918, 0x891b, 0x8921, 0x8927, 0x8933, 0x8942, 0x8970, 0x541d, 0x5409 };
    static const unsigned wide[] = { 0x80086601, 0x40086602, 0x80047601, 0xc020660b, 0x40049409, 0x4020940d, 0x80045430, 0x40045431,
        0x40045436, 0x80045432, 0x80045438, 0x80045439, 0x801c581f, 0x80085202, 0x40045201, 0x80047476, 0xc0185879, 0x1,
        0x2, 0xb701, 0xb702, 0xb703, 0xb704, 0xff01, 0xff02, 0x80045200, 0x5206, 0x40085203, 0x125d, 0x1261, 0x1268 };
    unsigned w = below(t, 20);
    return w < 11 ? small[below(t, ARRAY_LEN(small))] : w < 18 ? wide[below(t, ARRAY_LEN(wide))] : w < 19 ? 0x5400 + below(t, 128) : edge(t);
}

static u64 process(struct thread *t)
{
    /* Never the supervisor, init or everyone. */
    switch (below(t, 8)) {
    case 0: return 0;
    case 1: return 999999 + below(t, 3);
    case 2: return (u64)gettid();
    case 3: return (u64)getpid();
    case 4: return (u64)getpid() + below(t, 4);
    default: return (u64)dummy;
    }
}

static u64 arg(struct thread *t, char kind)
{
    static const int levels[] = { SOL_SOCKET, 0, 6, 17, 41, 58, 255, 270, 1, 263 };
    if (!strchr("PSzEXA", kind) && !below(t, 40)) return below(t, 2) ? edge(t) : pointer(t);
    switch (kind) {
    case 'f': return an_fd(t);
    case 'd': return below(t, 2) ? (u64)AT_FDCWD : an_fd(t);
    case 'p': case 'l': return pointer(t);
    case 's': return path(t);
    case 'n': return size(t);
    case 'g': return flags(t);
    case 'i': return below(t, 16) ? (u64)below(t, below(t, 2) ? 8 : 70) : edge(t);
    case 'o': return below(t, 8) ? (u64)below(t, 20000) : edge(t);
    case 'P': return process(t);
    case 'S': { /* mostly harmless ones */
        static const int sigs[] = { SIGUSR1, SIGUSR2, SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGIO, SIGALRM, 0, 35, 40 };
        return below(t, 12) ? (u64)sigs[below(t, ARRAY_LEN(sigs))] : edge(t);
    }
    case 't': return below(t, 8) ? timespec(t) : 0;
    case 'v': return iovec(t);
    case 'J': return aio_requests(t);
    case 'k': return below(t, 16) ? aio_context[below(t, ARRAY_LEN(aio_context))] : mapping(t);
    case 'a': return address(t);
    case 'm': return mapping(t);
    case 'h': return msghdr(t);
    case 'c': return below(t, 8) ? (u64)below(t, 12) : edge(t);
    case 'I': return ioctl_request(t);
    case 'L': return (u64)levels[below(t, ARRAY_LEN(levels))];
    case 'O': return below(t, 8) ? (u64)below(t, 80) : edge(t);
    case 'F': return below(t, 3) ? (u64)below(t, 17) : 1024 + (u64)below(t, 20);
    case 'M': return below(t, 4) ? 0777 : (u64)below(t, 0200000);
    case 'R': return below(t, 8) ? (u64)below(t, 8) : edge(t);
    case 'G': return below(t, 8) ? (u64)(1 + below(t, 3)) | (below(t, 2) ? MAP_FIXED : 0) | (below(t, 2) ? MAP_ANONYMOUS : 0) |
                                   (below(t, 6) ? 0 : 1u << below(t, 21)) : edge(t);
    case 'D': { static const int dom[] = { 1, 2, 10, 16, 17, 40, 38 }; return below(t, 8) ? (u64)dom[below(t, 4)] : (u64)dom[below(t, 7)]; }
    case 'T': return (u64)(1 + below(t, 5)) | (below(t, 3) ? SOCK_NONBLOCK : 0) | (below(t, 2) ? SOCK_CLOEXEC : 0);
    case 'x': return below(t, 3) ? pointer(t) : 0;
    case 'N': return 3 + (u64)below(t, 120);
    case 'u': return below(t, 8) ? (u64)area + 4 * (u64)below(t, 8) : pointer(t);
    case 'U': return (u64)below(t, 14) | (below(t, 2) ? FUTEX_PRIVATE_FLAG : 0) | (below(t, 6) ? 0 : FUTEX_CLOCK_REALTIME);
    case 'A': { static const char *const argv[] = { "syscall_fuzz", "--usage", NULL }; return below(t, 4) ? (u64)(uintptr_t)argv : pointer(t); }
    case 'X': return below(t, 3) ? (u64)getuid() : edge(t);
    case 'E': return below(t, 3) ? (u64)below(t, 25) : 0x4200 + (u64)below(t, 16);
    default: return 0;
    }
}

static void log_call(const struct fuzz_call *c, const u64 *a)
{
    char s[200];
    int n = snprintf(s, sizeof s, "%d %s(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)\n", (int)gettid(), c->name, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (write(log_fd, s, (size_t)n) < 0) return;
}

static void one_call(struct thread *t)
{
    const struct fuzz_call *c = &fuzz_calls[below(t, ARRAY_LEN(fuzz_calls))];
    if (!below(t, 60)) netlink_call(t);
    u64 a[6] = { 0 };
    for (unsigned i = 0; i < 6 && c->args[i]; i++) a[i] = arg(t, c->args[i]);
    long nr = c->nr;
    switch (nr) {
    case SYS_exit: case SYS_rt_sigreturn: case SYS_seccomp: case SYS_landlock_restrict_self: case SYS_pause: case SYS_execve:
    case SYS_execveat: case SYS_fork: case SYS_vfork: case SYS_clone3: case SYS_clone: case SYS_close_range: case SYS_setrlimit:
    case SYS_chroot: case SYS_arch_prctl:
        if (below(t, 20)) return; /* each would end or starve most workers early */
        break;
    default: break;
    }
    if (nr == SYS_close && a[0] < 3) return;
    if (nr == SYS_alarm || nr == SYS_personality) a[0] &= 0x3; /* PER_* change what every later call means */
    if (nr == SYS_clone) a[0] &= ~(u64)(CLONE_VM | CLONE_SETTLS); /* the child goes on in a copy of our stack */
    if (!below(t, 400)) nr = (long)below(t, 1000); /* holes in the table */
    if (nr == SYS_reboot || nr == SYS_kexec_load || nr == SYS_exit_group || (nr == SYS_kill && c->nr != SYS_kill) ||
        ((nr == SYS_fork || nr == SYS_clone || nr == SYS_vfork) && c->nr != nr))
        return;
    struct ring *ring = t->ring;
    struct record *r = &ring->r[ring->at++ % RING];
    *r = (struct record){ .nr = (int)nr, .tid = (int)gettid() };
    memcpy(r->a, a, sizeof a);
    ring->calls++;
    if (opt_log) log_call(c, a);
    pid_t self = getpid();
    long ret = raw(nr, a);
    if (ret == 0 && (nr == SYS_vfork || nr == SYS_fork || nr == SYS_clone || nr == SYS_clone3) && getpid() != self) {
        if (nr == SYS_vfork) _exit(0);
        alarm(1);
        for (int i = 0; i < 50; i++) {
            u64 b[6] = { 0 };
            c = &fuzz_calls[below(t, ARRAY_LEN(fuzz_calls))];
            if (strchr("fcev", c->name[0])) continue; /* no further processes */
            for (unsigned k = 0; k < 6 && c->args[k]; k++) b[k] = arg(t, c->args[k]);
            raw(c->nr, b);
        }
        _exit(0);
    }
    r->ret = ret;
    r->done = true;
}

static void on_signal(int s) { (void)s; }

static void *thread_main(void *p)
{
    struct thread *t = p;
    u64 n = 0;
    while ((++n & 63) || now_ms() < worker_end) one_call(t);
    _exit(0);
}

static int open_self(const char *p, int fl) { return open(p, fl, 0666); }

/* One of each kind of descriptor that there is. What cannot be had stays -1, an argument as good as any. */
static void open_fds(void)
{
    unsigned n = 0;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    mkdir("d", 0777);
    mkdir("e", 0777);
    if (symlink("d", "l") && errno != EEXIST) perror("symlink");
    mkfifo("fifo", 0666);
#define PAIR(call) do { int sv[2] = { -1, -1 }; if (call) sv[0] = sv[1] = -1; fds[n++] = sv[0]; fds[n++] = sv[1]; } while (0)
    PAIR(pipe2(sv, O_NONBLOCK));
    PAIR(pipe(sv));
    PAIR(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv));
    PAIR(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
    PAIR(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv));
#undef PAIR
    static const int dom[] = { AF_INET, AF_INET6, AF_UNIX };
    for (unsigned i = 0; i < 3; i++)
        for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) fds[n++] = socket(dom[i], type | SOCK_NONBLOCK, 0);
    fds[n++] = socket(AF_INET, SOCK_STREAM, 0);
    fds[n++] = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0);
    fds[n++] = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, 1);
    fds[n++] = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, 255);
    fds[n++] = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, 17);
    fds[n++] = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0x0300);
    static const struct {
        const char *path;
        int flags;
    } files[] = { { "a", O_RDWR | O_CREAT }, { "b", O_RDWR | O_CREAT | O_APPEND }, { "c", O_RDONLY | O_CREAT }, { ".", O_RDONLY | O_DIRECTORY },
        { "d", O_PATH }, { "fifo", O_RDWR | O_NONBLOCK }, { "/dev/null", O_RDWR }, { "/dev/zero", O_RDWR }, { "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK },
        { "/proc/self/maps", O_RDONLY }, { "/proc/self/mem", O_RDWR }, { "/proc/self/status", O_RDONLY }, { "/proc/self/fd", O_RDONLY },
        { "/proc", O_RDONLY }, { "/proc/self/comm", O_RDWR }, { "/proc/self/ns/net", O_RDONLY }, { "/etc/passwd", O_RDONLY },
        { "/dev/shm", O_TMPFILE | O_RDWR }, { "/proc/self/mountinfo", O_RDONLY } };
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) fds[n++] = open_self(files[i].path, files[i].flags);
    fds[n++] = epoll_create1(0);
    fds[n++] = epoll_create1(0);
    fds[n++] = eventfd(1, EFD_NONBLOCK);
    fds[n++] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    fds[n++] = signalfd(-1, &set, SFD_NONBLOCK);
    fds[n++] = inotify_init1(IN_NONBLOCK);
    fds[n++] = memfd_create("m", MFD_ALLOW_SEALING);
    fds[n++] = (int)syscall(SYS_pidfd_open, dummy, 0);
    int pts = -1;
    for (unsigned i = 0; i < n; i++) { /* the pty's other side */
        char name[64];
        if (fds[i] >= 0 && !ptsname_r(fds[i], name, sizeof name) && !unlockpt(fds[i])) pts = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    }
    fds[n++] = pts;
    while (n < NFDS) fds[n++] = -1;
    for (unsigned i = 0; i < ARRAY_LEN(aio_context); i++) syscall(SYS_io_setup, 4, &aio_context[i]);
}

/* The supervisor outlives what workers have sent to it: owners of files (F_SETOWN), timers, queues send what they like. */
static void all_signals(void (*handler)(int))
{
    for (int i = 1; i < NSIG; i++)
        if (i != SIGCHLD) signal(i, handler);
}

static void worker(unsigned slot, u64 seed)
{
    static struct thread threads[MAX_THREADS];
    static pthread_t ids[MAX_THREADS];
    struct sigaction sa = { .sa_handler = on_signal };
    char dir[64];
    all_signals(SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static const int sigs[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGTTIN, SIGTTOU, 35, 40 };
    for (unsigned i = 0; i < ARRAY_LEN(sigs); i++) sigaction(sigs[i], &sa, NULL);
    setrlimit(RLIMIT_AS, &(struct rlimit){ 1u << 30, 1u << 30 });
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 64u << 20, 64u << 20 });
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    snprintf(dir, sizeof dir, "w%u", slot);
    mkdir(dir, 0777);
    if (chmod(dir, 0777) || chdir(dir)) _exit(3);
    if ((seed & 3) == 0 && (setgid(65534) || setuid(65534))) errno = 0; /* without privileges now and then */
    dummy = fork();
    if (dummy == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(5);
        for (;;) pause();
    }
    area = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ro_page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole, PAGE);
    open_fds();
    worker_end = now_ms() + 300 + seed % 1200;
    for (unsigned i = 0; i < nthreads; i++) {
        char *b = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (b == MAP_FAILED) _exit(4);
        mprotect(b + PAGE, PAGE, PROT_NONE);
        threads[i] = (struct thread){ seed * 1000003 + i, &rings[slot][i], b };
        if (pthread_create(&ids[i], NULL, thread_main, &threads[i])) _exit(4);
    }
    for (;;) { /* kick whoever blocks */
        usleep(5000);
        for (unsigned i = 0; i < nthreads; i++) pthread_kill(ids[i], SIGUSR1);
        if (now_ms() > worker_end + 50) _exit(0);
    }
}

static const char *call_name(int nr)
{
    for (unsigned i = 0; i < ARRAY_LEN(fuzz_calls); i++)
        if (fuzz_calls[i].nr == nr) return fuzz_calls[i].name;
    return "?";
}

static void print_last(unsigned slot)
{
    for (unsigned k = 0; k < nthreads; k++) {
        const struct ring *g = &rings[slot][k];
        for (unsigned i = g->at > RING ? g->at - RING : 0; i < g->at; i++) {
            const struct record *r = &g->r[i % RING];
            fprintf(stderr, "  %u/%u [%d] %s(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx) = ", slot, k, r->tid, call_name(r->nr), r->a[0], r->a[1],
                    r->a[2], r->a[3], r->a[4], r->a[5]);
            if (r->done) fprintf(stderr, "%ld\n", r->ret);
            else fprintf(stderr, "?\n");
        }
    }
}

/* Orphans of workers became our children: end them. */
static void kill_strays(const pid_t *pids, unsigned n)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char p[300], s[512];
        pid_t pid = atoi(e->d_name), ppid = 0;
        if (pid <= 1 || pid == getpid()) continue;
        snprintf(p, sizeof p, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(p, "re");
        if (!f) continue;
        size_t k = fread(s, 1, sizeof s - 1, f);
        fclose(f);
        s[k] = 0;
        char *q = strrchr(s, ')');
        if (!q || sscanf(q + 1, " %*c %d", &ppid) != 1 || ppid != getpid()) continue;
        bool ours = false;
        for (unsigned i = 0; i < n; i++) ours |= pids[i] == pid;
        if (!ours) kill(pid, SIGKILL);
    }
    if (d) closedir(d);
}

static int supervise(u64 seed, unsigned nworkers, u64 seconds)
{
    pid_t pids[MAX_WORKERS] = { 0 };
    u64 born[MAX_WORKERS] = { 0 }, killed[MAX_WORKERS] = { 0 }, seeds[MAX_WORKERS] = { 0 };
    u64 end = now_ms() + seconds * 1000, made = 0, strays = 0, calls = 0;
    bool alive = true;
    while (alive) {
        u64 now = now_ms();
        alive = false;
        for (unsigned i = 0; i < nworkers; i++) {
            if (!pids[i] && now < end) {
                seeds[i] = seed + made++;
                born[i] = now;
                killed[i] = 0;
                for (unsigned k = 0; k < MAX_THREADS; k++) calls += rings[i][k].calls;
                memset(rings[i], 0, sizeof rings[i]);
                pid_t p = fork();
                if (p == 0) worker(i, seeds[i]);
                if (p > 0) pids[i] = p;
            }
            if (!pids[i]) continue;
            alive = true;
            if (!killed[i] && now - born[i] > 3000) {
                kill(pids[i], SIGKILL);
                killed[i] = now;
            }
            if (killed[i] && now - killed[i] > 20000) {
                fprintf(stderr, "worker %u (pid %d, seed %lu) does not die\n", i, (int)pids[i], seeds[i]);
                print_last(i);
                return 1;
            }
        }
        int st;
        for (pid_t p; (p = waitpid(-1, &st, WNOHANG | __WALL)) > 0;)
            for (unsigned i = 0; i < nworkers; i++)
                if (pids[i] == p && (WIFEXITED(st) || WIFSIGNALED(st))) {
                    if (opt_last) {
                        fprintf(stderr, "worker %u seed %lu status %#x\n", i, seeds[i], (unsigned)st);
                        print_last(i);
                    }
                    pids[i] = 0;
                }
        if (now - strays > 1000) {
            kill_strays(pids, nworkers);
            strays = now;
        }
        usleep(10000);
    }
    for (unsigned i = 0; i < nworkers; i++)
        for (unsigned k = 0; k < MAX_THREADS; k++) calls += rings[i][k].calls;
    printf("%lu workers, %lu calls, seed %lu\n", made, calls, seed);
    return 0;
}

int main(int argc, char **argv)
{
    u64 seed = (u64)time(NULL), seconds = 5;
    unsigned nworkers = 4;
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--last")) opt_last = true;
        else if (!strcmp(argv[i], "--log")) opt_log = true;
        else if (v && !strcmp(argv[i], "--seconds")) seconds = strtoul(argv[++i], NULL, 0);
        else if (v && !strcmp(argv[i], "--seed")) seed = strtoul(argv[++i], NULL, 0);
        else if (v && !strcmp(argv[i], "--workers")) nworkers = (unsigned)atoi(argv[++i]);
        else if (v && !strcmp(argv[i], "--threads")) nthreads = (unsigned)atoi(argv[++i]);
        else return 2;
    }
    if (argc < 1 || !nworkers || nworkers > MAX_WORKERS || !nthreads || nthreads > MAX_THREADS) return 2;
    char top[] = "/tmp/syscall-fuzz-XXXXXX";
    if (!mkdtemp(top) || chmod(top, 0777) || chdir(top)) {
        perror(top);
        return 1;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    log_fd = fcntl(2, F_DUPFD, 500);
    if (log_fd < 0) log_fd = 2;
    rings = mmap(NULL, sizeof *rings * MAX_WORKERS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rings == MAP_FAILED) return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %lu\n", seed);
    all_signals(SIG_IGN);
    return supervise(seed, nworkers, seconds);
}
