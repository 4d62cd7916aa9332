/* libc.so.1: what libsocket's names lead to. */
#include "impl.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <unistd.h>
#undef recvmsg
#undef sendmsg

#define R(expr) return (int)ret_errno(expr)
#define RL(expr) return ret_errno(expr)
#define CALL(...) CANCELABLE(RESTART(RAW(__VA_ARGS__)))
#define V_DEFAULT 1
#define V_BSD 3
#define V_XPG 4

int socket(int f, int t, int p) { R(RAW(SYS_so_socket, f, t, p, 0, V_DEFAULT)); }
int __xnet_socket(int f, int t, int p) { R(RAW(SYS_so_socket, f, t, p, 0, V_XPG)); }

static int pair(int f, int t, int p, int sv[2], int version)
{
    int v[2];
    long a = RAW(SYS_so_socket, f, t, p, 0, version);

    if (RAW_FAILED(a))
        return (int)ret_errno(a);
    long b = RAW(SYS_so_socket, f, t, p, 0, version);
    if (!RAW_FAILED(b)) {
        v[0] = (int)a;
        v[1] = (int)b;
        long r = RAW(SYS_so_socketpair, v);
        if (!RAW_FAILED(r)) {
            /* the kernel may have put new descriptors in place of ours */
            if (v[0] != a)
                (void)RAW(SYS_close, a);
            if (v[1] != b)
                (void)RAW(SYS_close, b);
            sv[0] = v[0];
            sv[1] = v[1];
            return 0;
        }
        (void)RAW(SYS_close, b);
        b = r;
    }
    (void)RAW(SYS_close, a);
    return (int)ret_errno(b);
}
int socketpair(int f, int t, int p, int sv[2]) { return pair(f, t, p, sv, V_DEFAULT); }
int __xnet_socketpair(int f, int t, int p, int sv[2]) { return pair(f, t, p, sv, V_XPG); }
int bind(int s, const struct sockaddr *a, socklen_t n) { R(RAW(SYS_bind, s, a, n, V_BSD)); }
int __xnet_bind(int s, const struct sockaddr *a, socklen_t n) { R(RAW(SYS_bind, s, a, n, V_XPG)); }
int listen(int s, int n) { R(RAW(SYS_listen, s, n, V_DEFAULT)); }
int __xnet_listen(int s, int n) { R(RAW(SYS_listen, s, n, V_XPG)); }
int accept4(int s, struct sockaddr *a, socklen_t *n, int fl) { R(CANCELABLE(RAW(SYS_accept, s, a, n, V_DEFAULT, fl))); }
int accept(int s, struct sockaddr *a, socklen_t *n) { return accept4(s, a, n, 0); }
int connect(int s, const struct sockaddr *a, socklen_t n) { R(CANCELABLE(RAW(SYS_connect, s, a, n, V_DEFAULT))); }
int __xnet_connect(int s, const struct sockaddr *a, socklen_t n) { R(CANCELABLE(RAW(SYS_connect, s, a, n, V_XPG))); }
int shutdown(int s, int how) { R(RAW(SYS_shutdown, s, how, V_DEFAULT)); }
ssize_t recv(int s, void *b, size_t n, int fl) { RL(CALL(SYS_recv, s, b, n, fl)); }
ssize_t recvfrom(int s, void *b, size_t n, int fl, struct sockaddr *a, socklen_t *l) { RL(CALL(SYS_recvfrom, s, b, n, fl, a, l)); }
ssize_t recvmsg(int s, struct msghdr *m, int fl);
ssize_t recvmsg(int s, struct msghdr *m, int fl) { RL(CALL(SYS_recvmsg, s, m, fl & ~MSG_XPG4_2)); }
ssize_t __xnet_recvmsg(int s, struct msghdr *m, int fl) { RL(CALL(SYS_recvmsg, s, m, fl | MSG_XPG4_2)); }
ssize_t send(int s, const void *b, size_t n, int fl) { RL(CALL(SYS_send, s, b, n, fl)); }
ssize_t sendto(int s, const void *b, size_t n, int fl, const struct sockaddr *a, socklen_t l) { RL(CALL(SYS_sendto, s, b, n, fl, a, l)); }
ssize_t __xnet_sendto(int s, const void *b, size_t n, int fl, const struct sockaddr *a, socklen_t l)
{
    RL(CALL(SYS_sendto, s, b, n, fl | MSG_XPG4_2, a, l));
}
ssize_t sendmsg(int s, const struct msghdr *m, int fl);
ssize_t sendmsg(int s, const struct msghdr *m, int fl) { RL(CALL(SYS_sendmsg, s, m, fl & ~MSG_XPG4_2)); }
ssize_t __xnet_sendmsg(int s, const struct msghdr *m, int fl) { RL(CALL(SYS_sendmsg, s, m, fl | MSG_XPG4_2)); }
int getsockopt(int s, int l, int o, void *v, socklen_t *n) { R(RAW(SYS_getsockopt, s, l, o, v, n, V_DEFAULT)); }
int __xnet_getsockopt(int s, int l, int o, void *v, socklen_t *n) { R(RAW(SYS_getsockopt, s, l, o, v, n, V_XPG)); }
int setsockopt(int s, int l, int o, const void *v, socklen_t n) { R(RAW(SYS_setsockopt, s, l, o, v, n, V_DEFAULT)); }
int getsockname(int s, struct sockaddr *a, socklen_t *n) { R(RAW(SYS_getsockname, s, a, n, V_DEFAULT)); }
int __xnet_getsockname(int, struct sockaddr *, socklen_t *) __attribute__((alias("getsockname")));
int getpeername(int s, struct sockaddr *a, socklen_t *n) { R(RAW(SYS_getpeername, s, a, n, V_DEFAULT)); }
int sockatmark(int s)
{
    int v;
    return ret_errno(RESTART(RAW(SYS_ioctl, s, SIOCATMARK, &v))) < 0 ? -1 : v;
}

uint32_t htonl(uint32_t v) { return __builtin_bswap32(v); }
uint32_t ntohl(uint32_t v) { return __builtin_bswap32(v); }
uint16_t htons(uint16_t v) { return __builtin_bswap16(v); }
uint16_t ntohs(uint16_t v) { return __builtin_bswap16(v); }
uint64_t htonll(uint64_t v) { return __builtin_bswap64(v); }
uint64_t ntohll(uint64_t v) { return __builtin_bswap64(v); }
const struct in6_addr in6addr_any = IN6ADDR_ANY_INIT, in6addr_loopback = IN6ADDR_LOOPBACK_INIT;
