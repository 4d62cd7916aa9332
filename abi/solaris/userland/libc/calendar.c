/* libc.so.1: calendar time, time zones (POSIX TZ strings and zoneinfo files). */
#include "impl.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

long timezone, altzone;
int daylight;
static char std_name[16] = "GMT", dst_name[16] = "   ";
char *tzname[2] = { std_name, dst_name };

static const short cum[2][13] = { { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 },
                                  { 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366 } };
static int leap(long y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }
static long days_before(long y) /* from 1970-01-01 to January 1 of y */
{
    y--;
    long f = y >= 0 ? y / 4 - y / 100 + y / 400 : -((3 - y) / 4) + (99 - y) / 100 - (399 - y) / 400;
    return (y - 1969) * 365 + f - 477;
}

static struct tm *split(time_t t, struct tm *tm)
{
    long d = t / 86400, s = t % 86400;

    if (s < 0)
        s += 86400, d--;
    long y = 1970 + (long)(d / 365.2425);
    while (days_before(y) > d)
        y--;
    while (days_before(y + 1) <= d)
        y++;
    if (y - 1900 > 0x7fffffffL || y - 1900 < -0x7fffffffL - 1) {
        errno = EOVERFLOW;
        return NULL;
    }
    int yd = (int)(d - days_before(y)), m = 0, l = leap(y);
    while (cum[l][m + 1] <= yd)
        m++;
    *tm = (struct tm){ .tm_sec = (int)(s % 60), .tm_min = (int)(s / 60 % 60), .tm_hour = (int)(s / 3600),
                       .tm_mday = yd - cum[l][m] + 1, .tm_mon = m, .tm_year = (int)(y - 1900),
                       .tm_wday = (int)(((d + 4) % 7 + 7) % 7), .tm_yday = yd };
    return tm;
}
time_t timegm(struct tm *tm)
{
    long y = tm->tm_year + 1900L, m = tm->tm_mon;

    y += m / 12;
    m %= 12;
    if (m < 0)
        m += 12, y--;
    time_t t = ((days_before(y) + cum[leap(y)][m] + tm->tm_mday - 1) * 24 + tm->tm_hour) * 3600 + tm->tm_min * 60L + tm->tm_sec;
    return split(t, tm) ? t : -1;
}

/* --- the zone in force --- */

struct rule { char kind; int day, week, month; long at; }; /* kind J, 0 (zero-based day) or M */
static struct {
    long off, dst_off;
    int has_dst;
    struct rule from, to;
    char name[2][16];
    unsigned char *file; /* zoneinfo, mapped whole */
    size_t size;
    long count, types, chars;
    const unsigned char *times, *index, *info, *abbrev;
    char posix[64];
} zone;
static llock_t zone_lock;
static char zone_tz[256];
static int zone_set;

static const char *tz_name(const char *s, char *out)
{
    size_t n = 0;
    int quoted = *s == '<';

    for (s += quoted; *s && (quoted ? *s != '>' : ((*s | 32) >= 'a' && (*s | 32) <= 'z')); s++)
        if (n < 15)
            out[n++] = *s;
    out[n] = 0;
    return n >= 3 ? s + (quoted && *s == '>') : NULL;
}
static const char *tz_time(const char *s, long *out)
{
    long v[3] = { 0 };
    int neg = *s == '-';

    if (*s == '-' || *s == '+')
        s++;
    if (*s < '0' || *s > '9')
        return NULL;
    for (int i = 0; i < 3; i++) {
        v[i] = strtol(s, (char **)&s, 10);
        if (*s != ':')
            break;
        s++;
    }
    *out = (v[0] * 3600 + v[1] * 60 + v[2]) * (neg ? -1 : 1);
    return s;
}
static const char *tz_rule(const char *s, struct rule *r)
{
    r->at = 7200;
    if (*s == 'M') {
        r->kind = 'M';
        r->month = (int)strtol(s + 1, (char **)&s, 10);
        if (*s == '.')
            r->week = (int)strtol(s + 1, (char **)&s, 10);
        if (*s == '.')
            r->day = (int)strtol(s + 1, (char **)&s, 10);
    } else {
        r->kind = *s == 'J' ? 'J' : '0';
        r->day = (int)strtol(s + (*s == 'J'), (char **)&s, 10);
    }
    return *s == '/' ? tz_time(s + 1, &r->at) : s;
}
static int tz_posix(const char *s)
{
    const char *p = tz_name(s, zone.name[0]);

    if (!p || !(p = tz_time(p, &zone.off)))
        return -1;
    zone.off = -zone.off;
    zone.dst_off = zone.off + 3600;
    zone.has_dst = 0;
    if (!*p)
        return 0;
    if (!(p = tz_name(p, zone.name[1])))
        return -1;
    zone.has_dst = 1;
    if (*p && *p != ',') {
        if (!(p = tz_time(p, &zone.dst_off)))
            return -1;
        zone.dst_off = -zone.dst_off;
    }
    if (*p != ',')
        p = ",M3.2.0,M11.1.0";
    p = tz_rule(p + 1, &zone.from);
    if (!p || *p != ',')
        return -1;
    return tz_rule(p + 1, &zone.to) ? 0 : -1;
}
static long rule_time(long y, const struct rule *r) /* seconds into the year, local */
{
    int l = leap(y);
    long d;

    if (r->kind == 'J') {
        d = r->day - 1 + (l && r->day > 59);
    } else if (r->kind == '0') {
        d = r->day;
    } else {
        d = cum[l][r->month - 1];
        int first = (int)(((days_before(y) + d + 4) % 7 + 7) % 7);
        d += (r->day - first + 7) % 7 + (r->week - 1) * 7;
        while (d >= cum[l][r->month])
            d -= 7;
    }
    return d * 86400 + r->at;
}
static int rule_dst(time_t t)
{
    struct tm tm;

    if (!zone.has_dst || !split(t + zone.off, &tm))
        return 0;
    long y = tm.tm_year + 1900L, base = days_before(y) * 86400;
    time_t a = base + rule_time(y, &zone.from) - zone.off, b = base + rule_time(y, &zone.to) - zone.dst_off;
    return a < b ? t >= a && t < b : t >= a || t < b;
}

static uint32_t be32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static int64_t be64(const unsigned char *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

static int zone_parse(void)
{
    const unsigned char *h = zone.file;

    if (zone.size < 44 || memcmp(h, "TZif", 4) || h[4] < '2')
        return -1;
    size_t skip = 44 + be32(h + 32) * 5UL + be32(h + 36) * 6UL + be32(h + 40) + be32(h + 28) * 8UL + be32(h + 24) + be32(h + 20);
    if (skip + 44 > zone.size)
        return -1;
    h += skip;
    zone.count = be32(h + 32);
    zone.types = be32(h + 36);
    zone.chars = be32(h + 40);
    size_t body = (size_t)zone.count * 9 + (size_t)zone.types * 6 + (size_t)zone.chars + be32(h + 28) * 12UL + be32(h + 24) + be32(h + 20);
    if (skip + 44 + body > zone.size || !zone.types)
        return -1;
    zone.times = h + 44;
    zone.index = zone.times + zone.count * 8;
    zone.info = zone.index + zone.count;
    zone.abbrev = zone.info + zone.types * 6;
    const char *foot = (const char *)h + 44 + body;
    size_t left = zone.size - skip - 44 - body, n = 0;
    zone.posix[0] = 0;
    if (left && *foot == '\n')
        while (n + 1 < sizeof(zone.posix) && n + 1 < left && foot[n + 1] != '\n')
            zone.posix[n] = foot[n + 1], n++;
    zone.posix[n] = 0;
    return 0;
}
static int zone_load(const char *name)
{
    static const char *const dirs[] = { "/usr/share/lib/zoneinfo/", "/usr/share/zoneinfo/" };
    char path[400];

    if (*name == ':')
        name++;
    if (strstr(name, ".."))
        return -1;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s%s", *name == '/' ? "" : dirs[i], name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        free(zone.file);
        if ((zone.file = malloc(65536))) {
            ssize_t n = read(fd, zone.file, 65536);
            zone.size = n > 0 ? (size_t)n : 0;
        }
        close(fd);
        if (zone.file && !zone_parse())
            return 0;
        free(zone.file);
        zone.file = NULL;
    }
    return -1;
}

/* offset east of Greenwich, name and dst flag at t */
static long local_at(time_t t, int *dst, const char **name)
{
    if (zone.file && (!zone.count || t < be64(zone.times + (zone.count - 1) * 8) || !zone.posix[0])) {
        long lo = -1, hi = zone.count;
        while (hi - lo > 1) {
            long mid = (lo + hi) / 2;
            if (be64(zone.times + mid * 8) <= t)
                lo = mid;
            else
                hi = mid;
        }
        long type = lo < 0 ? 0 : zone.index[lo];
        const unsigned char *i = zone.info + (type < zone.types ? type : 0) * 6;
        *dst = i[4];
        *name = (const char *)zone.abbrev + i[5];
        return (int32_t)be32(i);
    }
    *dst = rule_dst(t);
    *name = zone.name[*dst];
    return *dst ? zone.dst_off : zone.off;
}

static void zone_init_locked(void)
{
    const char *tz = getenv("TZ");

    if (!tz || !*tz)
        tz = "UTC0";
    if (zone_set && !strcmp(tz, zone_tz))
        return;
    zone_set = 1;
    strlcpy(zone_tz, tz, sizeof(zone_tz));
    free(zone.file);
    zone.file = NULL;
    zone.has_dst = 0;
    zone.off = zone.dst_off = 0;
    if (*tz == ':' || tz_posix(tz)) {
        if (zone_load(tz) || (zone.posix[0] && tz_posix(zone.posix))) {
            if (!zone.file) {
                zone.off = zone.dst_off = zone.has_dst = 0;
                strcpy(zone.name[0], "GMT");
                strcpy(zone.name[1], "   ");
            }
        }
    }
    if (!zone.has_dst)
        strcpy(zone.name[1], zone.name[0]);
    timezone = -zone.off;
    altzone = zone.has_dst ? -zone.dst_off : timezone;
    daylight = zone.has_dst;
    strcpy(std_name, zone.name[0]);
    strcpy(dst_name, zone.has_dst ? zone.name[1] : zone.name[0]);
}
void tzset(void)
{
    llock(&zone_lock);
    zone_init_locked();
    lunlock(&zone_lock);
}
struct tm *gmtime_r(const time_t *t, struct tm *tm) { return split(*t, tm); }
struct tm *localtime_r(const time_t *t, struct tm *tm)
{
    int dst;
    const char *name;

    llock(&zone_lock);
    zone_init_locked();
    long off = local_at(*t, &dst, &name);
    strlcpy(dst ? dst_name : std_name, name, 16);
    lunlock(&zone_lock);
    if (!split(*t + off, tm))
        return NULL;
    tm->tm_isdst = dst;
    return tm;
}
static struct tm static_tm;
struct tm *gmtime(const time_t *t) { return gmtime_r(t, &static_tm); }
struct tm *localtime(const time_t *t) { return localtime_r(t, &static_tm); }
time_t mktime(struct tm *tm)
{
    struct tm g = *tm;
    int want = tm->tm_isdst, dst;
    const char *name;
    time_t base = timegm(&g), t = base;

    llock(&zone_lock);
    zone_init_locked();
    long off = local_at(base, &dst, &name);
    t = base - off;
    long off2 = local_at(t, &dst, &name);
    if (off2 != off) {
        t = base - off2;
        (void)local_at(t, &dst, &name);
    }
    if (want >= 0 && zone.has_dst && (want > 0) != (dst > 0)) /* the caller says which of two clocks the digits are on */
        t = base - (want ? zone.dst_off : zone.off);
    lunlock(&zone_lock);
    return localtime_r(&t, tm) ? t : -1;
}
double difftime(time_t a, time_t b) { return (double)(a - b); }

static const char *const day_name[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const mon_name[] = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December" };
char *asctime_r(const struct tm *t, char *b)
{
    if ((unsigned)t->tm_wday > 6 || (unsigned)t->tm_mon > 11) {
        errno = EINVAL;
        return NULL;
    }
    snprintf(b, 26, "%.3s %.3s %2d %.2d:%.2d:%.2d %d\n", day_name[t->tm_wday], mon_name[t->tm_mon], t->tm_mday, t->tm_hour, t->tm_min, t->tm_sec, 1900 + t->tm_year);
    return b;
}
static char asc[32];
char *asctime(const struct tm *t) { return asctime_r(t, asc); }
char *ctime_r(const time_t *t, char *b)
{
    struct tm tm;
    return localtime_r(t, &tm) ? asctime_r(&tm, b) : NULL;
}
char *ctime(const time_t *t) { return ctime_r(t, asc); }

static int iso_week(const struct tm *t, long *year)
{
    int wd = (t->tm_wday + 6) % 7, w = (t->tm_yday - wd + 10) / 7;

    *year = t->tm_year + 1900L;
    if (w < 1) {
        --*year;
        int yd = t->tm_yday + 365 + leap(*year);
        return (yd - wd + 10) / 7;
    }
    if (w == 53 && t->tm_yday - wd + 3 >= 365 + leap(*year)) {
        ++*year;
        return 1;
    }
    return w;
}
size_t strftime(char *out, size_t max, const char *f, const struct tm *t)
{
    size_t n = 0;
    char b[128];
    long y;

    for (; *f; f++) {
        const char *s = b;
        if (*f != '%') {
            b[0] = *f;
            b[1] = 0;
        } else {
            f++;
            if (*f == 'E' || *f == 'O')
                f++;
            int h12 = t->tm_hour % 12 ? t->tm_hour % 12 : 12;
            switch (*f) {
            case 'a': snprintf(b, sizeof(b), "%.3s", (unsigned)t->tm_wday < 7 ? day_name[t->tm_wday] : "?"); break;
            case 'A': s = (unsigned)t->tm_wday < 7 ? day_name[t->tm_wday] : "?"; break;
            case 'b': case 'h': snprintf(b, sizeof(b), "%.3s", (unsigned)t->tm_mon < 12 ? mon_name[t->tm_mon] : "?"); break;
            case 'B': s = (unsigned)t->tm_mon < 12 ? mon_name[t->tm_mon] : "?"; break;
            case 'c': strftime(b, sizeof(b), "%a %b %e %H:%M:%S %Y", t); break;
            case 'C': snprintf(b, sizeof(b), "%02ld", (t->tm_year + 1900L) / 100); break;
            case 'd': snprintf(b, sizeof(b), "%02d", t->tm_mday); break;
            case 'D': case 'x': strftime(b, sizeof(b), "%m/%d/%y", t); break;
            case 'e': snprintf(b, sizeof(b), "%2d", t->tm_mday); break;
            case 'F': strftime(b, sizeof(b), "%Y-%m-%d", t); break;
            case 'g': iso_week(t, &y); snprintf(b, sizeof(b), "%02ld", y % 100); break;
            case 'G': iso_week(t, &y); snprintf(b, sizeof(b), "%ld", y); break;
            case 'H': snprintf(b, sizeof(b), "%02d", t->tm_hour); break;
            case 'I': snprintf(b, sizeof(b), "%02d", h12); break;
            case 'j': snprintf(b, sizeof(b), "%03d", t->tm_yday + 1); break;
            case 'k': snprintf(b, sizeof(b), "%2d", t->tm_hour); break;
            case 'l': snprintf(b, sizeof(b), "%2d", h12); break;
            case 'm': snprintf(b, sizeof(b), "%02d", t->tm_mon + 1); break;
            case 'M': snprintf(b, sizeof(b), "%02d", t->tm_min); break;
            case 'n': s = "\n"; break;
            case 'p': s = t->tm_hour < 12 ? "AM" : "PM"; break;
            case 'r': strftime(b, sizeof(b), "%I:%M:%S %p", t); break;
            case 'R': strftime(b, sizeof(b), "%H:%M", t); break;
            case 's': { struct tm c = *t; snprintf(b, sizeof(b), "%ld", mktime(&c)); break; }
            case 'S': snprintf(b, sizeof(b), "%02d", t->tm_sec); break;
            case 't': s = "\t"; break;
            case 'T': case 'X': strftime(b, sizeof(b), "%H:%M:%S", t); break;
            case 'u': snprintf(b, sizeof(b), "%d", t->tm_wday ? t->tm_wday : 7); break;
            case 'U': snprintf(b, sizeof(b), "%02d", (t->tm_yday + 7 - t->tm_wday) / 7); break;
            case 'V': snprintf(b, sizeof(b), "%02d", iso_week(t, &y)); break;
            case 'w': snprintf(b, sizeof(b), "%d", t->tm_wday); break;
            case 'W': snprintf(b, sizeof(b), "%02d", (t->tm_yday + 7 - (t->tm_wday + 6) % 7) / 7); break;
            case 'y': snprintf(b, sizeof(b), "%02d", ((t->tm_year % 100) + 100) % 100); break;
            case 'Y': snprintf(b, sizeof(b), "%ld", t->tm_year + 1900L); break;
            case 'z': {
                struct tm c = *t;
                tzset();
                long off = t->tm_isdst > 0 ? -altzone : -timezone;
                (void)c;
                snprintf(b, sizeof(b), "%c%02ld%02ld", off < 0 ? '-' : '+', labs(off) / 3600, labs(off) / 60 % 60);
                break;
            }
            case 'Z': tzset(); s = t->tm_isdst < 0 ? "" : tzname[t->tm_isdst > 0]; break;
            case '%': s = "%"; break;
            case 0: f--; b[0] = 0; break;
            default: b[0] = *f; b[1] = 0; break;
            }
        }
        size_t k = strlen(s);
        if (n + k + 1 > max)
            return 0;
        memcpy(out + n, s, k);
        n += k;
    }
    if (n < max)
        out[n] = 0;
    return n;
}
