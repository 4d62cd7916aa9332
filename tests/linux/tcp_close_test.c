/* What is left of TCP connections: FIN_WAIT2, TIME_WAIT, and whose ports are whose. tcp(7), RFC 9293 3.6, bind(2) */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int one = 1;

static int stream(int reuse)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(s >= 0 && (!reuse || !setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)));
    return s;
}

static struct sockaddr_in local(int s)
{
    struct sockaddr_in a;
    socklen_t l = sizeof a;
    CHECK(!getsockname(s, (void *)&a, &l));
    return a;
}

static struct sockaddr_in lo(int port) { return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = (in_port_t)port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }; }
static int bind_to(int s, struct sockaddr_in a) { return bind(s, (void *)&a, sizeof a); }
static int connect_to(int s, struct sockaddr_in a) { return connect(s, (void *)&a, sizeof a); }

static int listener(int reuse)
{
    int l = stream(reuse);
    CHECK(!bind_to(l, lo(0)) && !listen(l, 8));
    return l;
}

/* s[0] connected to l, s[1] accepted. The addresses of s[0] and of l. */
struct conn { int s[2]; struct sockaddr_in me, to; };
static struct conn join(int l, int reuse)
{
    struct conn c = { .to = local(l) };
    c.s[0] = stream(reuse);
    CHECK(!connect_to(c.s[0], c.to));
    c.s[1] = accept(l, NULL, NULL);
    CHECK(c.s[1] >= 0);
    c.me = local(c.s[0]);
    return c;
}

/* The state /proc/net/tcp shows for a connection between two ports; 0: none. */
static unsigned shown(struct sockaddr_in from, struct sockaddr_in to)
{
    char line[256];
    unsigned st, found = 0, a, b;
    FILE *f = fopen("/proc/net/tcp", "r");
    CHECK(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, " %*d: %*x:%x %*x:%x %x", &a, &b, &st) == 3 && a == ntohs(from.sin_port) && b == ntohs(to.sin_port)) found = st;
    fclose(f);
    return found;
}

/* ...once it is that: the answer to a FIN may take a while. */
static int becomes(struct sockaddr_in from, struct sockaddr_in to, unsigned st)
{
    for (int i = 0; i < 500; i++, usleep(10000))
        if (shown(from, to) == st) return 1;
    fprintf(stderr, "state is %x, not %x\n", shown(from, to), st);
    return 0;
}

static int info_state(int s)
{
    struct tcp_info ti;
    socklen_t l = sizeof ti;
    CHECK(!getsockopt(s, IPPROTO_TCP, TCP_INFO, &ti, &l));
    return ti.tcpi_state;
}

/* Can a new socket be bound there? */
static int free_for(struct sockaddr_in a, int reuse)
{
    int s = stream(reuse), r = bind_to(s, a), e = errno;
    close(s);
    CHECK(!r || e == EADDRINUSE);
    return !r;
}

static void active_close(void)
{
    int l = listener(0);
    struct conn c = join(l, 0);
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, TCP_FIN_WAIT2));
    CHECK(!free_for(c.me, 0) && !free_for(c.me, 1));
    close(c.s[1]);
    CHECK(becomes(c.me, c.to, TCP_TIME_WAIT) && becomes(c.to, c.me, 0));
    CHECK(!free_for(c.me, 0) && !free_for(c.me, 1));
    struct sockaddr_in any = c.me;
    any.sin_addr.s_addr = 0;
    CHECK(!free_for(any, 0));
    any.sin_addr.s_addr = htonl(0x7f000002);
    CHECK(free_for(any, 0));       /* of another address */
    close(l);
    CHECK(free_for(c.to, 0));      /* the other end has nothing left */
}

static void active_close_reuse(void)
{
    int l = listener(0), s;
    struct conn c = join(l, 1);
    close(c.s[0]), close(c.s[1]);
    CHECK(becomes(c.me, c.to, TCP_TIME_WAIT));
    CHECK(!free_for(c.me, 0) && free_for(c.me, 1));
    /* The same connection again: its timestamps tell it from the old one. */
    s = stream(1);
    CHECK(!bind_to(s, c.me) && !connect_to(s, c.to));
    CHECK(shown(c.me, c.to) == TCP_ESTABLISHED);
    close(s), close(l);
}

static void passive_close(void)
{
    int l = listener(0);
    struct conn c = join(l, 0);
    close(c.s[1]);
    CHECK(becomes(c.to, c.me, TCP_FIN_WAIT2));
    close(c.s[0]);
    CHECK(becomes(c.to, c.me, TCP_TIME_WAIT));
    CHECK(free_for(c.me, 0));
    close(l);
    CHECK(!free_for(c.to, 0) && !free_for(c.to, 1));
    /* With SO_REUSEADDR from the start, as servers have it. */
    l = listener(1);
    c = join(l, 0);
    close(c.s[1]), close(c.s[0]), close(l);
    CHECK(becomes(c.to, c.me, TCP_TIME_WAIT));
    CHECK(!free_for(c.to, 0));
    l = stream(1);
    CHECK(!bind_to(l, c.to) && !listen(l, 8));
    /* A new connection between the same ends as well. */
    int s = stream(0);
    CHECK(!bind_to(s, c.me) && !connect_to(s, c.to));
    close(s), close(l);
}

static void half_closed(void)
{
    int l = listener(0);
    struct conn c = join(l, 0);
    char b[4];
    struct sockaddr_in x;
    socklen_t n = sizeof x;
    CHECK(write(c.s[1], "abc", 3) == 3 && !shutdown(c.s[0], SHUT_WR));
    CHECK(becomes(c.me, c.to, TCP_FIN_WAIT2) && info_state(c.s[0]) == TCP_FIN_WAIT2 && info_state(c.s[1]) == TCP_CLOSE_WAIT);
    close(c.s[1]);
    CHECK(becomes(c.me, c.to, TCP_TIME_WAIT) && info_state(c.s[0]) == TCP_CLOSE);
    CHECK_ERR(getpeername(c.s[0], (void *)&x, &n), ENOTCONN);
    CHECK(local(c.s[0]).sin_port == c.me.sin_port && !free_for(c.me, 0));
    CHECK(read(c.s[0], b, 4) == 3 && read(c.s[0], b, 4) == 0);
    CHECK_ERR(connect_to(c.s[0], c.to), EISCONN);
    close(c.s[0]);
    CHECK(shown(c.me, c.to) == TCP_TIME_WAIT);
    close(l);
}

static void no_trace(void)
{
    int l = listener(0);
    struct linger lg = { 1, 0 };
    struct conn c = join(l, 0);
    CHECK(!setsockopt(c.s[0], SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, 0) && free_for(c.me, 0));
    close(c.s[1]);
    /* Unread data makes it a reset, too. */
    c = join(l, 0);
    CHECK(write(c.s[1], "x", 1) == 1 && poll(&(struct pollfd){ c.s[0], POLLIN, 0 }, 1, 1000) == 1);
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, 0) && free_for(c.me, 0));
    close(c.s[1]);
    /* What is sent to a closed end is answered by a reset, and nothing is left of either. */
    c = join(l, 0);
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, TCP_FIN_WAIT2) && write(c.s[1], "x", 1) == 1);
    CHECK(becomes(c.me, c.to, 0) && becomes(c.to, c.me, 0) && free_for(c.me, 0));
    CHECK_ERR(send(c.s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(c.s[1]);
    /* The other end closes with data unread. */
    c = join(l, 0);
    CHECK(write(c.s[0], "x", 1) == 1 && poll(&(struct pollfd){ c.s[1], POLLIN, 0 }, 1, 1000) == 1);
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, TCP_FIN_WAIT2));
    close(c.s[1]);
    CHECK(becomes(c.me, c.to, 0) && free_for(c.me, 0));
    close(l);
}

static void linger2(void)
{
    int l = listener(0), v = -1;
    struct conn c = join(l, 0);
    CHECK(!setsockopt(c.s[0], IPPROTO_TCP, TCP_LINGER2, &v, sizeof v));
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, 0) && free_for(c.me, 0));
    CHECK(becomes(c.to, c.me, 0));                       /* it was reset */
    close(c.s[1]);
    c = join(l, 0);
    v = 1;
    CHECK(!setsockopt(c.s[0], IPPROTO_TCP, TCP_LINGER2, &v, sizeof v));
    close(c.s[0]);
    CHECK(becomes(c.me, c.to, TCP_FIN_WAIT2) && !free_for(c.me, 0));
    CHECK(becomes(c.me, c.to, 0) && free_for(c.me, 0));  /* after a second */
    CHECK(shown(c.to, c.me) == TCP_CLOSE_WAIT);
    /* Its end comes to nobody, whose answer is a reset: no trace of it. */
    close(c.s[1]);
    CHECK(becomes(c.to, c.me, 0) && shown(c.me, c.to) == 0);
    close(l);
}

/* A port that connect(2) chose is shared by bind(2) only if both ends want it, and by nobody for the same other end. */
static void ephemeral(void)
{
    int l = listener(0), m = listener(0), s;
    struct conn c = join(l, 0);
    CHECK(!free_for(c.me, 0) && !free_for(c.me, 1));
    close(c.s[0]), close(c.s[1]);
    c = join(l, 1);
    CHECK(!free_for(c.me, 0) && free_for(c.me, 1));
    s = stream(1);
    CHECK(!bind_to(s, c.me));
    CHECK_ERR(connect_to(s, c.to), EADDRNOTAVAIL);
    CHECK(!connect_to(s, local(m)));
    CHECK(local(s).sin_port == c.me.sin_port);
    /* Nobody may listen on a port that others have. */
    int t = stream(1);
    CHECK(!bind_to(t, c.me) && !listen(t, 1));
    CHECK_ERR(bind_to(stream(1), c.me), EADDRINUSE);
    close(t), close(s), close(l), close(m), close(c.s[0]), close(c.s[1]);
}

/* bind(2) to an address only: connect(2) chooses the port. ip(7) */
static void address_no_port(void)
{
    int l = listener(0), s = stream(0), v = 0;
    socklen_t n = sizeof v;
    CHECK(!setsockopt(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one));
    CHECK(!getsockopt(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &v, &n) && v == 1);
    struct sockaddr_in a = lo(0);
    a.sin_addr.s_addr = htonl(0x7f000005);
    CHECK(!bind_to(s, a) && local(s).sin_port == 0 && local(s).sin_addr.s_addr == a.sin_addr.s_addr);
    CHECK(!connect_to(s, local(l)) && local(s).sin_port && local(s).sin_addr.s_addr == a.sin_addr.s_addr);
    close(s), close(l);
}

/* Two ends that had been connected have nothing to do with each other after a disconnect. */
static void stale_peer(void)
{
    int l = listener(0), m = listener(0), e = 0;
    struct conn c = join(l, 0);
    socklen_t n = sizeof e;
    struct sockaddr_in x;
    struct sockaddr un = { .sa_family = AF_UNSPEC };
    char b[4];
    CHECK(write(c.s[0], "old", 3) == 3);
    CHECK(!connect(c.s[0], &un, sizeof un));
    CHECK(!connect_to(c.s[0], local(m)));
    int t = accept(m, NULL, NULL);
    CHECK(t >= 0);
    n = sizeof x;
    CHECK_ERR(getpeername(c.s[1], (void *)&x, &n), ENOTCONN);
    CHECK_ERR(send(c.s[1], "bad", 3, MSG_NOSIGNAL), ECONNRESET);
    close(c.s[1]);                 /* with data unread: no reset for the new connection */
    CHECK(write(t, "new", 3) == 3 && read(c.s[0], b, 4) == 3 && !memcmp(b, "new", 3));
    CHECK(write(c.s[0], "ok", 2) == 2 && read(t, b, 4) == 2);
    n = sizeof e;
    CHECK(!getsockopt(c.s[0], SOL_SOCKET, SO_ERROR, &e, &n) && !e);
    close(t), close(c.s[0]), close(l), close(m);
}

static void self_connect(void)
{
    int s = stream(0);
    char b[4];
    CHECK(!bind_to(s, lo(0)) && !connect_to(s, local(s)));
    CHECK(info_state(s) == TCP_ESTABLISHED);
    CHECK(write(s, "abc", 3) == 3 && read(s, b, 4) == 3 && !memcmp(b, "abc", 3));
    CHECK(!shutdown(s, SHUT_WR) && read(s, b, 4) == 0);
    close(s);
}

/* A disconnected one has no port unless bind(2) gave it one. */
static void disconnected(void)
{
    int l = listener(0);
    struct conn c = join(l, 0);
    struct sockaddr un = { .sa_family = AF_UNSPEC };
    CHECK(!connect(c.s[0], &un, sizeof un));
    CHECK(free_for(c.me, 0) && becomes(c.to, c.me, 0));
    printf("port after disconnect: %d, %d\n", ntohs(local(c.s[0]).sin_port), ntohs(c.me.sin_port));
    CHECK(!connect_to(c.s[0], c.to));
    printf("and after connect: %d\n", ntohs(local(c.s[0]).sin_port));
    close(c.s[0]), close(c.s[1]), close(l);
}

static int put(const char *file, const char *text)
{
    int f = open(file, O_WRONLY), r = f >= 0 && write(f, text, strlen(text)) == (ssize_t)strlen(text);
    if (f >= 0) close(f);
    return r;
}

/* Settings of a network namespace. */
static void settings(void)
{
    pid_t pid = fork();
    int st;
    if (!pid) {
        if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET)) _exit(errno == EPERM ? 77 : 1);
        if (!put("/proc/sys/net/ipv4/tcp_fin_timeout", "1")) _exit(3);
        struct { char name[16]; short flags; char pad[22]; } r = { .name = "lo", .flags = 1 };
        int l = stream(0);
        CHECK(!ioctl(l, 0x8914 /* SIOCSIFFLAGS */, &r));
        close(l);
        l = listener(0);
        struct conn c = join(l, 0);
        close(c.s[0]);
        CHECK(becomes(c.me, c.to, TCP_FIN_WAIT2) && becomes(c.me, c.to, 0));
        close(c.s[1]);
        CHECK(put("/proc/sys/net/ipv4/tcp_max_tw_buckets", "1"));
        struct conn d[3];
        for (int i = 0; i < 3; i++) {
            d[i] = join(l, 0);
            close(d[i].s[0]), close(d[i].s[1]);
        }
        int n = 0;
        usleep(100000);
        for (int i = 0; i < 3; i++) n += shown(d[i].me, d[i].to) == TCP_TIME_WAIT;
        printf("%d of 3\n", n);
        CHECK(n >= 1 && n < 3);
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &st, 0) == pid);
    if (WIFEXITED(st) && WEXITSTATUS(st) == 77) puts("skipped: no network namespace to be had");
    else CHECK(st == 0);
}

TEST_MAIN(CASE(active_close), CASE(active_close_reuse), CASE(passive_close), CASE(half_closed), CASE(no_trace), CASE(linger2),
          CASE(ephemeral), CASE(address_no_port), CASE(stale_peer), CASE(self_connect), CASE(disconnected), CASE(settings))
