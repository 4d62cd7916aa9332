/* libc.so.1: strptime(3C), and the older names of strftime(3C). Names of days and months are the C locale's. */
#include "impl.h"
#include <ctype.h>
#include <stdlib.h>
#include <time.h>

static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const months[] = { "January", "February", "March", "April", "May", "June",
                                      "July", "August", "September", "October", "November", "December" };

static const char *number(const char *s, int lo, int hi, int digits, int *out)
{
    int v = 0, n = 0;

    while (isspace((unsigned char)*s))
        s++;
    for (; n < digits && isdigit((unsigned char)*s); n++)
        v = v * 10 + *s++ - '0';
    if (!n || v < lo || v > hi)
        return NULL;
    *out = v;
    return s;
}
static const char *named(const char *s, const char *const *list, int n, int *out)
{
    for (int i = 0; i < n; i++) {
        size_t len = strlen(list[i]);
        if (!strncasecmp(s, list[i], len) || (len = 3, !strncasecmp(s, list[i], 3))) {
            *out = i;
            return s + len;
        }
    }
    return NULL;
}
struct seen { int century, year2, pm, hour12; };

static const char *parse(const char *s, const char *f, struct tm *t, struct seen *k)
{
    int v;

    for (; *f && s; f++) {
        if (isspace((unsigned char)*f)) {
            while (isspace((unsigned char)*s))
                s++;
            continue;
        }
        if (*f != '%') {
            s = *s == *f ? s + 1 : NULL;
            continue;
        }
        if (*++f == 'E' || *f == 'O')
            f++;
        switch (*f) {
        case '%': s = *s == '%' ? s + 1 : NULL; break;
        case 'a': case 'A': s = named(s, days, 7, &t->tm_wday); break;
        case 'b': case 'B': case 'h': s = named(s, months, 12, &t->tm_mon); break;
        case 'c': s = parse(s, "%a %b %e %H:%M:%S %Y", t, k); break;
        case 'C': s = number(s, 0, 99, 2, &k->century); break;
        case 'd': case 'e': s = number(s, 1, 31, 2, &t->tm_mday); break;
        case 'D': s = parse(s, "%m/%d/%y", t, k); break;
        case 'F': s = parse(s, "%Y-%m-%d", t, k); break;
        case 'H': case 'k': s = number(s, 0, 23, 2, &t->tm_hour); break;
        case 'I': case 'l':
            if ((s = number(s, 1, 12, 2, &v)))
                t->tm_hour = v % 12, k->hour12 = 1;
            break;
        case 'j':
            if ((s = number(s, 1, 366, 3, &v)))
                t->tm_yday = v - 1;
            break;
        case 'm':
            if ((s = number(s, 1, 12, 2, &v)))
                t->tm_mon = v - 1;
            break;
        case 'M': s = number(s, 0, 59, 2, &t->tm_min); break;
        case 'n': case 't':
            while (isspace((unsigned char)*s))
                s++;
            break;
        case 'p':
            if (!strncasecmp(s, "AM", 2) || !strncasecmp(s, "PM", 2))
                k->pm = toupper((unsigned char)*s) == 'P' ? 1 : 0, s += 2;
            else
                s = NULL;
            break;
        case 'r': s = parse(s, "%I:%M:%S %p", t, k); break;
        case 'R': s = parse(s, "%H:%M", t, k); break;
        case 'S': s = number(s, 0, 60, 2, &t->tm_sec); break;
        case 'T': case 'X': s = parse(s, "%H:%M:%S", t, k); break;
        case 'U': case 'W': s = number(s, 0, 53, 2, &v); break;
        case 'w': s = number(s, 0, 6, 1, &t->tm_wday); break;
        case 'x': s = parse(s, "%m/%d/%y", t, k); break;
        case 'y': s = number(s, 0, 99, 2, &k->year2); break;
        case 'Y':
            if ((s = number(s, 0, 9999, 4, &v)))
                t->tm_year = v - 1900;
            break;
        case 'Z':
            while (isalpha((unsigned char)*s))
                s++;
            break;
        default: return NULL;
        }
    }
    return s;
}
char *strptime(const char *s, const char *f, struct tm *t)
{
    struct seen k = { -1, -1, -1, 0 };

    if (!(s = parse(s, f, t, &k)))
        return NULL;
    if (k.year2 >= 0)
        t->tm_year = k.century >= 0 ? k.century * 100 + k.year2 - 1900 : k.year2 < 69 ? k.year2 + 100 : k.year2;
    else if (k.century >= 0)
        t->tm_year = k.century * 100 + t->tm_year % 100 - 1900;
    if (k.hour12 && k.pm == 1)
        t->tm_hour += 12;
    return (char *)s;
}
int ascftime(char *s, const char *f, const struct tm *t) { return (int)strftime(s, 4096, f && *f ? f : "%a %b %e %H:%M:%S %Y", t); }
int cftime(char *s, char *f, const time_t *t)
{
    struct tm tm;
    return localtime_r(t, &tm) ? ascftime(s, f, &tm) : 0;
}
