/* Source: ctime(3C), strftime(3C), mktime(3C), strptime(3C), difftime(3C); 2001-09-09T01:46:40Z is 10^9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(void)
{
    char b[128]; struct tm tm; time_t t = 1000000000;
    setenv("TZ", "UTC", 1);
    tzset();
    strftime(b, sizeof b, "%Y-%m-%dT%H:%M:%S %a %b %j %U %p %y", gmtime(&t));
    puts(b);
    printf("%s", asctime(gmtime(&t)));
    tm = *gmtime(&t);
    printf("%d\n", mktime(&tm) == t);
    setenv("TZ", "EST5EDT", 1);
    tzset();
    strftime(b, sizeof b, "%H:%M %Z", localtime(&t));
    puts(b);
    printf("%ld %s %s\n", timezone, tzname[0], tzname[1]);
    memset(&tm, 0, sizeof tm);
    char *e = strptime("2024-02-29 13:05:09 rest", "%Y-%m-%d %H:%M:%S", &tm);
    printf("%d %d %d %d:%d:%d%s\n", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, e);
    printf("%d\n", strptime("31/13", "%d/%m", &tm) == NULL);
    memset(&tm, 0, sizeof tm);
    tm.tm_year = 100, tm.tm_mon = 13, tm.tm_mday = 32, tm.tm_isdst = -1;
    mktime(&tm);
    printf("%d-%d-%d\n", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    return 0;
}
