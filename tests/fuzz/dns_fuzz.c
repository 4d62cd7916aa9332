/*
 * libFuzzer target: questions of a hostile guest and answers of a hostile name server. Input: { u8 how; u8 bytes[] }. An even
 * `how`: the bytes are a question; odd: an answer to a fixed question. What is taken is written again and must read back the same.
 */
#include "netbroker/dns_wire.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void same(const struct dns_query *q, const struct dns_answer *a, size_t limit)
{
    static struct dns_answer b;
    u8 *out = malloc(limit); /* of its exact size, for the sanitizer */
    size_t n = dns_reply_build(out, limit, q, a->rcode, a, DNS_EDE_BLOCKED);
    if (!n || n > limit || dns_answer_parse(out, n, q, q->id, &b)) abort();
    if (!b.truncated) {
        if (b.rcode != a->rcode || b.naliases != a->naliases || b.naddrs != a->naddrs) abort();
        for (unsigned i = 0; i < a->naddrs; i++)
            if (memcmp(a->addr[i].ip, b.addr[i].ip, 16) || a->addr[i].ttl != b.addr[i].ttl) abort();
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 asked[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\1\3www\7example\3org\0\0\1\0\1\0\0\x29\x10\0\0\0\0\0\0\0";
    static struct dns_answer a;
    struct dns_query q, again;
    u8 buf[DNS_QUERY_MAX];
    if (!size) return 0;
    if (data[0] & 1) {
        if (dns_query_parse(asked, sizeof(asked) - 1, &q)) abort();
        if (data[0] & 2) q.type = DNS_AAAA;
        if (dns_answer_parse(data + 1, size - 1, &q, 0x1234, &a) || a.truncated) return 0;
        if (a.naliases >= DNS_ALIASES_MAX || a.naddrs > DNS_ADDRS_MAX) abort();
        for (unsigned i = 0; i < a.naddrs; i++) dns_ip_is_public(a.addr[i].ip), dns_ip_is_site(a.addr[i].ip);
        same(&q, &a, DNS_QUERY_MAX);
        same(&q, &a, DNS_MESSAGE_MAX);
        return 0;
    }
    int r = dns_query_parse(data + 1, size - 1, &q);
    if (r < 0) return 0;
    memset(&a, 0, sizeof(a));
    if (!dns_reply_build(buf, sizeof(buf), &q, (unsigned)r, NULL, DNS_EDE_BLOCKED)) abort();
    if (r) return 0;
    if (strlen(q.name) >= DNS_TEXT_MAX || q.udp_size < 512 || q.udp_size > DNS_UDP_MAX) abort();
    dns_name_is_private(q.name);
    size_t n = dns_query_build(buf, &q, 7);
    if (n > DNS_QUERY_MAX || dns_query_parse(buf, n, &again) || !dns_name_equal(q.name, again.name) || again.type != q.type) abort();
    same(&q, &a, DNS_QUERY_MAX);
    return 0;
}
