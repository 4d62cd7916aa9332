/*
 * libc.so.1: syslog(3C). Where a system logger listens at /dev/log (a datagram socket, as in Linux roots), it gets the
 * message; without one the message is lost unless LOG_PERROR or LOG_CONS asked for more, as on Solaris without syslogd.
 */
#include "impl.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static llock_t lock;
static const char *ident;
static int options, facility = LOG_USER, mask = 0xff, logger = -1;

void openlog(const char *id, int opt, int fac)
{
    llock(&lock);
    ident = id;
    options = opt;
    if (fac)
        facility = fac;
    lunlock(&lock);
}
void closelog(void)
{
    llock(&lock);
    if (logger >= 0)
        close(logger);
    logger = -1;
    lunlock(&lock);
}
int setlogmask(int m)
{
    int old = mask;

    if (m)
        mask = m;
    return old;
}
static void deliver(const char *text, size_t n)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
    int con;

    if (logger < 0 && (logger = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0) {
        fcntl(logger, F_SETFD, FD_CLOEXEC);
        if (connect(logger, (struct sockaddr *)&a, sizeof(a)) < 0) {
            close(logger);
            logger = -1;
        }
    }
    if (logger >= 0 && send(logger, text, n, 0) == (ssize_t)n)
        return;
    if (options & LOG_CONS && (con = open("/dev/console", O_WRONLY | O_NOCTTY)) >= 0) {
        (void)!write(con, text, n);
        close(con);
    }
}
void vsyslog(int pri, const char *fmt, va_list ap)
{
    char when[32], head[160], body[1024], text[1300], f[512];
    int saved = errno, n = 0;
    time_t now = time(NULL);
    struct tm tm;

    if (!(mask & 1 << (pri & 7)) || pri & ~0x3ff)
        return;
    for (const char *s = fmt; *s && n < (int)sizeof(f) - 96; s++) /* %m is the error's text */
        if (s[0] == '%' && s[1] == 'm')
            n += snprintf(f + n, 80, "%s", strerror(saved)), s++;
        else if (s[0] == '%' && s[1] == '%')
            f[n++] = *s++, f[n++] = '%';
        else
            f[n++] = *s;
    f[n] = 0;
    vsnprintf(body, sizeof(body), f, ap);
    llock(&lock);
    strftime(when, sizeof(when), "%b %e %H:%M:%S", localtime_r(&now, &tm));
    if (options & LOG_PID)
        snprintf(head, sizeof(head), "%.80s[%d]: ", ident ? ident : progname, (int)getpid());
    else
        snprintf(head, sizeof(head), "%.80s: ", ident ? ident : progname);
    n = snprintf(text, sizeof(text), "<%d>%s %s%s", pri & 0x3f8 ? pri : pri | facility, when, head, body);
    deliver(text, (size_t)n);
    if (options & LOG_PERROR)
        dprintf(2, "%s%s\n", head, body);
    lunlock(&lock);
    errno = saved;
}
void syslog(int pri, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsyslog(pri, fmt, ap);
    va_end(ap);
}
