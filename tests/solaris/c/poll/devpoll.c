/* Source: poll(4D): events are added by write(), POLLREMOVE takes a descriptor out, DP_POLL is a level; DP_ISPOLLED asks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DP_POLL 0xd001
#define DP_ISPOLLED 0xd002
#ifndef POLLREMOVE
#define POLLREMOVE 0x0800
#endif
struct dvpoll { struct pollfd *dp_fds; nfds_t dp_nfds; int dp_timeout; };

int main(void)
{
    int dp = open("/dev/poll", O_RDWR), p[40][2];
    struct pollfd out[64], change;
    struct dvpoll now = { out, 64, 0 }, soon = { out, 64, 30 };

    printf("open %d access %d\n", dp >= 0, access("/dev/poll", R_OK | W_OK));
    for (int i = 0; i < 40; i++) {
        pipe(p[i]);
        change = (struct pollfd){ .fd = p[i][0], .events = POLLIN };
        if (write(dp, &change, sizeof change) != sizeof change) printf("write: %s\n", strerror(errno));
    }
    printf("nothing %d %d\n", ioctl(dp, DP_POLL, &now), ioctl(dp, DP_POLL, &soon));
    for (int i = 0; i < 40; i += 2) write(p[i][1], "x", 1);
    int n = ioctl(dp, DP_POLL, &now), right = 0;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < 40; i += 2) right += out[k].fd == p[i][0] && out[k].revents == POLLIN;
    printf("ready %d right %d\n", n, right);
    now.dp_nfds = 5;
    printf("room for five %d\n", ioctl(dp, DP_POLL, &now));
    now.dp_nfds = 64;
    for (int i = 0; i < 40; i += 4) {
        change = (struct pollfd){ .fd = p[i][0], .events = POLLREMOVE };
        write(dp, &change, sizeof change);
    }
    printf("after removal %d\n", ioctl(dp, DP_POLL, &now));
    change = (struct pollfd){ .fd = p[1][0] };
    printf("polled %d", ioctl(dp, DP_ISPOLLED, &change));
    change.fd = p[0][0];
    printf(" not %d\n", ioctl(dp, DP_ISPOLLED, &change));
    for (int i = 0; i < 40; i++) close(p[i][0]);
    printf("all closed %d\n", ioctl(dp, DP_POLL, &now));
    errno = 0;
    printf("bad %d %d\n", ioctl(dp, 0xd0ff, 0), errno == EINVAL);
    return 0;
}
