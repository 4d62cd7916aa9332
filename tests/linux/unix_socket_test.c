/* AF_UNIX: names, connections, datagrams, errors. unix(7) */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static socklen_t name(struct sockaddr_un *a, const char *fmt, int abstract)
{
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    snprintf(a->sun_path + abstract, sizeof a->sun_path - 1, "%s%d", fmt, (int)getpid());
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a->sun_path + abstract) + 1);
}

static int poll_of(int fd, int ev)
{
    struct pollfd p = { fd, (short)ev, 0 };
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void stream_pair(void)
{
    int s[2];
    char b[64];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CHECK(write(s[0], "hello", 5) == 5 && write(s[0], " you", 4) == 4);
    CHECK(recv(s[1], b, sizeof b, MSG_PEEK) == 9);
    int n;
    CHECK(!ioctl(s[1], FIONREAD, &n) && n == 9);
    CHECK(read(s[1], b, 3) == 3 && read(s[1], b, sizeof b) == 6 && !memcmp(b, "lo you", 6));
    CHECK_ERR(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(poll_of(s[1], POLLIN | POLLOUT | POLLRDHUP) == POLLOUT);
    CHECK(!shutdown(s[0], SHUT_WR));
    CHECK(poll_of(s[1], POLLIN | POLLOUT | POLLRDHUP) == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK(read(s[1], b, 1) == 0);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(write(s[1], "z", 1) == 1 && read(s[0], b, 1) == 1);
    CHECK(!close(s[0]));
    CHECK(poll_of(s[1], POLLIN) == (POLLIN | POLLHUP));
    CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
}

static void reset_on_unread(void)
{
    int s[2], e;
    char c;
    socklen_t l = sizeof e;
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CHECK(write(s[0], "x", 1) == 1);
    close(s[1]);
    CHECK(poll_of(s[0], POLLIN) & POLLERR);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    CHECK(read(s[0], &c, 1) == 0);
    CHECK(!getsockopt(s[0], SOL_SOCKET, SO_ERROR, &e, &l) && e == 0);
    close(s[0]);
}

static void path_names(void)
{
    struct sockaddr_un a, b;
    socklen_t len = name(&a, "/tmp/sundog-sock-", 0), l = sizeof b;
    struct stat st;
    int srv = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(a.sun_path);
    CHECK_ERR(connect(c, (void *)&a, len), ENOENT);
    CHECK_ERR(listen(srv, 1), EINVAL);
    CHECK(!bind(srv, (void *)&a, len));
    CHECK(!stat(a.sun_path, &st) && S_ISSOCK(st.st_mode));
    CHECK_ERR(bind(srv, (void *)&a, len), EADDRINUSE);
    CHECK_ERR(bind(c, (void *)&a, len), EADDRINUSE);
    CHECK_ERR(connect(c, (void *)&a, len), ECONNREFUSED);
    CHECK(!listen(srv, 5));
    CHECK(!connect(c, (void *)&a, len));
    CHECK_ERR(connect(c, (void *)&a, len), EISCONN);
    int d = accept4(srv, (void *)&b, &l, SOCK_CLOEXEC);
    CHECK(d >= 0 && l == 2 && b.sun_family == AF_UNIX);
    CHECK(fcntl(d, F_GETFD) == FD_CLOEXEC);
    l = sizeof b;
    CHECK(!getpeername(c, (void *)&b, &l) && l == len && !strcmp(a.sun_path, b.sun_path));
    struct ucred u;
    l = sizeof u;
    CHECK(!getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &l) && u.pid == getpid() && u.uid == geteuid());
    CHECK_ERR(open(a.sun_path, O_RDWR), ENXIO);
    close(srv);
    int e = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(connect(e, (void *)&a, len), ECONNREFUSED);
    int g = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERR(connect(g, (void *)&a, len), ECONNREFUSED);
    CHECK(!unlink(a.sun_path));
    close(c), close(d), close(e), close(g);
}

static void abstract_names(void)
{
    struct sockaddr_un a, b;
    socklen_t len = name(&a, "sundog-", 1), l = sizeof b;
    int s = socket(AF_UNIX, SOCK_DGRAM, 0), t = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(!bind(s, (void *)&a, len));
    CHECK_ERR(bind(t, (void *)&a, len), EADDRINUSE);
    CHECK(sendto(t, "ab", 2, 0, (void *)&a, len) == 2);
    char buf[8];
    CHECK(recvfrom(s, buf, 1, MSG_TRUNC, (void *)&b, &l) == 2 && l == 0);
    sa_family_t f = AF_UNIX;
    CHECK(!bind(t, (void *)&f, sizeof f));
    l = sizeof b;
    CHECK(!getsockname(t, (void *)&b, &l) && l == 8 && b.sun_path[0] == 0);
    close(s);
    CHECK_ERR(sendto(t, "ab", 2, 0, (void *)&a, len), ECONNREFUSED);
    close(t);
}

static void backlog(void)
{
    struct sockaddr_un a;
    socklen_t len = name(&a, "sundog-bl-", 1);
    int srv = socket(AF_UNIX, SOCK_STREAM, 0), c[3];
    CHECK(!bind(srv, (void *)&a, len) && !listen(srv, 1));
    for (int i = 0; i < 3; i++) c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(!connect(c[0], (void *)&a, len) && !connect(c[1], (void *)&a, len));
    CHECK_ERR(connect(c[2], (void *)&a, len), EAGAIN);
    int d = accept(srv, NULL, NULL);
    CHECK(d >= 0 && !connect(c[2], (void *)&a, len));
    close(srv);
    char x;
    CHECK_ERR(read(c[1], &x, 1), ECONNRESET);
    close(d);
    for (int i = 0; i < 3; i++) close(c[i]);
}

static void dgram_pair(void)
{
    int s[2];
    char b[8];
    CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
    CHECK(send(s[0], "", 0, 0) == 0 && send(s[0], "12345", 5, 0) == 5);
    CHECK(recv(s[1], b, 8, 0) == 0 && recv(s[1], b, 2, 0) == 2);
    CHECK_ERR(recv(s[1], b, 8, MSG_DONTWAIT), EAGAIN);
    char *big = calloc(1, 1 << 20);
    CHECK_ERR(send(s[0], big, 1 << 20, 0), EMSGSIZE);
    free(big);
    close(s[1]);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), ECONNREFUSED);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), ENOTCONN);
    close(s[0]);
}

static void seqpacket(void)
{
    int s[2];
    char b[8];
    struct iovec v = { b, 3 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
    CHECK(send(s[0], "12345", 5, 0) == 5 && send(s[0], "67", 2, 0) == 2);
    CHECK(recvmsg(s[1], &m, 0) == 3 && (m.msg_flags & MSG_TRUNC));
    CHECK(recvmsg(s[1], &m, 0) == 2 && !(m.msg_flags & MSG_TRUNC));
    close(s[0]);
    CHECK(read(s[1], b, 1) == 0);
    CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
}

static volatile sig_atomic_t pipes;
static void on_pipe(int n) { (void)n; pipes++; }

static void sigpipe(void)
{
    int s[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    signal(SIGPIPE, on_pipe);
    close(s[1]);
    CHECK_ERR(write(s[0], "x", 1), EPIPE);
    CHECK(pipes == 1);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(pipes == 1);
    close(s[0]);
}

static void *reader(void *p)
{
    static char b[65536];
    size_t n = 0;
    ssize_t r;
    while ((r = read(*(int *)p, b, sizeof b)) > 0) n += (size_t)r;
    return (void *)n;
}

static void blocking_write(void)
{
    int s[2];
    pthread_t t;
    void *n;
    static char b[3 << 20];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CHECK(!pthread_create(&t, NULL, reader, &s[1]));
    CHECK(write(s[0], b, sizeof b) == sizeof b);
    close(s[0]);
    CHECK(!pthread_join(t, &n) && (size_t)n == sizeof b);
    close(s[1]);
}

static void full_and_timeout(void)
{
    int s[2];
    static char b[65536];
    struct timeval tv = { 0, 50000 };
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    while (send(s[0], b, sizeof b, MSG_DONTWAIT) > 0) ;
    CHECK(errno == EAGAIN && !poll_of(s[0], POLLOUT));
    CHECK(!setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
    CHECK_ERR(write(s[0], b, 1), EAGAIN);
    CHECK(!setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    CHECK_ERR(read(s[0], b, 1), EAGAIN);
    while (recv(s[1], b, sizeof b, MSG_DONTWAIT) > 0) ;
    CHECK(poll_of(s[0], POLLOUT) == POLLOUT);
    close(s[0]), close(s[1]);
}

static void bad_arguments(void)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0), v;
    socklen_t l = sizeof v;
    CHECK_ERR(socket(AF_UNIX, 77, 0), EINVAL);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 3), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(bind(0, NULL, 0), ENOTSOCK);
    CHECK_ERR(listen(-1, 0), EBADF);
    CHECK_ERR(accept(s, NULL, NULL), EINVAL);
    CHECK_ERR(send(s, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    CHECK_ERR(recv(s, &v, 1, 0), EINVAL);
    CHECK_ERR(getsockopt(s, SOL_SOCKET, 9999, &v, &l), ENOPROTOOPT);
    CHECK_ERR(shutdown(s, 9), EINVAL);
    CHECK(!getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &l) && v == SOCK_STREAM);
    CHECK(!getsockopt(s, SOL_SOCKET, SO_DOMAIN, &v, &l) && v == AF_UNIX);
    CHECK(poll_of(s, POLLIN | POLLOUT) == (POLLOUT | POLLHUP));
    close(s);
}

/* A stream's receiver learns the name that the other end is bound to. */
static void stream_names(void)
{
    struct sockaddr_un from, a = { .sun_family = AF_UNIX, .sun_path = "\0stream-names" };
    socklen_t alen = offsetof(struct sockaddr_un, sun_path) + 13, flen = sizeof from;
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    char b;
    CHECK(bind(l, (void *)&a, alen) == 0 && listen(l, 1) == 0 && connect(c, (void *)&a, alen) == 0);
    int s = accept(l, NULL, NULL);
    CHECK(write(s, "x", 1) == 1 && write(c, "y", 1) == 1);
    CHECK(recvfrom(c, &b, 1, 0, (void *)&from, &flen) == 1 && flen == alen && !memcmp(&from, &a, alen));
    flen = sizeof from;
    CHECK(recvfrom(s, &b, 1, 0, (void *)&from, &flen) == 1 && flen == 0);   /* unnamed */
    close(s), close(c), close(l);
}

static void message_flags_and_credentials(void)
{
    int p[2];
    char b = 0, control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec io = { &b, 1 };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_flags = -1 };
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0 && write(p[0], "x", 1) == 1);
    CHECK(recvmsg(p[1], &m, 0) == 1 && m.msg_flags == 0);   /* no MSG_EOR: unix(7) sockets never report it */
    if (geteuid() == 0) {
        struct ucred u = { .pid = -1, .uid = 0, .gid = 0 };
        memset(control, 0, sizeof control);
        m = (struct msghdr){ .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof u), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS };
        memcpy(CMSG_DATA(c), &u, sizeof u);
        CHECK_ERR(sendmsg(p[0], &m, 0), ESRCH);
    }
    close(p[0]), close(p[1]);
}

static void bound_mode(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat st;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    mode_t old = umask(0123);
    snprintf(a.sun_path, sizeof a.sun_path, "/tmp/bound-mode-%d", getpid());
    CHECK(fchmod(s, 0765) == 0 && bind(s, (void *)&a, sizeof a) == 0 && stat(a.sun_path, &st) == 0);
    unlink(a.sun_path);
    umask(old);
    CHECK(st.st_mode == (S_IFSOCK | 0644));
    close(s);
}

static void receive_nothing(void)
{
    int p[2];
    char b;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK_ERR(recv(p[0], &b, 0, MSG_DONTWAIT), EAGAIN);
    CHECK(read(p[0], &b, 0) == 0);
    CHECK(write(p[1], "x", 1) == 1 && recv(p[0], &b, 0, MSG_DONTWAIT) == 0 && recv(p[0], &b, 1, MSG_DONTWAIT) == 1);
    /* Descriptors come all the same, once. */
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec io = { "y", 1 };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(c), &p[1], sizeof(int));
    CHECK(sendmsg(p[1], &m, 0) == 1);
    m = (struct msghdr){ .msg_control = control, .msg_controllen = sizeof control };
    CHECK(recvmsg(p[0], &m, 0) == 0 && (c = CMSG_FIRSTHDR(&m)) && c->cmsg_type == SCM_RIGHTS);
    int got;
    memcpy(&got, CMSG_DATA(c), sizeof got);
    CHECK(close(got) == 0);
    m = (struct msghdr){ .msg_iov = &(struct iovec){ &b, 1 }, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    CHECK(recvmsg(p[0], &m, 0) == 1 && b == 'y' && !CMSG_FIRSTHDR(&m));
    close(p[1]);
    CHECK(recv(p[0], &b, 0, 0) == 0);
    close(p[0]);
}

/* Abstract names belong to the network namespace of the socket, not to the one its owner has gone to. */
static void abstract_in_namespace(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
    pid_t p = fork();
    if (!p) {
        for (unsigned i = 0; i < 3; i++) {
            struct sockaddr_un a = { .sun_family = AF_UNIX };
            socklen_t len = sizeof a;
            int s = socket(AF_UNIX, types[i], 0), c = socket(AF_UNIX, types[i], 0);
            if (unshare(CLONE_NEWNET)) exit(77);
            int other = socket(AF_UNIX, types[i], 0);
            CHECK(bind(s, (void *)&a, sizeof(sa_family_t)) == 0 && getsockname(s, (void *)&a, &len) == 0);
            CHECK(types[i] == SOCK_DGRAM || listen(s, 1) == 0);
            CHECK_ERR(connect(other, (void *)&a, len), ECONNREFUSED);
            if (types[i] == SOCK_DGRAM) {
                CHECK_ERR(sendto(other, "x", 1, 0, (void *)&a, len), ECONNREFUSED);
                CHECK(sendto(c, "x", 1, 0, (void *)&a, len) == 1);
            }
            CHECK(connect(c, (void *)&a, len) == 0);
            CHECK(bind(other, (void *)&a, len) == 0);
            close(s), close(c), close(other);
        }
        exit(0);
    }
    int st;
    CHECK(p > 0 && waitpid(p, &st, 0) == p && WIFEXITED(st));
    if (WEXITSTATUS(st) == 77) puts("skipped: no network namespace to be had");
    else CHECK(!WEXITSTATUS(st));
}

TEST_MAIN(CASE(stream_pair), CASE(reset_on_unread), CASE(path_names), CASE(abstract_names), CASE(abstract_in_namespace), CASE(backlog), CASE(dgram_pair), CASE(seqpacket),
          CASE(sigpipe), CASE(blocking_write), CASE(full_and_timeout), CASE(bad_arguments), CASE(stream_names), CASE(message_flags_and_credentials), CASE(bound_mode), CASE(receive_nothing))
