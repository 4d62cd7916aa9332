/*
 * Channels: one thread each, receive - handle - reply. A packet that is not even shaped like a request ends the channel;
 * a shaped one with bad contents is answered -EBADMSG. Descriptors a peer sends are dropped by the kernel, since no
 * control buffer is offered.
 */
#include "gofer/gofer.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

HOSTCALL(recvmsg, "requests");
HOSTCALL(sendmsg, "replies");
HOSTCALL_ARG(fcntl, "donated copies of descriptors", 1, F_DUPFD_CLOEXEC);

static gofer_handler *const handlers[GOFER_OP_END] = {
    [GOFER_HELLO] = op_hello, [GOFER_ATTACH] = op_attach, [GOFER_WALK] = op_walk, [GOFER_GETATTR] = op_getattr,
    [GOFER_SETATTR] = op_setattr, [GOFER_OPEN] = op_open, [GOFER_CREATE] = op_create, [GOFER_TMPFILE] = op_tmpfile,
    [GOFER_MKDIR] = op_mkdir, [GOFER_MKNOD] = op_mknod, [GOFER_SYMLINK] = op_symlink, [GOFER_LINK] = op_link,
    [GOFER_UNLINK] = op_unlink, [GOFER_RENAME] = op_rename, [GOFER_READLINK] = op_readlink, [GOFER_READDIR] = op_readdir,
    [GOFER_STATFS] = op_statfs, [GOFER_GETXATTR] = op_getxattr, [GOFER_SETXATTR] = op_setxattr,
    [GOFER_LISTXATTR] = op_listxattr, [GOFER_REMOVEXATTR] = op_removexattr, [GOFER_FSYNC] = op_fsync,
    [GOFER_RELEASE] = op_release,
};

bool gofer_handle_packet(const struct rpc_hdr *h, const u8 *payload, size_t payload_len, struct rpc_hdr *rep,
                         u8 *out, int *fd, bool *reply)
{
    *fd = -1;
    *reply = false;
    if ((h->type & 0xffff0000u) != GOFER_MAGIC || h->len != payload_len || h->err != 0) return false;
    u32 op = h->type & 0xffff;
    struct gofer_req r = { .in = payload, .len = h->len, .out = out, .fd = -1 };
    int err = op < GOFER_OP_END && handlers[op] ? handlers[op](&r) : -EBADMSG;
    if (err && r.fd >= 0) {
        close(r.fd);
        r.fd = -1;
    }
    *reply = op != GOFER_RELEASE;
    *rep = (struct rpc_hdr){ .type = h->type, .seq = h->seq, .len = err ? 0 : r.out_len, .err = err };
    *fd = r.fd;
    return true;
}

static void serve_with(int sock, u8 *in, u8 *out)
{
    for (;;) {
        struct rpc_hdr h, rep;
        struct iovec iov[2] = { { &h, sizeof h }, { in, GOFER_PAYLOAD_MAX } };
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
        ssize_t n = recvmsg(sock, &m, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        int fd = -1;
        bool reply;
        if ((size_t)n < sizeof h || (m.msg_flags & MSG_TRUNC) ||
            !gofer_handle_packet(&h, in, (size_t)n - sizeof h, &rep, out, &fd, &reply)) {
            log_error("malformed request: channel closed");
            return;
        }
        int err = reply ? rpc_reply(sock, &rep, out, fd) : 0;
        if (fd >= 0) close(fd);
        if (err) return;
    }
}

static void serve_channel(int sock)
{
    /* Fresh pages of the host: they are zero, and most of them are never touched. */
    u8 *buf = mmap(NULL, 2 * GOFER_PAYLOAD_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buf == MAP_FAILED) panic("the host is out of memory");
    serve_with(sock, buf, buf + GOFER_PAYLOAD_MAX);
    munmap(buf, 2 * GOFER_PAYLOAD_MAX);
}

int gofer_serve(const int *socks, unsigned n) { return rpc_serve(socks, n, serve_channel); }
