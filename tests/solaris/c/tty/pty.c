/* Source: posix_openpt(3C), grantpt(3C), ptsname(3C), termios(3C), termio(7I): VMIN shares the place of VEOF; streamio(7I). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <errno.h>
#include <termios.h>
#include <stropts.h>
int main(void)
{
    struct termios t; struct winsize w = { 24, 80, 0, 0 }; char b[64]; ssize_t n;
    int m = posix_openpt(O_RDWR | O_NOCTTY), s;
    printf("%d %d\n", grantpt(m), unlockpt(m));
    printf("%d\n", !strncmp(ptsname(m), "/dev/pts/", 9));
    s = open(ptsname(m), O_RDWR | O_NOCTTY);
    printf("%d %d\n", ioctl(s, I_PUSH, "ptem"), ioctl(s, I_PUSH, "ldterm"));
    printf("%d %d %d\n", isatty(s), isatty(0), errno == ENOTTY || errno == EINVAL);
    tcgetattr(s, &t);
    printf("%d %d %d %d %d\n", VMIN, VTIME, VEOF, t.c_cc[VINTR], t.c_cc[VEOF]);
    printf("%d %d %d\n", !!(t.c_lflag & ICANON), !!(t.c_lflag & ECHO), !!(t.c_oflag & OPOST));
    write(m, "line\n", 5);
    n = read(s, b, sizeof b);
    printf("%d %.4s\n", (int)n, b);
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    printf("%d\n", tcsetattr(s, TCSANOW, &t));
    read(m, b, sizeof b);
    write(m, "k", 1);
    printf("%d %c\n", (int)read(s, b, sizeof b), b[0]);
    ioctl(s, TIOCSWINSZ, &w);
    w.ws_row = 0;
    ioctl(m, TIOCGWINSZ, &w);
    printf("%d %d\n", w.ws_row, w.ws_col);
    printf("%d\n", cfgetospeed(&t) > 0);
    return 0;
}
