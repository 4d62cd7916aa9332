/* Source: socketpair(3SOCKET), sendmsg(3SOCKET): SCM_RIGHTS 0x1010; unix(7P); getpeerucred is not offered. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(void)
{
    int sv[2], p[2], got = -1; char b[16], one = 'x';
    union { struct cmsghdr h; char space[64]; } u; struct iovec io = { &one, 1 }; struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = u.space };
    printf("%x %d\n", SCM_RIGHTS, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    write(sv[0], "pair", 4);
    printf("%d %.4s\n", (int)read(sv[1], b, 16), b);
    pipe(p);
    memset(&u, 0, sizeof u);
    m.msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &p[1], sizeof(int));
    printf("%d\n", (int)sendmsg(sv[0], &m, 0));
    memset(&u, 0, sizeof u);
    m.msg_controllen = sizeof u;
    printf("%d\n", (int)recvmsg(sv[1], &m, 0));
    h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_type == SCM_RIGHTS) memcpy(&got, CMSG_DATA(h), sizeof(int));
    printf("%d\n", got > p[1]);
    write(got, "through", 7);
    printf("%d\n", (int)read(p[0], b, 16));
    struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sock" };
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("%d %d\n", bind(l, (void *)&a, sizeof a), listen(l, 1));
    printf("%d\n", connect(c, (void *)&a, sizeof a));
    printf("%d %d\n", bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a), errno == EADDRINUSE);
    unlink("sock");
    printf("%d %d\n", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a), errno == ENOENT);
    return 0;
}
