/* SCM_RIGHTS and SCM_CREDENTIALS. unix(7), cmsg(3) */
#include "check.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int send_fds(int s, const int *fd, int n, int flags)
{
    char c = 'x', ctl[CMSG_SPACE(300 * sizeof(int))] = { 0 };
    struct iovec v = { &c, 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int)) };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    memcpy(CMSG_DATA(h), fd, (size_t)n * sizeof(int));
    return (int)sendmsg(s, &m, flags);
}

static int recv_fds(int s, int *fd, int max, int flags, int *mflags)
{
    char c, ctl[CMSG_SPACE(16 * sizeof(int))];
    struct iovec v = { &c, 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = CMSG_LEN((size_t)max * sizeof(int)) };
    if (recvmsg(s, &m, flags) < 0) return -1;
    if (mflags) *mflags = m.msg_flags;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_type != SCM_RIGHTS) return 0;
    size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fd, CMSG_DATA(h), n * sizeof(int));
    return (int)n;
}

static void pass(void)
{
    int s[2], p[2], q[2], fd[4], fl;
    char b[4];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s) && !pipe(p));
    CHECK(send_fds(s[0], p, 2, 0) == 1);
    close(p[0]), close(p[1]);
    CHECK(recv_fds(s[1], q, 2, MSG_CMSG_CLOEXEC, &fl) == 2 && !(fl & MSG_CTRUNC));
    CHECK(fcntl(q[0], F_GETFD) == FD_CLOEXEC);
    CHECK(write(q[1], "ok", 2) == 2 && read(q[0], b, 2) == 2);
    CHECK(send_fds(s[0], q, 2, 0) == 1);
    CHECK(recv_fds(s[1], fd, 1, 0, &fl) == 1 && (fl & MSG_CTRUNC));
    close(fd[0]);
    int bad = 9999;
    CHECK_ERR(send_fds(s[0], &bad, 1, 0), EBADF);
    int many[300];
    for (int i = 0; i < 300; i++) many[i] = 0;
    CHECK_ERR(send_fds(s[0], many, 254, 0), EINVAL);
    close(q[0]), close(q[1]), close(s[0]), close(s[1]);
}

static void peek(void)
{
    int s[2], a[1], b[1];
    CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s) && send_fds(s[0], &s[0], 1, 0) == 1);
    CHECK(recv_fds(s[1], a, 1, MSG_PEEK, NULL) == 1 && recv_fds(s[1], b, 1, 0, NULL) == 1 && a[0] != b[0]);
    close(a[0]), close(b[0]), close(s[0]), close(s[1]);
}

/* Bytes before the descriptors join the read; bytes behind them do not. */
static void boundaries(void)
{
    int s[2], fd;
    char b[16], ctl[CMSG_SPACE(sizeof(int))];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CHECK(write(s[0], "ab", 2) == 2 && send_fds(s[0], &s[0], 1, 0) == 1 && write(s[0], "cd", 2) == 2);
    struct iovec v = { b, sizeof b };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl };
    CHECK(recvmsg(s[1], &m, 0) == 3 && m.msg_controllen);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    CHECK(read(s[1], b, sizeof b) == 2);
    close(fd), close(s[0]), close(s[1]);
}

static void dropped_by_read(void)
{
    int s[2], p[2];
    char c;
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s) && !pipe(p));
    CHECK(send_fds(s[0], &p[1], 1, 0) == 1);
    close(p[1]);
    CHECK(read(s[1], &c, 1) == 1 && read(p[0], &c, 1) == 0);
    close(p[0]), close(s[0]), close(s[1]);
}

static void credentials(void)
{
    int s[2], one = 1;
    char c = 'c', ctl[CMSG_SPACE(sizeof(struct ucred))];
    struct ucred u;
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CHECK(!setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    CHECK(write(s[0], &c, 1) == 1);
    struct iovec v = { &c, 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl };
    CHECK(recvmsg(s[1], &m, 0) == 1);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h && h->cmsg_type == SCM_CREDENTIALS);
    memcpy(&u, CMSG_DATA(h), sizeof u);
    CHECK(u.pid == getpid() && u.uid == getuid() && u.gid == getgid());
    close(s[0]), close(s[1]);
}

/* Pairs that hold only each other must go: a pipe end inside them shows it. */
static void cycle(void)
{
    int s[2], p[2];
    char c;
    CHECK(!pipe(p) && !socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    int fds[2] = { s[0], p[1] };
    CHECK(send_fds(s[0], fds, 2, 0) == 1 && send_fds(s[1], &s[1], 1, 0) == 1);
    close(p[1]), close(s[0]), close(s[1]);
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    close(s[0]), close(s[1]);
    CHECK(read(p[0], &c, 1) == 0);
    close(p[0]);
}

TEST_MAIN(CASE(pass), CASE(peek), CASE(boundaries), CASE(dropped_by_read), CASE(credentials), CASE(cycle))
