/* Source: clock_gettime(3C), gethrtime(3C), nanosleep(3C), times(2), clock_getres(3C). */
#include <stdio.h>
#include <time.h>
#include <sys/time.h>
#include <sys/times.h>
#include <errno.h>
#include <unistd.h>
int main(void)
{
    struct timespec a, b, r; struct tms tms; struct timeval tv;
    hrtime_t h1 = gethrtime(), h2;
    clock_gettime(CLOCK_MONOTONIC, &a);
    r = (struct timespec){ 0, 30000000 };
    printf("%d\n", nanosleep(&r, NULL));
    clock_gettime(CLOCK_MONOTONIC, &b);
    h2 = gethrtime();
    printf("%d %d\n", (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec >= 30000000, h2 - h1 >= 30000000);
    clock_gettime(CLOCK_REALTIME, &a);
    gettimeofday(&tv, NULL);
    printf("%d\n", tv.tv_sec >= a.tv_sec && time(NULL) >= a.tv_sec);
    printf("%d\n", times(&tms) > 0);
    printf("%d %d\n", clock_getres(CLOCK_HIGHRES, &r), r.tv_sec == 0 && r.tv_nsec > 0);
    printf("%d %d\n", clock_gettime(77, &r), errno == EINVAL);
    r = (struct timespec){ 0, 1000000000 };
    printf("%d %d\n", nanosleep(&r, NULL), errno == EINVAL);
    printf("%d %d\n", CLOCK_REALTIME, CLOCK_MONOTONIC);
    return 0;
}
