/* Sends its arguments to NOTIFY_SOCKET, as sd_notify(3) does, each as one datagram; | in one stands for a new line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un to = { .sun_family = AF_UNIX };
static int fd;

static int say(const char *text, size_t len) { return sendto(fd, text, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0; }

int main(int argc, char **argv)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path) return 2;
    printf("%s\n", path);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (int i = 1; i < argc; i++) {
        int r = 0, refused = 0;
        if (!strncmp(argv[i], "fill=", 5)) {
            static char x[65536];
            r = say(x, (size_t)atol(argv[i] + 5));
        } else if (!strncmp(argv[i], "flood=", 6)) {
            for (int k = atoi(argv[i] + 6); k > 0; k--) refused += say("WATCHDOG=1", 10) == EAGAIN;
            printf("flood: %s\n", refused ? "held back" : "all taken");
        } else {
            for (char *s = argv[i]; (s = strchr(s, '|')); s++) *s = '\n';
            r = say(argv[i], strlen(argv[i]));
        }
        if (r) printf("%s: %s\n", argv[i], strerror(r));
    }
    return 0;
}
