/* Messages of the resolver, what its tables say of names and addresses, and which names rules let through. */
#include "netbroker/dns_wire.h"
#include "sentry/base/connrules.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void ip_of(const char *text, u8 ip[16])
{
    memset(ip, 0, 16);
    if (inet_pton(AF_INET6, text, ip) == 1) return;
    memset(ip, 0, 16);
    ip[10] = ip[11] = 0xff;
    assert_int_equal(inet_pton(AF_INET, text, ip + 12), 1);
}

static void test_addresses(void **state UNUSED)
{
    static const char *const no[] = { "0.0.0.0", "10.255.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001::1", "fc00::1", "fdff::1", "fe80::1", "ff02::1", "fec0::1", "4000::1" };
    static const char *const yes[] = { "1.1.1.1", "203.0.113.80", "2001:db8::1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "223.255.255.255", "2606:4700::1",
        "64:ff9b::101:101", "2002:101:101::", "2001:200::1" };
    u8 ip[16];
    for (size_t i = 0; i < ARRAY_LEN(no); i++) ip_of(no[i], ip), assert_false(dns_ip_is_public(ip));
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) ip_of(yes[i], ip), assert_true(dns_ip_is_public(ip));
    ip_of("127.0.0.1", ip), assert_false(dns_ip_is_site(ip));
    ip_of("169.254.1.1", ip), assert_false(dns_ip_is_site(ip));
    ip_of("fd00::1", ip), assert_true(dns_ip_is_site(ip));
    ip_of("10.0.0.1", ip), assert_true(dns_ip_is_site(ip));
}

static void test_names(void **state UNUSED)
{
    assert_true(dns_name_is_private("printer"));
    assert_true(dns_name_is_private("nas.local"));
    assert_true(dns_name_is_private("a.b.Internal"));
    assert_true(dns_name_is_private("x.home.arpa"));
    assert_false(dns_name_is_private("internal.example.org"));
    assert_false(dns_name_is_private("notlocal.com"));
    assert_false(dns_name_is_private("evilinternal.net"));
    assert_false(dns_name_is_private("mylocal.dev"));
}

static void add(struct connrules *n, u32 id, bool allow, const char *name, const char *ip, u8 prefix, u16 lo, u16 hi, u8 protos)
{
    struct connrule r = { .id = id, .op = CR_CONNECT, .allow = allow, .protos = protos, .prefix = prefix, .lo = lo, .hi = hi, .name = (char *)(uintptr_t)name };
    if (ip) ip_of(ip, r.ip);
    connrules_add(n, &r);
}

static u32 who(struct connrules *n, const char *name, bool *ok)
{
    const struct connrule *r = connrules_decide_name(n, name);
    *ok = r && r->allow;
    return r ? r->id : 0;
}

static void test_which_names(void **state UNUSED)
{
    struct connrules *n = connrules_new();
    bool ok;
    u8 ip[16], other[16];
    add(n, 1, true, "*.example.org", NULL, 0, 443, 443, CR_TCP);
    add(n, 2, false, "no.example.org", NULL, 0, 1, 65535, CR_TCP | CR_UDP);
    add(n, 3, false, "half.example.org", NULL, 0, 80, 80, CR_TCP);
    add(n, 4, true, NULL, "192.0.2.0", 120, 443, 443, CR_TCP);
    assert_int_equal(who(n, "a.example.org", &ok), 1), assert_true(ok);
    assert_int_equal(who(n, "A.B.EXAMPLE.ORG", &ok), 1), assert_true(ok);
    assert_int_equal(who(n, "no.example.org", &ok), 2), assert_false(ok);
    assert_int_equal(who(n, "half.example.org", &ok), 1), assert_true(ok);       /* 443 is left */
    assert_int_equal(who(n, "example.org", &ok), 0);
    assert_int_equal(who(n, "aexample.org", &ok), 0);
    assert_int_equal(who(n, "example.org.evil.net", &ok), 0);
    ip_of("192.0.2.7", ip), assert_true(connrules_address_allowed(n, ip));
    ip_of("192.0.3.7", ip), assert_false(connrules_address_allowed(n, ip));
    /* Pins: the rule of the name, with its port and protocol; nobody else's. */
    ip_of("93.184.0.1", ip), ip_of("93.184.0.2", other);
    assert_null(connrules_decide(n, CR_CONNECT, CR_TCP, ip, 443));
    assert_true(connrules_pin(n, "a.example.org", ip));
    assert_false(connrules_pin(n, "a.example.com", other));
    assert_int_equal(connrules_decide(n, CR_CONNECT, CR_TCP, ip, 443)->id, 1);
    assert_null(connrules_decide(n, CR_CONNECT, CR_TCP, ip, 80));
    assert_null(connrules_decide(n, CR_CONNECT, CR_UDP, ip, 443));
    assert_null(connrules_decide(n, CR_LISTEN, CR_TCP, ip, 443));
    assert_null(connrules_decide(n, CR_CONNECT, CR_TCP, other, 443));
    /* Thousands of others push the oldest out, and nothing grows. */
    for (u32 i = 0; i < 5000; i++) {
        u8 many[16];
        ip_of("94.0.0.0", many);
        many[14] = (u8)(i >> 8), many[15] = (u8)i;
        assert_true(connrules_pin(n, "b.example.org", many));
    }
    assert_null(connrules_decide(n, CR_CONNECT, CR_TCP, ip, 443));
    connrules_free(n);
    n = connrules_new();
    add(n, 1, true, NULL, NULL, 0, 443, 443, CR_TCP);                             /* connect *:443 tcp */
    assert_int_equal(who(n, "anything.example", &ok), 1), assert_true(ok);
    connrules_free(n);
}

static void test_messages(void **state UNUSED)
{
    static struct dns_answer a;
    struct dns_query q;
    u8 buf[DNS_UDP_MAX], out[DNS_UDP_MAX];
    static const u8 asked[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\3wWw\7example\3org\0\0\1\0\1";
    assert_int_equal(dns_query_parse(asked, sizeof(asked) - 1, &q), 0);
    assert_string_equal(q.name, "www.example.org");
    assert_int_equal(q.type, DNS_A);
    for (size_t n = 0; n < sizeof(asked) - 1; n++) assert_int_not_equal(dns_query_parse(asked, n, &q), 0);   /* cut anywhere */
    assert_int_equal(dns_query_parse(asked, sizeof(asked) - 1, &q), 0);
    size_t n = dns_query_build(buf, &q, 77);
    assert_int_equal(dns_query_parse(buf, n, &q), 0);
    assert_true(q.edns);
    assert_int_equal(q.udp_size, DNS_UPSTREAM_UDP);
    a = (struct dns_answer){ .naliases = 1, .naddrs = 2 };
    strcpy(a.alias[0].target, "x.cdn.example");
    a.alias[0].ttl = 60;
    ip_of("93.184.0.1", a.addr[0].ip), ip_of("93.184.0.2", a.addr[1].ip);
    a.addr[0].ttl = 0x80000001u;
    n = dns_reply_build(out, sizeof(out), &q, DNS_NOERROR, &a, 0);
    assert_int_equal(dns_answer_parse(out, n, &q, 77, &a), 0);
    assert_int_equal(a.naliases, 1);
    assert_int_equal(a.naddrs, 2);
    assert_int_equal(a.addr[0].ttl, 0);                                           /* RFC 2181: the top bit makes it none */
    assert_int_equal(dns_answer_parse(out, n, &q, 78, &a), -EAGAIN);
    strcpy(q.name, "wwv.example.org");
    assert_int_equal(dns_answer_parse(out, n, &q, 77, &a), -EAGAIN);
    strcpy(q.name, "www.example.org");
    for (size_t k = 12; k < n; k++) {                                             /* cut anywhere: malformed, or no record is invented */
        int r = dns_answer_parse(out, k, &q, 77, &a);
        assert_true(r < 0 || a.naddrs <= 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_addresses), cmocka_unit_test(test_names), cmocka_unit_test(test_which_names),
                                        cmocka_unit_test(test_messages) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
