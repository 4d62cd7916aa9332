#include "runtime/console.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static int saved_fd = -1;

void console_detect(struct console *c)
{
    *c = (struct console){ .fd = -1 };
    struct stat tty, st;
    if (!isatty(0) || fstat(0, &tty)) return;
    /* Its own descriptor: sundog gives up 0..2 once the sandbox has them. */
    if ((c->fd = fcntl(0, F_DUPFD_CLOEXEC, 3)) < 0) return;
    for (int fd = 0; fd < 3; fd++)
        if (!fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == tty.st_rdev && st.st_ino == tty.st_ino) c->guest_mask |= 1u << fd;
    u16 size[4];
    if (console_size(c, size)) c->rows = size[0], c->cols = size[1];
}

bool console_size(const struct console *c, u16 size[4])
{
    struct winsize ws;
    if (c->fd < 0 || ioctl(c->fd, TIOCGWINSZ, &ws)) return false;
    size[0] = ws.ws_row, size[1] = ws.ws_col, size[2] = ws.ws_xpixel, size[3] = ws.ws_ypixel;
    return true;
}

void console_restore(void)
{
    if (saved_fd < 0) return;
    tcsetattr(saved_fd, TCSADRAIN, &saved);
    saved_fd = -1;
}

static void on_crash(int sig)
{
    console_restore(); /* tcsetattr is async-signal-safe */
    signal(sig, SIG_DFL);
    raise(sig);
}

int console_raw(const struct console *c)
{
    if (tcgetattr(c->fd, &saved)) return -errno;
    struct termios raw = saved;
    cfmakeraw(&raw);
    static const int crash[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
    for (size_t i = 0; i < ARRAY_LEN(crash); i++) signal(crash[i], on_crash);
    atexit(console_restore);
    /* A descriptor of its own, that no one closes before the terminal is as it was. */
    saved_fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
    if (saved_fd < 0) return -errno;
    if (tcsetattr(saved_fd, TCSADRAIN, &raw)) {
        saved_fd = -1;
        return -errno;
    }
    return 0;
}
