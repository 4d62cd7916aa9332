/*
 * The template process: forked from the sentry while that has one thread, stripped of everything, then it only
 * clones itself on request (stub_text.S). Cloning an emptied process costs 45 us; forking the sentry, milliseconds.
 */
#include "platform/stub/filter.h"
#include "platform/stub/proto.h"
#include "platform/stub/request.h"
#include "platform/stub/stub.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

HOSTCALL_SENDMSG("orders and descriptors to stub processes");
HOSTCALL(recvfrom, "answers of stub processes");
HOSTCALL(sched_setaffinity, "a stub and the thread that drives it share a CPU");

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

/* What the child reports when it cannot become a template. */
struct setup_error {
    char step[28];
    int err;
};

int stub_send(int sock, const int *fds, unsigned nfds)
{
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * STUB_MAX_FDS)];
    } ctl;
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    if (nfds) {
        memset(&ctl, 0, sizeof(ctl));
        m.msg_control = ctl.buf;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    do n = sendmsg(sock, &m, MSG_NOSIGNAL | HOSTCALL_MSG_PROBE);
    while (n < 0 && errno == EINTR);
    if (n >= 0) return 0;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return -EFAULT;
    return -errno;
}

int stub_recv(int sock, void *buf, size_t len)
{
    ssize_t n;

    do n = recv(sock, buf, len, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) return -EFAULT;
    return n < 0 ? -errno : (int)n;
}

void stub_pin(pid_t tid, int cpu)
{
    cpu_set_t set;

    if (cpu < 0 || cpu >= CPU_SETSIZE) return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(tid, sizeof(set), &set);
}

static NORETURN void setup_fail(int sock, const char *step)
{
    struct setup_error e = { .err = errno };
    strncpy(e.step, step, sizeof(e.step) - 1);
    if (send(sock, &e, sizeof(e), MSG_NOSIGNAL) < 0) _exit(3);
    _exit(2);
}

/* The C library registered its thread area for restartable sequences; the kernel would write there after it is gone. */
static void forget_rseq(void)
{
#ifdef SYS_rseq
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    if (!__rseq_size) return;
    for (unsigned len = 20; len <= 1024; len += 4)
        if (syscall(SYS_rseq, area, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0) return;
#endif
}

static void move_fds(int sock, int memfile_fd, int orders_fd)
{
    int m = fcntl(memfile_fd, F_DUPFD, 10), o = fcntl(orders_fd, F_DUPFD, 10), s = fcntl(sock, F_DUPFD, 10);

    if (m < 0 || s < 0 || o < 0) setup_fail(sock, "dup");
    if (dup2(s, STUB_FD_SOCK) < 0 || dup2(m, STUB_FD_MEMFILE) < 0 || dup2(o, STUB_FD_ORDERS) < 0) _exit(2);
    if (syscall(SYS_close_range, 3, ~0u, 0)) setup_fail(STUB_FD_SOCK, "close_range");
}

static void drop_privileges(const struct stub_template *t, int sock)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
    struct rlimit none = { 0, 0 };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) setup_fail(sock, "no_new_privs");
    if (syscall(SYS_capset, &h, d)) setup_fail(sock, "capset");
    if (!t->trap) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* else the sentry, without capabilities, could not trace it */
    setrlimit(RLIMIT_CORE, &none);
}

/*
 * Handlers of the runners, inherited by every stub. No mask, no deferral: nothing needs to be undone when a handler
 * leaves by a jump. The template and the mapper have all signals blocked, so for them a fault stays fatal.
 */
static void install_handlers(const struct stub_template *t, int sock)
{
    static const int sigs[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, REQ_KICK_SIGNAL };
    u64 text = t->base + STUB_TRAP;
    struct {
        u64 handler, flags, restorer, mask;
    } sa = {
        .handler = text + (u64)(trap_text_handler - trap_text_start),
        .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | 0x04000000 /* SA_RESTORER */,
        .restorer = text + (u64)(trap_text_restorer - trap_text_start),
        .mask = 0,
    };

    _Static_assert(REQ_KICK_SIGNAL == SIGURG, "trap_text.S");
    for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
        if (syscall(SYS_rt_sigaction, sigs[i], &sa, NULL, 8)) setup_fail(sock, "sigaction");
}

/* In the child: plain system calls only; nothing of the sentry's state may be relied on or changed. */
static NORETURN void become_template(struct stub_template *t, int sock, int orders_fd, const u8 *rodata)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL }, ign = { .sa_handler = SIG_IGN };
    sigset_t all;
    u8 *base = (u8 *)(uintptr_t)t->base;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_NAME, "sundog-stub", 0, 0, 0);
    setsid(); /* the terminal's signals are for the sentry */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /*
     * What the guest's own instructions raise has its default. All else is ignored: a signal sent to the process
     * from outside whose default is death would end it at once, since the mapper is not traced, whereas an ignored
     * one still stops a traced thread it is sent to (kicks).
     */
    for (int sig = 1; sig < 65; sig++) {
        bool fault = sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP || sig == SIGSYS;
        if (sig != SIGKILL && sig != SIGSTOP) sigaction(sig, fault ? &dfl : &ign, NULL);
    }
    forget_rseq();
    move_fds(sock, t->memfile_fd, orders_fd);
    sock = STUB_FD_SOCK;
    drop_privileges(t, sock);

    if (mmap(base, STUB_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != base)
        setup_fail(sock, "mmap of the stub region");
    memcpy(base + STUB_TEXT, stub_text_start, (size_t)(stub_text_end - stub_text_start));
    memcpy(base + STUB_RODATA, rodata, STUB_RO_SIZE);
    memcpy(base + STUB_TRAP, trap_text_start, (size_t)(trap_text_end - trap_text_start));
    if (t->trap) install_handlers(t, sock);
    if (mprotect(base + STUB_TRAP, GPAGE_SIZE, PROT_READ | PROT_EXEC) ||
        mprotect(base + STUB_TEXT, GPAGE_SIZE, PROT_READ | PROT_EXEC) ||
        mprotect(base + STUB_RODATA, STUB_RO_SIZE, PROT_READ))
        setup_fail(sock, "mprotect of the stub text");
    if (mmap(base + STUB_OPS, GPAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, STUB_FD_ORDERS, 0) == MAP_FAILED)
        setup_fail(sock, "mmap of the orders");
    ((void (*)(void))(uintptr_t)(base + (stub_text_template - stub_text_start)))();
    _exit(2);
}

/* A place for the stub region that is free in the sentry now, so that the forked child can map it. */
static u64 choose_base(void)
{
    for (u64 a = GUEST_ADDR_MAX + 0x1000000; a + STUB_SIZE < STUB_USER_END; a += 0x1000000) {
        void *want = (void *)(uintptr_t)a;
        void *p = mmap(want, STUB_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == MAP_FAILED) continue;
        munmap(p, STUB_SIZE);
        if (p == want) return a;
    }
    return 0;
}

static int orders_new(struct stub_template *t)
{
    size_t size = (size_t)STUB_MAX_SLOTS * GPAGE_SIZE;
    int fd = memfd_create("stub-orders", MFD_CLOEXEC);
    void *p;

    if (fd < 0) return -errno;
    if (ftruncate(fd, (off_t)size) ||
        (p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)) == MAP_FAILED) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    t->orders = p;
    return fd;
}

static int start_child(struct stub_template *t, int orders_fd, const u8 *rodata, char *why, size_t why_len)
{
    struct setup_error e = { .err = 0 };
    int sv[2], n, st;
    long pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
        n = -errno;
        snprintf(why, why_len, "cannot make a socket pair: %s", strerror(-n));
        return n;
    }
    /* Not fork(): no exit signal (so that a stub's death is nobody else's SIGCHLD), no C library hooks. */
    pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0) become_template(t, sv[1], orders_fd, rodata);
    n = pid < 0 ? -errno : 0;
    close(sv[1]);
    t->sock = sv[0];
    t->pid = (pid_t)pid;
    if (n < 0) {
        snprintf(why, why_len, "cannot fork the stub template: %s", strerror(-n));
    } else if ((n = stub_recv(t->sock, &e, sizeof(e))) == 1) {
        return 0;
    } else {
        if (n == (int)sizeof(e)) {
            e.step[sizeof(e.step) - 1] = 0;
            snprintf(why, why_len, "the stub template failed at %s: %s", e.step, strerror(e.err));
            n = e.err > 0 && e.err < SYSRET_MAX_ERRNO ? -e.err : -EIO;
        } else {
            snprintf(why, why_len, "the stub template died: seccomp filters, or unmapping the vDSO (sealed system "
                                   "mappings), are not possible on this host");
            n = -EPERM;
        }
        kill(t->pid, SIGKILL);
        while (waitpid(t->pid, &st, __WALL) < 0 && errno == EINTR) {}
    }
    close(t->sock);
    return n;
}

int stub_template_start(struct stub_template *t, int memfile_fd, bool trap, char *why, size_t why_len)
{
    u8 *rodata;
    int rc, orders_fd;

    memset(t, 0, sizeof(*t));
    lock_init(&t->lock, LC_PLATFORM);
    TAILQ_INIT(&t->dying);
    t->memfile_fd = memfile_fd;
    t->trap = trap;
    t->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
    t->areas_fd = -1;
    t->slot_high = 1;
    t->base = choose_base();
    if (!t->base) {
        snprintf(why, why_len, "no free address range for the stub region");
        return -ENOMEM;
    }
    rc = trap ? stub_areas_start(t) : 0;
    if (rc) {
        snprintf(why, why_len, "no memory for request pages: %s", strerror(-rc));
        return rc;
    }
    rodata = xzalloc(STUB_RO_SIZE);
    rc = stub_filters_build(rodata, t);
    if (rc) {
        snprintf(why, why_len, "cannot build the stub's seccomp filters: %s", strerror(-rc));
    } else if ((orders_fd = orders_new(t)) < 0) {
        rc = orders_fd;
        snprintf(why, why_len, "no memory for the stubs' order pages: %s", strerror(-rc));
    } else {
        t->free_slots = xzalloc(sizeof(u32) * STUB_MAX_SLOTS);
        rc = start_child(t, orders_fd, rodata, why, why_len);
        close(orders_fd);
        if (rc) {
            munmap(t->orders, (size_t)STUB_MAX_SLOTS * GPAGE_SIZE);
            free(t->free_slots);
        }
    }
    if (rc && trap) stub_areas_stop(t);
    free(rodata);
    return rc;
}
