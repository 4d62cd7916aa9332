/* Values of the language: hosts, ports, sizes, durations; and rules as text. */
#include "runtime/profile/profile.h"
#include "sentry/base/alloc.h"
#include "sentry/base/pathrules.h"
#include "sentry/base/plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

bool profile_host_ok(const char *s, size_t n, const char **why)
{
    size_t label = 0;
    if (n > 2 && s[0] == '*' && s[1] == '.') s += 2, n -= 2;
    *why = "the host is empty or longer than 253 characters";
    if (!n || n > 253) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        *why = "a host name is of ASCII letters, digits, dashes and dots; write others in their xn-- form, so that look-alikes show";
        if (c >= 0x80) return false;
        *why = "a host name is of ASCII letters, digits, dashes and dots (`*.` may stand in front)";
        if (!isalnum(c) && c != '-' && c != '.' && c != '_') return false;
        *why = "a label of the host name is empty or longer than 63 characters";
        if (c == '.') {
            if (!label) return false;
            label = 0;
        } else if (++label > 63) {
            return false;
        }
    }
    return label != 0;
}

static int parse_port(const char *s, u16 *lo, u16 *hi)
{
    char *end;
    if (!strcmp(s, "*")) {
        *lo = 1, *hi = 65535;
        return 0;
    }
    if (!isdigit((unsigned char)*s)) return -EINVAL;
    unsigned long a = strtoul(s, &end, 10), b = a;
    if (*end == '-') {
        if (!isdigit((unsigned char)end[1])) return -EINVAL;
        b = strtoul(end + 1, &end, 10);
    }
    if (*end || !a || a > b || b > 65535) return -EINVAL;
    *lo = (u16)a, *hi = (u16)b;
    return 0;
}

/* ADDRESS[/BITS]; IPv4 becomes ::ffff:a.b.c.d */
static bool parse_address(const char *s, size_t n, u8 ip[16], u8 *prefix)
{
    char text[64];
    if (n >= sizeof(text)) return false;
    memcpy(text, s, n);
    text[n] = 0;
    unsigned long bits = 0;
    char *slash = strchr(text, '/'), *end;
    if (slash) {
        *slash++ = 0;
        if (!isdigit((unsigned char)*slash)) return false;
        bits = strtoul(slash, &end, 10);
        if (*end) return false;
    }
    memset(ip, 0, 16);
    if (inet_pton(AF_INET, text, ip + 12) == 1) {
        ip[10] = ip[11] = 0xff;
        if (bits > 32) return false;
        *prefix = (u8)(slash ? 96 + bits : 128);
        return true;
    }
    if (bits > 128 || inet_pton(AF_INET6, text, ip) != 1) return false;
    *prefix = (u8)(slash ? bits : 128);
    return true;
}

int profile_host_parse(const char *text, struct phost *out, const char **why)
{
    *out = (struct phost){ 0 };
    size_t n = strlen(text);
    const char *colon = NULL, *host = text;
    if (*text == '[') {
        const char *close = strchr(text, ']');
        *why = "the `]` of an IPv6 address is missing";
        if (!close) return -EINVAL;
        host = text + 1;
        n = (size_t)(close - host);
        colon = strchr(close, ':');
        if (close[1] == '/' && colon) { /* [addr]/bits:port */
            AUTO_FREE char *both = xasprintf("%.*s%.*s", (int)n, host, (int)(colon - close - 1), close + 1);
            *why = "not an IPv6 address block";
            if (!parse_address(both, strlen(both), out->ip, &out->prefix)) return -EINVAL;
            out->block = true;
        } else if (!colon || colon != close + 1) {
            *why = "a port is wanted behind the `]`: [ADDRESS]:PORT";
            return -EINVAL;
        }
    } else {
        colon = strrchr(text, ':');
        *why = "a port is wanted: HOST:443, HOST:8000-8080, or HOST:* for all";
        if (!colon) return -EINVAL;
        n = (size_t)(colon - text);
        *why = "an IPv6 address stands in brackets: [ADDRESS]:PORT";
        if (memchr(text, ':', n)) return -EINVAL;
    }
    *why = "the port must be 1 to 65535, LOW-HIGH, or *";
    if (parse_port(colon + 1, &out->lo, &out->hi)) return -EINVAL;
    if (out->block) return 0;
    if (n == 1 && *host == '*') {
        out->any = out->block = true;
        return 0;
    }
    if (n == 8 && !strncmp(host, "loopback", 8)) host = "127.0.0.0/8", n = 11;
    if (parse_address(host, n, out->ip, &out->prefix)) {
        out->block = true;
        return 0;
    }
    *why = "not an address; a name cannot stand in brackets";
    if (*text == '[') return -EINVAL;
    *why = "this is neither an address nor a host name: a name has a letter";
    bool letter = false;
    for (size_t i = 0; i < n; i++) letter |= isalpha((unsigned char)host[i]) || (unsigned char)host[i] >= 0x80;
    if (!letter) return -EINVAL;
    if (!profile_host_ok(host, n, why)) return -EINVAL;
    out->name = xstrndup(host, n);
    for (char *c = out->name; *c; c++) *c = (char)tolower((unsigned char)*c);
    return 0;
}

int profile_size_parse(const char *text, u64 *out)
{
    char *end;
    if (!isdigit((unsigned char)*text)) return -EINVAL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = 0;
    switch (toupper((unsigned char)*end)) {
    case 'K': shift = 10, end++; break;
    case 'M': shift = 20, end++; break;
    case 'G': shift = 30, end++; break;
    case 'T': shift = 40, end++; break;
    }
    if (*end || errno || n > (UINT64_MAX >> 1) >> shift) return -EINVAL;
    *out = (u64)n << shift;
    return 0;
}

int profile_percent_parse(const char *text, u64 *percent)
{
    char *end;
    unsigned long v = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;
    if (!v || v > 100000 || strcmp(end, "%")) return -EINVAL;
    *percent = v;
    return 0;
}

int profile_duration_parse(const char *text, u64 *seconds)
{
    char *end;
    if (!isdigit((unsigned char)*text)) return -EINVAL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10), unit = 1;
    if (*end == 's') end++;
    else if (*end == 'm') unit = 60, end++;
    else if (*end == 'h') unit = 3600, end++;
    else if (*end == 'd') unit = 86400, end++;
    if (*end || errno || n > 1000000000 || !n) return -EINVAL;
    *seconds = n * unit;
    return 0;
}

u32 prule_perms(enum pkey key)
{
    switch (key) {
    case PK_RO: return PR_READ;
    case PK_ROX: return PR_READ | PR_EXEC;
    case PK_RW: return PR_READ | PR_WRITE;
    case PK_RWX: return PR_READ | PR_WRITE | PR_EXEC;
    case PK_OVERLAY: return PR_READ | PR_EXEC | PR_OVERLAY;
    default: return 0;
    }
}

static bool plain(const char *s)
{
    for (; *s; s++)
        if (isspace((unsigned char)*s) || *s == '#' || *s == '"' || *s == '\\') return false;
    return true;
}

char *prule_text(const struct prule *r)
{
    const struct pkeyword *k = profile_keyword(r->section, r->key);
    const char *q = plain(r->object) ? "" : "\"";
    const char *name = k ? k->name : "?";
    if (r->section == PS_ENV && r->key == PK_SET) return xasprintf("%s \"%s=%s\"", name, r->object, r->value ? r->value : "");
    return xasprintf("%s %s%s%s%s%s", name, q, r->object, q, r->value ? " " : "", r->value ? r->value : "");
}

/* --- name servers --- */

bool profile_address(const char *text, u8 ip[16])
{
    if (inet_pton(AF_INET6, text, ip) == 1) return true;
    memset(ip, 0, 16);
    ip[10] = ip[11] = 0xff;
    return inet_pton(AF_INET, text, ip + 12) == 1;
}

int profile_dns_server(const char *text, struct plan_dns_server *out)
{
    char host[64];
    const char *port = NULL, *end = text + strlen(text);
    *out = (struct plan_dns_server){ .port = 53 };
    if (*text == '[') {
        end = strchr(++text, ']');
        if (!end) return -EINVAL;
        if (end[1] == ':') port = end + 2;
        else if (end[1]) return -EINVAL;
    } else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
        end = strchr(text, ':');
        port = end + 1;
    }
    size_t n = (size_t)(end - text);
    if (!n || n >= sizeof(host)) return -EINVAL;
    memcpy(host, text, n);
    host[n] = 0;
    char *zone = strchr(host, '%');
    if (zone) {
        *zone++ = 0;
        out->scope = if_nametoindex(zone);
        if (!out->scope) return -EINVAL;
    }
    if (port) {
        char *rest;
        unsigned long v = isdigit((unsigned char)*port) ? strtoul(port, &rest, 10) : 0;
        if (!v || v > 65535 || *rest) return -EINVAL;
        out->port = (u16)v;
    }
    return profile_address(host, out->ip) ? 0 : -EINVAL;
}
