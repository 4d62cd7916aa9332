/* Source: if_nametoindex(3SOCKET), if_tcp(7P): SIOCGLIFNUM, SIOCGLIFCONF, SIOCGLIFFLAGS; the loopback interface is lo0. */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <errno.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <netinet/in.h>
#include <net/if.h>
int main(void)
{
    struct lifnum n = { .lifn_family = AF_INET }; struct lifconf c = { .lifc_family = AF_INET }; struct lifreq r; char b[LIFNAMSIZ]; int found = 0;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    printf("%d %d\n", ioctl(s, SIOCGLIFNUM, &n), n.lifn_count >= 1);
    c.lifc_len = (n.lifn_count + 2) * (int)sizeof r;
    c.lifc_buf = calloc((size_t)n.lifn_count + 2, sizeof r);
    printf("%d %d\n", ioctl(s, SIOCGLIFCONF, &c), c.lifc_len == n.lifn_count * (int)sizeof r);
    for (int i = 0; i < n.lifn_count; i++) {
        struct lifreq *q = (struct lifreq *)(void *)c.lifc_buf + i;
        struct sockaddr_in *a = (void *)&q->lifr_addr;
        if (!strcmp(q->lifr_name, "lo0")) found = a->sin_family == AF_INET && ntohl(a->sin_addr.s_addr) == INADDR_LOOPBACK;
    }
    memset(&r, 0, sizeof r);
    strcpy(r.lifr_name, "lo0");
    printf("%d %d", found, ioctl(s, SIOCGLIFFLAGS, &r));
    printf(" %d\n", (r.lifr_flags & 9) == 9);
    printf("%d", ioctl(s, SIOCGLIFNETMASK, &r));
    printf(" %x\n", (unsigned)ntohl(((struct sockaddr_in *)(void *)&r.lifr_addr)->sin_addr.s_addr));
    unsigned i = if_nametoindex("lo0");
    printf("%d %s\n", i > 0, if_indextoname(i, b));
    strcpy(r.lifr_name, "none7");
    printf("%d %d\n", ioctl(s, SIOCGLIFFLAGS, &r), errno == ENXIO);
    printf("%u\n", if_nametoindex("none7"));
    return 0;
}
