/* NETLINK_ROUTE dumps, getifaddrs(3), interface ioctls. netlink(7), rtnetlink(7), netdevice(7) */
#include "check.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void interfaces(void)
{
    struct ifaddrs *l, *i;
    int lo4 = 0;
    CHECK(!getifaddrs(&l));
    for (i = l; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !strcmp(i->ifa_name, "lo"))
            lo4 = ((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    freeifaddrs(l);
    CHECK(lo4);
    CHECK(if_nametoindex("lo") == 1);
    CHECK(if_nametoindex("nosuch0") == 0);
}

static void errors(void)
{
    struct { struct nlmsghdr h; struct ifinfomsg i; } q = { .h = { sizeof q, RTM_GETLINK, NLM_F_REQUEST, 7, 0 }, .i = { .ifi_index = 4711 } };
    struct sockaddr_nl a = { .nl_family = AF_NETLINK };
    socklen_t l = sizeof a;
    char b[8192];
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    CHECK(s >= 0 && !bind(s, (void *)&a, sizeof a) && !getsockname(s, (void *)&a, &l) && a.nl_pid);
    CHECK(send(s, &q, sizeof q, 0) == sizeof q && recv(s, b, sizeof b, 0) > 0);
    struct nlmsghdr *h = (void *)b;
    CHECK(h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == 7 && ((struct nlmsgerr *)NLMSG_DATA(h))->error == -ENODEV);
    close(s);
    CHECK_ERR(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_NETLINK, SOCK_RAW, 31), EPROTONOSUPPORT);
}

static void ioctls(void)
{
    struct ifreq r = { 0 };
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    strcpy(r.ifr_name, "lo");
    CHECK(!ioctl(s, SIOCGIFFLAGS, &r) && (r.ifr_flags & (IFF_UP | IFF_LOOPBACK)) == (IFF_UP | IFF_LOOPBACK));
    CHECK(!ioctl(s, SIOCGIFMTU, &r) && r.ifr_mtu == 65536);
    CHECK(!ioctl(s, SIOCGIFADDR, &r) && ((struct sockaddr_in *)(void *)&r.ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    strcpy(r.ifr_name, "nosuch0");
    CHECK_ERR(ioctl(s, SIOCGIFFLAGS, &r), ENODEV);
    close(s);
}

TEST_MAIN(CASE(interfaces), CASE(errors), CASE(ioctls))
