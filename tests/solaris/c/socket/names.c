/* Source: inet(3SOCKET), inet_ntop(3SOCKET), getaddrinfo(3SOCKET), getnameinfo(3SOCKET), getservbyname(3SOCKET); EAI_NONAME is 8. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <netdb.h>
int main(void)
{
    struct in6_addr a6; struct in_addr a; char b[64], s[32]; struct addrinfo *r, h = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    printf("%x %x\n", (unsigned)ntohl(inet_addr("1.2.3.4")), htons(0x1234));
    printf("%d %s\n", inet_pton(AF_INET, "10.0.0.7", &a), inet_ntop(AF_INET, &a, b, sizeof b));
    printf("%d %s\n", inet_pton(AF_INET6, "fe80::1:2", &a6), inet_ntop(AF_INET6, &a6, b, sizeof b));
    printf("%d\n", inet_pton(AF_INET, "1.2.3.400", &a));
    printf("%d", getaddrinfo("127.0.0.1", "80", &h, &r));
    printf(" %d %d %d\n", r->ai_family == AF_INET, ntohs(((struct sockaddr_in *)r->ai_addr)->sin_port), (int)r->ai_addrlen);
    printf("%d %s %s\n", getnameinfo(r->ai_addr, r->ai_addrlen, b, sizeof b, s, sizeof s, NI_NUMERICHOST | NI_NUMERICSERV), b, s);
    freeaddrinfo(r);
    printf("%d %d\n", getaddrinfo("not-a-number", NULL, &h, &r), EAI_NONAME);
    h.ai_flags = 0;
    printf("%d", getaddrinfo("localhost", NULL, &h, &r));
    printf(" %d\n", r->ai_addr->sa_family == AF_INET || r->ai_addr->sa_family == AF_INET6);
    return 0;
}
