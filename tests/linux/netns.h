/* A network namespace of the test's own, with lo up: nobody else's packets, and rights over devices where root may have them. */
#ifndef SUNDOG_TESTS_LINUX_NETNS_H
#define SUNDOG_TESTS_LINUX_NETNS_H

#include "check.h"
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int link_up(const char *name, int up)
{
    struct ifreq r = { 0 };
    int f = socket(AF_INET, SOCK_DGRAM, 0), e;
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    CHECK(f >= 0 && ioctl(f, SIOCGIFFLAGS, &r) == 0);
    r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
    e = ioctl(f, SIOCSIFFLAGS, &r);
    close(f);
    return e;
}

/* 77 (skipped) without the right to make one. */
#define NETNS_MAIN(...)                                                                             \
    int main(int argc, char **argv)                                                                 \
    {                                                                                               \
        static const struct test_case cases[] = { __VA_ARGS__ };                                    \
        if (unshare(CLONE_NEWNET)) {                                                                \
            puts("skip: no network namespace to be had");                                           \
            return 77;                                                                              \
        }                                                                                           \
        CHECK(link_up("lo", 1) == 0);                                                               \
        return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);                      \
    }

#endif
