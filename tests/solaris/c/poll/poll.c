/* Source: poll(2), select(3C): events; POLLNVAL for a closed descriptor; POLLHUP when the writer went. */
#include <stdio.h>
#include <poll.h>
#include <unistd.h>
#include <sys/select.h>
#include <sys/time.h>
int main(void)
{
    int p[2]; struct pollfd f[3]; fd_set r, w; struct timeval tv = { 0, 0 };
    pipe(p);
    f[0] = (struct pollfd){ p[0], POLLIN, 0 };
    f[1] = (struct pollfd){ p[1], POLLOUT, 0 };
    f[2] = (struct pollfd){ 99, POLLIN, 0 };
    printf("%d %x %x %x\n", poll(f, 3, 0), f[0].revents, f[1].revents, f[2].revents);
    write(p[1], "x", 1);
    f[2].fd = -1;
    printf("%d %x %x %x\n", poll(f, 3, -1), f[0].revents, f[1].revents, f[2].revents);
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    printf("%d %d %d\n", select(p[1] + 1, &r, &w, NULL, &tv), !!FD_ISSET(p[0], &r), !!FD_ISSET(p[1], &w));
    char c;
    read(p[0], &c, 1);
    close(p[1]);
    printf("%d %x\n", poll(f, 1, 1000), f[0].revents & POLLHUP);
    printf("%d\n", poll(NULL, 0, 1));
    return 0;
}
