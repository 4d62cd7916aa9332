/* Terminals by --console-socket: the engine gets the master, the sandbox the other end. */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static int connect_socket(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0) return -errno;
    int dir = -1;
    if (strlen(path) < sizeof(a.sun_path)) {
        strcpy(a.sun_path, path);
    } else {
        /* longer than an address holds: by the directory */
        const char *slash = strrchr(path, '/');
        char parent[4096];
        snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
        dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%.60s", dir, slash ? slash + 1 : path);
    }
    int r = connect(sock, (struct sockaddr *)&a, sizeof(a)) ? -errno : sock;
    if (r < 0) close(sock);
    if (dir >= 0) close(dir);
    return r;
}

static int send_master(int sock, int master, const char *name)
{
    union { struct cmsghdr align; char b[CMSG_SPACE(sizeof(int))]; } aux = { 0 };
    struct iovec v = { (void *)(uintptr_t)name, strlen(name) };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = aux.b, .msg_controllen = sizeof(aux.b) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &master, sizeof(int));
    return sendmsg(sock, &h, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int oci_console_socket(const char *path, int *slave, struct oci_process *p)
{
    char name[128];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, name, sizeof(name)))
        return oci_fail("making a terminal: %s", strerror(errno));
    *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0) return oci_fail("open %s: %s", name, strerror(errno));
    struct winsize ws = { .ws_row = p->rows, .ws_col = p->cols };
    if (ws.ws_row || ws.ws_col) ioctl(*slave, TIOCSWINSZ, &ws);
    /* The line discipline is the sandbox's own; this one only carries bytes. */
    struct termios raw;
    if (!tcgetattr(*slave, &raw)) {
        cfmakeraw(&raw);
        tcsetattr(*slave, TCSANOW, &raw);
    }
    int sock = connect_socket(path);
    if (sock < 0) return oci_fail("console socket %s: %s", path, strerror(-sock));
    int r = send_master(sock, master, name);
    close(sock);
    close(master);
    return r ? oci_fail("console socket %s: %s", path, strerror(-r)) : 0;
}

/* Changes of its size come as SIGWINCH to the session that has it. */
void console_ctty(int slave) { ioctl(slave, TIOCSCTTY, 0); }
