/* Signal-driven I/O (fcntl(2) F_SETOWN, F_SETSIG, O_ASYNC) and TCP urgent data (tcp(7), MSG_OOB). */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#undef assert
#define assert(x) do { if (!(x)) { fprintf(stderr, "%s:%d: %s (errno %d)\n", __func__, __LINE__, #x, errno); _exit(1); } } while (0)

static int take(int signo, siginfo_t *si)
{
    sigset_t s;
    struct timespec ts = { 2, 0 };
    sigemptyset(&s);
    sigaddset(&s, signo);
    return sigtimedwait(&s, si, &ts);
}

static int none(int signo)
{
    sigset_t s;
    sigpending(&s);
    return !sigismember(&s, signo);
}

static void tcp_pair(int v[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    assert(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&a, &len) == 0);
    v[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert(connect(v[0], (void *)&a, sizeof(a)) == 0);
    v[1] = accept(l, NULL, NULL);
    assert(v[1] >= 0);
    close(l);
}

static int ready(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    return poll(&p, 1, 1000) == 1 ? p.revents : 0;
}

static void test_pipe_sigio(void)
{
    int p[2];
    siginfo_t si;
    char c;

    assert(pipe(p) == 0);
    assert(fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_GETOWN) == getpid());
    assert(write(p[1], "x", 1) == 1 && none(SIGIO));
    assert(read(p[0], &c, 1) == 1);
    assert(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
    assert(write(p[1], "x", 1) == 1 && take(SIGIO, &si) == SIGIO && si.si_code == SI_KERNEL);
    assert(fcntl(p[0], F_SETSIG, SIGRTMIN + 1) == 0 && fcntl(p[0], F_GETSIG) == SIGRTMIN + 1);
    assert(read(p[0], &c, 1) == 1);
    assert(write(p[1], "x", 1) == 1 && take(SIGRTMIN + 1, &si) == SIGRTMIN + 1);
    assert(si.si_code == POLL_IN && si.si_fd == p[0] && (si.si_band & POLLIN));
    assert(fcntl(p[0], F_SETFL, 0) == 0 && read(p[0], &c, 1) == 1);
    assert(write(p[1], "x", 1) == 1 && none(SIGRTMIN + 1) && none(SIGIO));
    assert(fcntl(p[0], F_SETOWN, 0x7ffffff0) == -1 && errno == ESRCH);
    close(p[0]);
    close(p[1]);
}

static void test_socket_sigio(void)
{
    int v[2], on = 1;
    siginfo_t si;

    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, v) == 0);
    assert(fcntl(v[0], F_SETOWN, getpid()) == 0 && ioctl(v[0], FIOASYNC, &on) == 0);
    assert(fcntl(v[0], F_GETFL) & O_ASYNC);
    assert(write(v[1], "x", 1) == 1 && take(SIGIO, &si) == SIGIO);
    on = 0;
    assert(ioctl(v[0], FIOASYNC, &on) == 0 && !(fcntl(v[0], F_GETFL) & O_ASYNC));
    assert(write(v[1], "x", 1) == 1 && none(SIGIO));
    close(v[0]);
    close(v[1]);
}

static void test_urgent(void)
{
    int v[2], mark = -1, n, one = 1;
    siginfo_t si;
    char buf[16];

    tcp_pair(v);
    assert(recv(v[1], buf, 1, MSG_OOB) == -1 && errno == EINVAL);
    assert(fcntl(v[1], F_SETOWN, getpid()) == 0);
    assert(send(v[0], "ab", 2, 0) == 2 && send(v[0], "cd", 2, MSG_OOB) == 2 && send(v[0], "ef", 2, 0) == 2);
    assert(take(SIGURG, &si) == SIGURG && si.si_code == SI_KERNEL);
    assert(ready(v[1], POLLPRI | POLLIN) == (POLLPRI | POLLIN));
    assert(ioctl(v[1], SIOCATMARK, &mark) == 0 && mark == 0);
    assert(ioctl(v[1], FIONREAD, &n) == 0 && n == 3);
    assert(recv(v[1], buf, sizeof(buf), MSG_OOB | MSG_PEEK) == 1 && buf[0] == 'd');
    assert(recv(v[1], buf, sizeof(buf), MSG_OOB) == 1 && buf[0] == 'd');
    assert(recv(v[1], buf, sizeof(buf), MSG_OOB) == -1 && errno == EINVAL);
    assert(ready(v[1], POLLPRI | POLLIN) == POLLIN);
    assert(recv(v[1], buf, sizeof(buf), 0) == 3 && memcmp(buf, "abc", 3) == 0);
    assert(ioctl(v[1], SIOCATMARK, &mark) == 0 && mark == 1);
    assert(recv(v[1], buf, sizeof(buf), MSG_PEEK) == 2 && memcmp(buf, "ef", 2) == 0);
    assert(recv(v[1], buf, sizeof(buf), 0) == 2 && memcmp(buf, "ef", 2) == 0);
    assert(ioctl(v[1], SIOCATMARK, &mark) == 0 && mark == 0);

    assert(setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)) == 0);
    assert(send(v[0], "12", 2, 0) == 2 && send(v[0], "3", 1, MSG_OOB) == 1);
    assert(take(SIGURG, &si) == SIGURG);
    assert(recv(v[1], buf, sizeof(buf), MSG_OOB) == -1 && errno == EINVAL);
    assert(recv(v[1], buf, sizeof(buf), 0) == 2);
    assert(ioctl(v[1], SIOCATMARK, &mark) == 0 && mark == 1);
    assert(recv(v[1], buf, sizeof(buf), 0) == 1 && buf[0] == '3');
    close(v[0]);
    close(v[1]);
}

static void test_urgent_alone(void)
{
    int v[2];
    char c;

    tcp_pair(v);
    assert(send(v[0], "u", 1, MSG_OOB) == 1);
    assert(ready(v[1], POLLPRI | POLLIN) == POLLPRI);
    assert(recv(v[1], &c, 1, MSG_DONTWAIT | MSG_PEEK) == -1 && errno == EAGAIN);
    assert(recv(v[1], &c, 1, MSG_OOB) == 1 && c == 'u');
    close(v[0]);
    assert(recv(v[1], &c, 1, 0) == 0);
    close(v[1]);
}

static int raced;
static void *toggle(void *arg)
{
    for (int i = 0; i < 3000; i++) fcntl(raced, F_SETFL, (i + (arg != NULL)) & 1 ? O_ASYNC : 0);
    return NULL;
}

/* Threads that turn it on and off at once: what the flag says in the end holds. */
static void test_toggle_race(void)
{
    int p[2];
    pthread_t t[2];
    siginfo_t si;

    assert(pipe(p) == 0 && fcntl(p[0], F_SETOWN, getpid()) == 0);
    raced = p[0];
    for (int i = 0; i < 2; i++) assert(pthread_create(&t[i], NULL, toggle, i ? p : NULL) == 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    assert(fcntl(p[0], F_SETFL, O_ASYNC) == 0 && write(p[1], "x", 1) == 1 && take(SIGIO, &si) == SIGIO);
    assert(fcntl(p[0], F_SETFL, 0) == 0 && write(p[1], "x", 1) == 1 && none(SIGIO));
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGIO);
    sigaddset(&s, SIGURG);
    sigaddset(&s, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &s, NULL);
    test_pipe_sigio();
    test_socket_sigio();
    test_urgent();
    test_urgent_alone();
    test_toggle_race();
    puts("ok");
    return 0;
}
