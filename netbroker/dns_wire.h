/*
 * DNS messages (RFC 1035, 6891, 8914) as far as the resolver needs them: one question, answers of addresses and the
 * aliases on the way. Both sides are hostile: a guest asks, somebody on the network answers. Nothing is passed through:
 * what was asked and what was answered is taken apart, and new messages are made of it. No state, no system calls.
 */
#ifndef SUNDOG_NETBROKER_DNS_WIRE_H
#define SUNDOG_NETBROKER_DNS_WIRE_H

#include "sentry/base/types.h"

#define DNS_TEXT_MAX 254u        /* a name as text without the final dot, with NUL */
#define DNS_WIRE_MAX 255u        /* a name on the wire */
#define DNS_QUERY_MAX 512u       /* a query of ours, or of the guest's that is looked at */
#define DNS_UDP_MAX 4096u        /* of answers by UDP, whatever the guest offers */
#define DNS_UPSTREAM_UDP 1232u   /* what we offer; DNS flag day 2020 */
#define DNS_MESSAGE_MAX 65535u
#define DNS_ALIASES_MAX 16u
#define DNS_ADDRS_MAX 64u

enum { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41 };
enum { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED, DNS_BADVERS = 16 };
#define DNS_EDE_BLOCKED 15u      /* "unable to respond due to an internal security policy" */

struct dns_query {
    u16 id, type, udp_size;
    bool rd, edns;
    u8 wire_len, wire[DNS_WIRE_MAX];   /* the name as it was asked; 0: none */
    char name[DNS_TEXT_MAX];           /* lower case */
};
/* 0; an rcode to answer with; -EBADMSG: not worth an answer. Of an rcode, id and (perhaps) the question are filled in. */
int dns_query_parse(const u8 *p, size_t n, struct dns_query *q);
/* out: DNS_QUERY_MAX bytes. The question to a server, recursion wanted. */
size_t dns_query_build(u8 *out, const struct dns_query *q, u16 id);

struct dns_answer {
    u8 rcode;
    bool truncated;
    unsigned naliases, naddrs;
    struct { u32 ttl; char target[DNS_TEXT_MAX]; } alias[DNS_ALIASES_MAX];   /* in their order from the name asked */
    struct { u32 ttl; u8 ip[16]; } addr[DNS_ADDRS_MAX];                      /* IPv4 as ::ffff:a.b.c.d */
};
/*
 * -EAGAIN: no answer to this question (wrong id, another name): whoever sent it, wait on. -EBADMSG: malformed, or a loop of
 * aliases. What is more than fits the structure, or does not belong to the name asked, is left out.
 */
int dns_answer_parse(const u8 *p, size_t n, const struct dns_query *q, u16 id, struct dns_answer *a);
/*
 * out: `limit` bytes, at least DNS_QUERY_MAX. An answer that does not fit is sent empty with TC set. a: NULL, no records.
 * ede: DNS_EDE_*, 0: none; told only to who speaks EDNS.
 */
size_t dns_reply_build(u8 *out, size_t limit, const struct dns_query *q, unsigned rcode, const struct dns_answer *a, unsigned ede);

/* Addresses that the public DNS has no business to give: loopback, private, link-local, shared, multicast, unspecified, ... */
bool dns_ip_is_public(const u8 ip[16]);
/* Those of an organisation's own network: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7. */
bool dns_ip_is_site(const u8 ip[16]);
/* Names that the public DNS does not have: one label, or below a domain that is set aside (RFC 6761, 6762, 8375, .internal). */
bool dns_name_is_private(const char *name);
bool dns_name_equal(const char *a, const char *b);

#endif
