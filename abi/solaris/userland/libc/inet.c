/* libc.so.1: text forms of addresses (Solaris' AF_INET6 is 26, so musl's functions do not fit). */
#include "impl.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static int pton4(const char *s, unsigned char *out)
{
    for (int i = 0; i < 4; i++) {
        int v = 0, n = 0;
        while (*s >= '0' && *s <= '9' && n < 4) {
            if (n && !v)
                return 0; /* no leading zeros */
            v = v * 10 + *s++ - '0';
            n++;
        }
        if (!n || v > 255 || *s != (i < 3 ? '.' : 0))
            return 0;
        out[i] = (unsigned char)v;
        s++;
    }
    return 1;
}
static int pton6(const char *s, unsigned char *out)
{
    uint16_t w[8] = { 0 };
    int n = 0, gap = -1;

    if (*s == ':' && *++s != ':')
        return 0;
    for (;;) {
        if (*s == ':' && gap < 0) {
            gap = n;
            if (!*++s)
                break;
            continue;
        }
        int digits = 0;
        unsigned v = 0;
        const char *start = s;
        for (; digits < 5; s++, digits++) {
            int c = *s | 32, d = *s >= '0' && *s <= '9' ? *s - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
            if (d < 0)
                break;
            v = v << 4 | (unsigned)d;
        }
        if (*s == '.' && n <= 6) {
            unsigned char q[4];
            if (!pton4(start, q))
                return 0;
            w[n++] = (uint16_t)(q[0] << 8 | q[1]);
            w[n++] = (uint16_t)(q[2] << 8 | q[3]);
            break;
        }
        if (!digits || digits > 4 || n == 8)
            return 0;
        w[n++] = (uint16_t)v;
        if (!*s)
            break;
        if (*s++ != ':' || !*s)
            return 0;
        if (n == 8)
            return 0;
    }
    if (gap < 0 ? n != 8 : n > 7)
        return 0;
    for (int i = 0; i < 8; i++) {
        int from = gap < 0 || i < gap ? i : i - (8 - n);
        uint16_t v = gap >= 0 && i >= gap && i < gap + 8 - n ? 0 : w[from];
        out[2 * i] = (unsigned char)(v >> 8);
        out[2 * i + 1] = (unsigned char)v;
    }
    return 1;
}
int inet_pton(int family, const char *s, void *out)
{
    unsigned char b[16];
    int r;

    if (family != AF_INET && family != AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    r = family == AF_INET ? pton4(s, b) : pton6(s, b);
    if (r)
        memcpy(out, b, family == AF_INET ? 4 : 16);
    return r;
}
const char *inet_ntop(int family, const void *in, char *out, socklen_t size)
{
    const unsigned char *p = in;
    char b[64], *q = b;

    if (family == AF_INET) {
        sprintf(b, "%d.%d.%d.%d", p[0], p[1], p[2], p[3]);
    } else if (family == AF_INET6) {
        int best = -1, len = 1;
        for (int i = 0; i < 8; i++) {
            int k = i;
            while (k < 8 && !p[2 * k] && !p[2 * k + 1])
                k++;
            if (k - i > len)
                best = i, len = k - i;
        }
        for (int i = 0; i < 8; i++) {
            if (i == best) {
                q += sprintf(q, "::");
                i += len - 1;
                continue;
            }
            if (q > b && q[-1] != ':')
                *q++ = ':';
            if (i == 6 && best == 0 && (len == 6 || (len == 5 && p[10] == 0xff && p[11] == 0xff))) {
                q += sprintf(q, "%d.%d.%d.%d", p[12], p[13], p[14], p[15]);
                break;
            }
            q += sprintf(q, "%x", p[2 * i] << 8 | p[2 * i + 1]);
        }
    } else {
        errno = EAFNOSUPPORT;
        return NULL;
    }
    if (strlcpy(out, b, size) >= size) {
        errno = ENOSPC;
        return NULL;
    }
    return out;
}
