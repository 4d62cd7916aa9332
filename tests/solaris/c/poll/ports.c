/* Source: port_create(3C), port_associate(3C): an association is for one event; port_getn(3C), port_send(3C), port_alert(3C). */
#include <stdio.h>
#include <port.h>
#include <errno.h>
#include <unistd.h>
#include <poll.h>
int main(void)
{
    int p[2], port = port_create(); port_event_t e, l[4]; uint_t n = 1; struct timespec z = { 0, 0 };
    pipe(p);
    printf("%d\n", port_associate(port, PORT_SOURCE_FD, (uintptr_t)p[0], POLLIN, (void *)5));
    printf("%d %d\n", port_get(port, &e, &z), errno == ETIME);
    write(p[1], "x", 1);
    printf("%d", port_get(port, &e, NULL));
    printf(" %d %d %d %ld\n", e.portev_source == PORT_SOURCE_FD, e.portev_events, e.portev_object == (uintptr_t)p[0], (long)e.portev_user);
    printf("%d %d\n", port_get(port, &e, &z), errno == ETIME);
    printf("%d\n", port_send(port, 77, (void *)6));
    printf("%d", port_get(port, &e, NULL));
    printf(" %d %d %ld\n", e.portev_source == PORT_SOURCE_USER, e.portev_events, (long)e.portev_user);
    for (int i = 0; i < 3; i++) port_send(port, i, NULL);
    n = 2;
    printf("%d", port_getn(port, l, 4, &n, NULL));
    printf(" %u %d\n", n, l[2].portev_events);
    printf("%d", port_alert(port, PORT_ALERT_SET, 9, (void *)7));
    printf(" %d", port_get(port, &e, NULL));
    printf(" %d %d\n", e.portev_source == PORT_SOURCE_ALERT, e.portev_events);
    port_alert(port, PORT_ALERT_SET, 0, NULL);
    printf("%d %d\n", port_dissociate(port, PORT_SOURCE_FD, (uintptr_t)p[0]), errno == ENOENT);
    printf("%d %d\n", port_associate(port, PORT_SOURCE_FD, 99, POLLIN, NULL), errno == EBADFD);
    printf("%d %d\n", port_send(p[0], 1, NULL), errno == EBADFD);
    return 0;
}
