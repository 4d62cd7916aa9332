/* Source: sendto(3SOCKET), recvfrom(3SOCKET), poll(2), IPv6: sockaddr_in6 is 32 bytes here. */
#include <stdio.h>
#include <poll.h>
#include <errno.h>
#include <unistd.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
int main(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from; socklen_t n = sizeof a; char b[32]; struct pollfd p;
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    bind(s, (void *)&a, sizeof a);
    getsockname(s, (void *)&a, &n);
    p = (struct pollfd){ s, POLLIN, 0 };
    printf("%d\n", poll(&p, 1, 0));
    printf("%d\n", (int)sendto(c, "datagram", 8, 0, (void *)&a, sizeof a));
    printf("%d %x\n", poll(&p, 1, 5000), p.revents);
    n = sizeof from;
    printf("%d", (int)recvfrom(s, b, 4, 0, (void *)&from, &n));
    printf(" %d %.4s\n", from.sin_family, b);
    printf("%d %d\n", (int)recv(s, b, 4, MSG_DONTWAIT), errno == EAGAIN);
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int s6 = socket(AF_INET6, SOCK_STREAM, 0);
    printf("%d %d\n", (int)sizeof a6, bind(s6, (void *)&a6, sizeof a6));
    n = sizeof a6;
    getsockname(s6, (void *)&a6, &n);
    printf("%d %d\n", (int)n, a6.sin6_port != 0);
    return 0;
}
