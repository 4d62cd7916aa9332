/* Source: socket.h(3HEAD): SOCK_STREAM is 2, SOCK_DGRAM 1; accept(3SOCKET), getsockname(3SOCKET), shutdown(3SOCKET). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
static void *serve(void *v)
{
    char b[64]; int l = (int)(long)v, c = accept(l, NULL, NULL); ssize_t n;
    while ((n = recv(c, b, sizeof b, 0)) > 0) send(c, b, (size_t)n, 0);
    close(c);
    return NULL;
}
int main(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }; socklen_t n = sizeof a; pthread_t t; char b[64]; int v = 1;
    printf("%d %d %d %d\n", SOCK_STREAM, SOCK_DGRAM, AF_INET6, SOL_SOCKET);
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    printf("%d\n", setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &v, sizeof v));
    printf("%d %d\n", bind(l, (void *)&a, sizeof a), listen(l, 5));
    getsockname(l, (void *)&a, &n);
    printf("%d %d\n", a.sin_port != 0, (int)n);
    pthread_create(&t, NULL, serve, (void *)(long)l);
    printf("%d\n", connect(c, (void *)&a, sizeof a));
    send(c, "echo me", 7, 0);
    ssize_t r = recv(c, b, sizeof b, MSG_WAITALL & 0);
    printf("%d %.7s\n", (int)r, b);
    printf("%d\n", setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &v, sizeof v));
    n = sizeof v;
    printf("%d", getsockopt(c, SOL_SOCKET, SO_TYPE, &v, &n));
    printf(" %d\n", v);
    shutdown(c, SHUT_WR);
    printf("%d\n", (int)recv(c, b, sizeof b, 0));
    pthread_join(t, NULL);
    close(c);
    close(l);
    c = socket(AF_INET, SOCK_STREAM, 0);
    printf("%d %d\n", connect(c, (void *)&a, sizeof a), errno == ECONNREFUSED);
    printf("%d %d\n", getpeername(c, (void *)&a, &n), errno == ENOTCONN || errno == EINVAL);
    printf("%d %d\n", bind(99, (void *)&a, sizeof a), errno == EBADF);
    printf("%d %d\n", bind(0, (void *)&a, sizeof a), errno == ENOTSOCK);
    return 0;
}
