/* Source: timer_create(3C), port_get(3C), port_create(3C): a timer with SIGEV_PORT sends PORT_SOURCE_TIMER with the number of expirations; one event at a time. */
#include <port.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    int p = port_create(), n = 0;
    port_notify_t pn = { p, (void *)0x77 };
    struct sigevent ev;
    struct itimerspec once = { { 0, 0 }, { 0, 20000000 } }, often = { { 0, 2000000 }, { 0, 2000000 } }, off = { { 0, 0 }, { 0, 0 } };
    struct timespec zero = { 0, 0 }, pause_ = { 0, 60000000 };
    timer_t t;
    port_event_t e;

    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_PORT;
    ev.sigev_value.sival_ptr = &pn;
    printf("%d\n", timer_create(CLOCK_REALTIME, &ev, &t));
    printf("%d\n", port_get(p, &e, &zero));
    printf("%d\n", timer_settime(t, 0, &once, NULL));
    printf("%d", port_get(p, &e, NULL));
    printf(" %d %d %d %d\n", e.portev_source == PORT_SOURCE_TIMER, e.portev_events, (timer_t)e.portev_object == t, (int)(long)e.portev_user);
    printf("%d\n", port_get(p, &e, &zero));
    timer_settime(t, 0, &often, NULL);
    nanosleep(&pause_, NULL);
    printf("%d", port_get(p, &e, NULL));
    printf(" several %d\n", e.portev_events > 1);
    while (n < 20 && !port_get(p, &e, NULL)) n += e.portev_events;
    printf("more %d\n", n >= 20);
    timer_settime(t, 0, &off, NULL);
    while (!port_get(p, &e, &zero)) {}
    nanosleep(&pause_, NULL);
    printf("off %d\n", port_get(p, &e, &zero));
    printf("%d\n", timer_delete(t));
    pn.portnfy_port = 99;
    printf("%d\n", timer_create(CLOCK_REALTIME, &ev, &t));
    return 0;
}
