/* Sockets. Source: so_socket.c, sys/socket.h, socket(3SOCKET), sockaddr layouts of netinet/in.h and sys/un.h. */
#include "sys.h"

enum { STREAM = 2, DGRAM = 1, INET = 2, INET6 = 26, UNIX = 1, SOLSOCK = 0xffff };
struct sin { u16 family; u8 port[2], addr[4], zero[8]; };
struct sin6 { u16 family; u8 port[2]; u32 flow; u8 addr[16]; u32 scope, src; };

static void run(void)
{
    struct sin a, b;
    struct sin6 a6;
    s32 l, c, s, v, sv[2];
    u32 n;
    char buf[64];
    struct res r;

    EXPECT_ERR(124, 230, 99, STREAM, 0, 0, 1);               /* EAFNOSUPPORT */
    EXPECT_ERR(98, 230, INET, 99, 0, 0, 1);                  /* EPROTOTYPE */
    EXPECT_ERR(120, 230, INET, STREAM, 99, 0, 1);            /* EPROTONOSUPPORT */
    r = sys(230, INET, STREAM | 0x80000, 0, 0, 1);
    CHECK(!r.cf);
    l = (s32)r.r1;
    EXPECT(1, 62, l, 1, 0);
    memset(&a, 0, sizeof(a));
    a.family = INET;
    a.addr[0] = 127, a.addr[3] = 1;
    EXPECT(0, 232, l, &a, sizeof(a), 3);
    EXPECT(0, 233, l, 5, 1);
    n = sizeof(a);
    EXPECT(0, 244, l, &a, &n, 1);
    CHECK(n == 16 && a.family == INET && (a.port[0] || a.port[1]));
    c = (s32)sys(230, INET, STREAM, 0, 0, 1).r1;
    EXPECT_ERR(134, 243, c, &b, &n, 1);                      /* ENOTCONN */
    EXPECT(0, 235, c, &a, sizeof(a), 1);
    EXPECT_ERR(133, 235, c, &a, sizeof(a), 1);               /* EISCONN */
    n = sizeof(b);
    r = sys(234, l, &b, &n, 1, 0x80000);
    CHECK(!r.cf && b.family == INET && n == 16);
    s = (s32)r.r1;
    EXPECT(5, 240, c, "hello", 5, 0);
    EXPECT(5, 237, s, buf, 10, 2);                           /* MSG_PEEK */
    EXPECT(5, 237, s, buf, 10, 0);
    CHECK(same(buf, "hello", 5));
    EXPECT_ERR(11, 237, s, buf, 10, 0x80);                   /* MSG_DONTWAIT is 0x80 */
    EXPECT_ERR(22, 237, s, buf, 10, 0x40000);
    n = 4;
    EXPECT(0, 245, c, SOLSOCK, 0x1008, &v, &n, 1);
    CHECK_EQ(v, STREAM);
    EXPECT(0, 245, c, SOLSOCK, 0x100c, &v, &n, 1);
    CHECK_EQ(v, INET);
    v = 1;
    EXPECT(0, 246, c, 6, 1, &v, 4, 1);                       /* TCP_NODELAY */
    EXPECT_ERR(99, 246, c, 6, 999, &v, 4, 1);                /* ENOPROTOOPT */
    EXPECT_ERR(95, 233, 1, 5, 1);                            /* ENOTSOCK */
    EXPECT_ERR(9, 233, 99, 5, 1);
    EXPECT(0, 236, c, 1, 1);
    EXPECT(0, 237, s, buf, 10, 0);
    EXPECT_ERR(22, 236, c, 9, 1);
    /* nobody listens: ECONNREFUSED 146 */
    EXPECT(0, 6, l);
    c = (s32)sys(230, INET, STREAM, 0, 0, 1).r1;
    EXPECT_ERR(146, 235, c, &a, sizeof(a), 1);
    /* IPv6 names are 32 bytes */
    l = (s32)sys(230, INET6, DGRAM, 0, 0, 1).r1;
    memset(&a6, 0, sizeof(a6));
    a6.family = INET6;
    a6.addr[15] = 1;
    EXPECT(0, 232, l, &a6, sizeof(a6), 1);
    n = 64;
    EXPECT(0, 244, l, &a6, &n, 1);
    CHECK(n == 32 && a6.family == INET6);
    EXPECT_ERR(122, 233, l, 5, 1);                           /* EOPNOTSUPP: datagrams do not listen */
    /* a pair, made of two sockets; descriptors over it in both forms of the header */
    sv[0] = (s32)sys(230, UNIX, STREAM, 0, 0, 1).r1;
    sv[1] = (s32)sys(230, UNIX, STREAM, 0, 0, 1).r1;
    EXPECT(0, 231, sv);
    EXPECT(2, 4, sv[0], "ab", 2);
    EXPECT(2, 3, sv[1], buf, 5);
    {
        struct { char *p; u64 n; } iov = { "z", 1 };
        struct { u32 len; s32 level, type, fd; } cm = { 16, SOLSOCK, 0x1010, sv[0] };
        struct { u64 name; u32 namelen, p0; void *iov; s32 iovlen, p1; void *ctl; u32 ctllen; s32 flags; } h = { 0, 0, 0, &iov, 1, 0, &cm, 16, 0 };
        EXPECT(1, 241, sv[0], &h, 0x8000);
        iov.p = buf;
        memset(&cm, 0, sizeof(cm));
        EXPECT(1, 239, sv[1], &h, 0x8000);
        CHECK(h.ctllen == 16 && cm.len == 16 && cm.type == 0x1010 && cm.fd > sv[1]);
        EXPECT(1, 4, cm.fd, "q", 1);
        EXPECT(1, 3, sv[1], buf, 5);
    }
}
