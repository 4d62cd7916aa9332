/* The urgent byte of AF_UNIX streams: MSG_OOB, the mark, SIGURG. Since Linux 5.15; as of 6.12. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SIOCATMARK
#define SIOCATMARK 0x8905
#endif

static int v[2];
static char buf[64];

static void pair(void)
{
    if (v[0]) {
        close(v[0]);
        close(v[1]);
    }
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, v) == 0);
}
static void put(const char *s, int flags) { CHECK(send(v[0], s, strlen(s), flags) == (ssize_t)strlen(s)); }
/* What a read gives, as text; "!" and an error's number for none. */
static const char *get(size_t n, int flags)
{
    static char out[80];
    ssize_t r = recv(v[1], buf, n, flags | MSG_DONTWAIT);
    if (r < 0) snprintf(out, sizeof(out), "!%d", errno);
    else snprintf(out, sizeof(out), "%.*s", (int)r, buf);
    return out;
}
#define GET(n, flags, want) CHECK(!strcmp(get(n, flags), want))
static int at_mark(void)
{
    int n = -1;
    CHECK(ioctl(v[1], SIOCATMARK, &n) == 0);
    return n;
}
static int waiting(void)
{
    int n = -1;
    CHECK(ioctl(v[1], FIONREAD, &n) == 0);
    return n;
}
static int events(void)
{
    struct pollfd p = { v[1], POLLIN | POLLPRI, 0 };
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}
#define AGAIN "!11"
#define INVAL "!22"

static void out_of_band(void)
{
    pair();
    GET(1, MSG_OOB, INVAL);
    CHECK_ERR(send(v[0], "", 0, MSG_OOB), EOPNOTSUPP);
    put("abcd", MSG_OOB);
    put("ef", 0);
    CHECK(events() == (POLLIN | POLLPRI) && waiting() == 6 && !at_mark());
    GET(64, MSG_OOB | MSG_PEEK, "d");
    GET(64, MSG_PEEK, "abc");
    GET(2, 0, "ab");
    GET(64, MSG_OOB, "d");
    GET(64, MSG_OOB, INVAL);
    CHECK(events() == POLLIN && waiting() == 3 && !at_mark());
    GET(64, 0, "c");            /* up to the mark, though nothing stands there any more */
    CHECK(at_mark());
    GET(64, 0, "ef");
    CHECK(!at_mark() && waiting() == 0);
    GET(1, 0, AGAIN);
}

/* Read past, it is gone; with nothing behind it, nothing comes. */
static void passed(void)
{
    pair();
    put("abc", MSG_OOB);
    put("d", 0);
    GET(64, 0, "ab");
    CHECK(at_mark());
    GET(64, MSG_PEEK, "d");
    GET(64, 0, "d");
    GET(1, MSG_OOB, INVAL);
    put("x", MSG_OOB);
    CHECK(at_mark() && events() == (POLLIN | POLLPRI));
    GET(64, 0, AGAIN);
    GET(1, MSG_OOB, INVAL);
    put("y", 0);
    GET(64, 0, "y");
    put("z", MSG_OOB);
    CHECK(at_mark());
    GET(1, MSG_OOB, "z");
    CHECK(at_mark());
    put("w", 0);
    GET(64, 0, "w");
    CHECK(!at_mark());
}

/* Only the last one is urgent. */
static void replaced(void)
{
    pair();
    put("ab", MSG_OOB);
    put("cd", MSG_OOB);
    GET(64, 0, "abc");
    GET(64, MSG_OOB, "d");
    GET(64, 0, AGAIN);
    put("1", MSG_OOB);
    put("2", MSG_OOB);
    GET(1, MSG_OOB, "2");
    GET(64, 0, "1");
}

static void in_line(void)
{
    int one = 1;
    pair();
    CHECK(setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)) == 0);
    put("abc", MSG_OOB);
    put("de", 0);
    GET(64, MSG_OOB, INVAL);
    CHECK(events() & POLLPRI);
    GET(64, 0, "ab");
    CHECK(at_mark());
    GET(64, MSG_PEEK, "cde");
    GET(1, 0, "c");
    CHECK(!at_mark());
    GET(64, 0, "de");
    put("x", MSG_OOB);
    CHECK(read(v[1], buf, 4) == 1 && buf[0] == 'x');
    /* What was taken out of band does not come again. */
    CHECK(setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &(int){ 0 }, sizeof(int)) == 0);
    put("uv", MSG_OOB);
    GET(1, MSG_OOB, "v");
    CHECK(setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)) == 0);
    GET(64, 0, "u");
    GET(64, 0, AGAIN);
}

static volatile sig_atomic_t urgent;
static void on_urg(int sig) { urgent += sig == SIGURG; }

static void signalled(void)
{
    int one[2];
    pair();
    CHECK(signal(SIGURG, on_urg) != SIG_ERR && fcntl(v[1], F_SETOWN, getpid()) == 0);
    put("abc", 0);
    CHECK(!urgent);
    put("d", MSG_OOB);
    CHECK(urgent == 1);
    char name[8];
    struct msghdr m = { .msg_iov = &(struct iovec){ name, sizeof(name) }, .msg_iovlen = 1 };
    CHECK(recvmsg(v[1], &m, MSG_OOB) == 1 && name[0] == 'd' && (m.msg_flags & MSG_OOB));
    for (int type = SOCK_DGRAM; type != SOCK_SEQPACKET + 3; type += SOCK_SEQPACKET - SOCK_DGRAM) {
        CHECK(socketpair(AF_UNIX, type, 0, one) == 0);
        CHECK_ERR(send(one[0], "a", 1, MSG_OOB), EOPNOTSUPP);
        CHECK_ERR(recv(one[1], buf, 1, MSG_OOB | MSG_DONTWAIT), EOPNOTSUPP);
        close(one[0]);
        close(one[1]);
    }
}

static void ended(void)
{
    pair();
    put("ab", MSG_OOB);
    CHECK(shutdown(v[1], SHUT_RD) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK_ERR(send(v[0], "c", 1, MSG_OOB), EPIPE);
    pair();
    put("ab", MSG_OOB);
    close(v[0]);
    v[0] = dup(v[1]);
    GET(64, 0, "a");
    CHECK(at_mark());
    GET(64, 0, "");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(out_of_band), CASE(passed), CASE(replaced), CASE(in_line), CASE(signalled), CASE(ended) };
    return kernel_since(6, 12, "MSG_OOB of AF_UNIX as it is now") ? run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv) : 0;
}
