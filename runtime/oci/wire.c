#include "runtime/oci/wire.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/state.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How long a supervisor may take to answer; it does nothing that waits for others but hooks. */
#define ANSWER_TIMEOUT 120000

int wire_send(int sock, u32 op, s32 a0, s32 a1, const void *more, size_t len)
{
    struct wire_msg m = { .op = op, .a = { a0, a1, 0 } };
    struct iovec v[2] = { { &m, sizeof(m) }, { (void *)(uintptr_t)more, MIN(len, (size_t)WIRE_MAX - sizeof(m)) } };
    struct msghdr h = { .msg_iov = v, .msg_iovlen = len ? 2 : 1 };
    ssize_t r;
    while ((r = sendmsg(sock, &h, MSG_NOSIGNAL)) < 0 && errno == EINTR) ;
    return r < 0 ? -errno : 0;
}

int wire_send_fds(int sock, u32 op, s32 a0, s32 a1, const int *fds, unsigned nfds)
{
    struct wire_msg m = { .op = op, .a = { a0, a1, 0 } };
    union { struct cmsghdr align; u8 b[CMSG_SPACE(WIRE_FDS * sizeof(int))]; } aux;
    struct iovec v = { &m, sizeof(m) };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = aux.b, .msg_controllen = CMSG_SPACE(nfds * sizeof(int)) };
    if (nfds > WIRE_FDS) return -E2BIG;
    memset(&aux, 0, sizeof(aux));
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    ssize_t r;
    while ((r = sendmsg(sock, &h, MSG_NOSIGNAL)) < 0 && errno == EINTR) ;
    return r < 0 ? -errno : 0;
}

ssize_t wire_recv(int sock, struct wire_msg *m, void *more, size_t size, int *fds, unsigned *nfds, int timeout)
{
    union { struct cmsghdr align; u8 b[CMSG_SPACE(WIRE_FDS * sizeof(int))]; } aux;
    struct iovec v[2] = { { m, sizeof(*m) }, { more, size ? size - 1 : 0 } };
    struct msghdr h = { .msg_iov = v, .msg_iovlen = size ? 2 : 1, .msg_control = aux.b, .msg_controllen = sizeof(aux.b) };
    ssize_t r;
    if (timeout >= 0) {
        struct pollfd p = { .fd = sock, .events = POLLIN };
        int n = poll(&p, 1, timeout);
        if (n <= 0) return n ? -errno : -ETIMEDOUT;
    }
    while ((r = recvmsg(sock, &h, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) ;
    if (r < 0) return -errno;
    unsigned n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (fds && n < WIRE_FDS) fds[n++] = fd;
            else close(fd);
        }
    }
    if (nfds) *nfds = n;
    if (r < (ssize_t)sizeof(*m)) return -EPIPE;
    if (size) ((char *)more)[(size_t)r - sizeof(*m)] = 0;
    return r - (ssize_t)sizeof(*m);
}

/* By way of the directory's descriptor: the path may be longer than an address can hold. */
static void address(struct sockaddr_un *a, int dirfd)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/sock", dirfd);
}

int wire_listen(int dirfd)
{
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    address(&a, dirfd);
    unlinkat(dirfd, "sock", 0);
    mode_t um = umask(0177);
    int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 64) ? -errno : fd;
    umask(um);
    if (r < 0) close(fd);
    return r;
}

int wire_connect(int dirfd)
{
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    address(&a, dirfd);
    if (!connect(fd, (struct sockaddr *)&a, sizeof(a))) return fd;
    int r = -errno;
    close(fd);
    return r;
}

static int request(const char *id, const struct wire_msg *m, const void *data, size_t len, struct wire_msg *answer, void *more, size_t size)
{
    int dirfd;
    if (state_dir_open(id, &dirfd)) return -ENOENT;
    int sock = wire_connect(dirfd);
    close(dirfd);
    if (sock < 0) return sock;
    int r = wire_send(sock, m->op, m->a[0], m->a[1], data, len);
    ssize_t n = r ? r : wire_recv(sock, answer, more, size, NULL, NULL, ANSWER_TIMEOUT);
    close(sock);
    if (n < 0) return (int)n;
    answer->a[2] = (s32)n; /* how much came with it */
    return answer->a[0];
}

int wire_request(const char *id, u32 op, s32 a0, s32 a1, struct wire_msg *answer, void *more, size_t size)
{
    return request(id, &(struct wire_msg){ .op = op, .a = { a0, a1 } }, NULL, 0, answer, more, size);
}

int wire_request_with(const char *id, u32 op, const void *data, size_t len, struct wire_msg *answer)
{
    return request(id, &(struct wire_msg){ .op = op }, data, len, answer, NULL, 0);
}
