#include "sentry/base/log.h"
#include "sentry/base/hostcall.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

HOSTCALL(write, "log lines, transfers to host descriptors");

static const char *log_program = "sundog";
static int log_fd = 2;
static enum log_level log_max = LOG_WARN;

void log_init(const char *program, int fd, enum log_level max)
{
    log_program = program;
    log_fd = fd;
    log_max = max;
}

enum log_level log_level(void) { return log_max; }

/* One write(2) per line, so that lines of several processes do not mix. */
static void log_vwrite(const char *prefix, const char *fmt, va_list ap)
{
    char buf[2048];
    int n = snprintf(buf, sizeof(buf), "%s: %s", log_program, prefix);
    int room = (int)sizeof(buf) - n - 1;
    int m = vsnprintf(buf + n, (size_t)room, fmt, ap);
    if (m > 0) n += MIN(m, room - 1);
    buf[n++] = '\n';
    ssize_t r = write(log_fd, buf, (size_t)n);
    (void)r; /* nowhere left to complain */
}

void log_write(enum log_level level, const char *fmt, ...)
{
    static const char *const prefix[] = { "", "warning: ", "", "debug: " };
    if (level > log_max) return;
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    log_vwrite(prefix[level], fmt, ap);
    va_end(ap);
    errno = saved;
}

void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_vwrite("internal error: ", fmt, ap);
    va_end(ap);
    abort();
}
