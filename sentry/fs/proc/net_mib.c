/*
 * /proc/net/snmp, snmp6 and netstat of the loopback. What is not counted is either 0 by nature (nothing on lo is lost,
 * repeated, fragmented or forwarded) or, in netstat, left out: readers go by the names. proc_pid_net(5), net/ipv4/proc.c
 */
#include "sentry/fs/proc/proc.h"
#include "sentry/net/inet_ns.h"
#include "sentry/net/socket.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>

struct item { const char *name; u64 value; };

static u64 mib(unsigned which) { return __atomic_load_n(&inet_ns(current_net())->mib[which], __ATOMIC_RELAXED); }
static u64 udp(bool lite, bool six, enum udp_mib which) { return mib(MIB_UDP + (lite ? 2 * MIB_UDP_KINDS : 0) + (six ? MIB_UDP_KINDS : 0) + which); }
static u64 ip_in(bool six) { return mib(MIB_IP_PACKETS + six) + mib(MIB_IP_IN_PACKETS + six); }
static u64 octets_in(bool six) { return mib(MIB_IP_OCTETS + six) + mib(MIB_IP_IN_OCTETS + six); }
static u64 icmp(bool six, enum icmp_way way, unsigned type) { return __atomic_load_n(&inet_ns(current_net())->icmp[six][way][type], __ATOMIC_RELAXED); }

static u64 icmp_all(bool six, enum icmp_way way)
{
    u64 n = 0;
    for (unsigned t = 0; t < 256; t++) n += icmp(six, way, t);
    return n;
}

static void put_group(struct strbuf *b, const char *group, const struct item *v, size_t n)
{
    strbuf_printf(b, "%s:", group);
    for (size_t i = 0; i < n; i++) strbuf_printf(b, " %s", v[i].name);
    strbuf_printf(b, "\n%s:", group);
    for (size_t i = 0; i < n; i++) strbuf_printf(b, " %lld", (long long)v[i].value);
    strbuf_printf(b, "\n");
}
#define GROUP(b, group, ...)                                                                        \
    do {                                                                                            \
        const struct item v_[] = { __VA_ARGS__ };                                                   \
        put_group(b, group, v_, ARRAY_LEN(v_));                                                     \
    } while (0)

static void put_icmp_types(struct strbuf *b)
{
    unsigned n = 0;
    for (unsigned t = 0; t < 256; t++) n += icmp(false, ICMP_IN, t) || icmp(false, ICMP_OUT, t);
    if (!n) return;
    for (int values = 0; values < 2; values++) {
        strbuf_printf(b, "IcmpMsg:");
        for (int way = ICMP_IN; way <= ICMP_OUT; way++)
            for (unsigned t = 0; t < 256; t++) {
                u64 v = icmp(false, (enum icmp_way)way, t);
                if (!v) continue;
                if (values) strbuf_printf(b, " %llu", (unsigned long long)v);
                else strbuf_printf(b, " %sType%u", way == ICMP_IN ? "In" : "Out", t);
            }
        strbuf_printf(b, "\n");
    }
}

static void put_udp(struct strbuf *b, const char *group, bool lite)
{
    u64 lost = udp(lite, false, UDP_MIB_RCVBUF);
    GROUP(b, group, { "InDatagrams", udp(lite, false, UDP_MIB_IN) }, { "NoPorts", udp(lite, false, UDP_MIB_NO_PORTS) }, { "InErrors", lost },
          { "OutDatagrams", udp(lite, false, UDP_MIB_OUT) }, { "RcvbufErrors", lost }, { "SndbufErrors", 0 }, { "InCsumErrors", 0 },
          { "IgnoredMulti", 0 }, { "MemErrors", 0 });
}

void proc_net_snmp(struct strbuf *b)
{
    struct net_ns *n = current_net();
    u64 segs = mib(MIB_TCP_SEGS), in = ip_in(false), out = mib(MIB_IP_PACKETS);

    GROUP(b, "Ip", { "Forwarding", inet_setting(n, IS_IP_FORWARD) ? 1 : 2 }, { "DefaultTTL", (u64)inet_setting(n, IS_IP_DEFAULT_TTL) },
          { "InReceives", in }, { "InHdrErrors", 0 }, { "InAddrErrors", 0 }, { "ForwDatagrams", 0 }, { "InUnknownProtos", 0 }, { "InDiscards", 0 },
          { "InDelivers", in }, { "OutRequests", out }, { "OutDiscards", 0 }, { "OutNoRoutes", 0 }, { "ReasmTimeout", 0 }, { "ReasmReqds", 0 },
          { "ReasmOKs", 0 }, { "ReasmFails", 0 }, { "FragOKs", 0 }, { "FragFails", 0 }, { "FragCreates", 0 }, { "OutTransmits", out });
#define ICMP_WAY(w, way)                                                                                                            \
    { w "DestUnreachs", icmp(false, way, ICMP_DEST_UNREACH) }, { w "TimeExcds", icmp(false, way, ICMP_TIME_EXCEEDED) },              \
    { w "ParmProbs", icmp(false, way, ICMP_PARAMETERPROB) }, { w "SrcQuenchs", icmp(false, way, ICMP_SOURCE_QUENCH) },               \
    { w "Redirects", icmp(false, way, ICMP_REDIRECT) }, { w "Echos", icmp(false, way, ICMP_ECHO) },                                 \
    { w "EchoReps", icmp(false, way, ICMP_ECHOREPLY) }, { w "Timestamps", icmp(false, way, ICMP_TIMESTAMP) },                        \
    { w "TimestampReps", icmp(false, way, ICMP_TIMESTAMPREPLY) }, { w "AddrMasks", icmp(false, way, ICMP_ADDRESS) },                 \
    { w "AddrMaskReps", icmp(false, way, ICMP_ADDRESSREPLY) }
    GROUP(b, "Icmp", { "InMsgs", icmp_all(false, ICMP_IN) }, { "InErrors", 0 }, { "InCsumErrors", 0 }, ICMP_WAY("In", ICMP_IN),
          { "OutMsgs", icmp_all(false, ICMP_OUT) }, { "OutErrors", 0 }, { "OutRateLimitGlobal", 0 }, { "OutRateLimitHost", 0 },
          ICMP_WAY("Out", ICMP_OUT));
    put_icmp_types(b);
    GROUP(b, "Tcp", { "RtoAlgorithm", 1 }, { "RtoMin", 200 }, { "RtoMax", 120000 }, { "MaxConn", (u64)-1 }, { "ActiveOpens", mib(MIB_TCP_ACTIVE_OPENS) },
          { "PassiveOpens", mib(MIB_TCP_PASSIVE_OPENS) }, { "AttemptFails", mib(MIB_TCP_ATTEMPT_FAILS) },
          { "EstabResets", mib(MIB_TCP_ESTAB_RESETS) }, { "CurrEstab", mib(MIB_TCP_CURR_ESTAB) }, { "InSegs", segs }, { "OutSegs", segs },
          { "RetransSegs", 0 }, { "InErrs", 0 }, { "OutRsts", mib(MIB_TCP_OUT_RSTS) }, { "InCsumErrors", 0 });
    put_udp(b, "Udp", false);
    put_udp(b, "UdpLite", true);
}

static void put6(struct strbuf *b, const char *name, u64 v) { strbuf_printf(b, "%-32s\t%llu\n", name, (unsigned long long)v); }

static void put6_list(struct strbuf *b, const struct item *v, size_t n)
{
    for (size_t i = 0; i < n; i++) put6(b, v[i].name, v[i].value);
}

static void put6_icmp(struct strbuf *b)
{
    static const struct { const char *name; u8 type; } named[] = {
        { "DestUnreachs", ICMP6_DST_UNREACH }, { "PktTooBigs", ICMP6_PACKET_TOO_BIG }, { "TimeExcds", ICMP6_TIME_EXCEEDED },
        { "ParmProblems", ICMP6_PARAM_PROB }, { "Echos", ICMP6_ECHO_REQUEST }, { "EchoReplies", ICMP6_ECHO_REPLY },
        { "GroupMembQueries", MLD_LISTENER_QUERY }, { "GroupMembResponses", MLD_LISTENER_REPORT },
        { "GroupMembReductions", MLD_LISTENER_REDUCTION }, { "RouterSolicits", ND_ROUTER_SOLICIT },
        { "RouterAdvertisements", ND_ROUTER_ADVERT }, { "NeighborSolicits", ND_NEIGHBOR_SOLICIT },
        { "NeighborAdvertisements", ND_NEIGHBOR_ADVERT }, { "Redirects", ND_REDIRECT }, { "MLDv2Reports", 143 },
    };
    char name[64];
    for (int way = ICMP_IN; way <= ICMP_OUT; way++)
        for (size_t i = 0; i < ARRAY_LEN(named); i++) {
            snprintf(name, sizeof name, "Icmp6%s%s", way == ICMP_IN ? "In" : "Out", named[i].name);
            put6(b, name, icmp(true, (enum icmp_way)way, named[i].type));
        }
    for (int way = ICMP_IN; way <= ICMP_OUT; way++)
        for (unsigned t = 0; t < 256; t++) {
            u64 v = icmp(true, (enum icmp_way)way, t);
            if (!v) continue;
            snprintf(name, sizeof name, "Icmp6%sType%u", way == ICMP_IN ? "In" : "Out", t);
            put6(b, name, v);
        }
}

void proc_net_snmp6(struct strbuf *b)
{
    u64 in = ip_in(true), out = mib(MIB_IP_PACKETS + 1), lost = udp(false, true, UDP_MIB_RCVBUF), lite_lost = udp(true, true, UDP_MIB_RCVBUF);
    const struct item ip[] = {
        { "Ip6InReceives", in }, { "Ip6InHdrErrors", 0 }, { "Ip6InTooBigErrors", 0 }, { "Ip6InNoRoutes", 0 }, { "Ip6InAddrErrors", 0 },
        { "Ip6InUnknownProtos", 0 }, { "Ip6InTruncatedPkts", 0 }, { "Ip6InDiscards", 0 }, { "Ip6InDelivers", in }, { "Ip6OutForwDatagrams", 0 },
        { "Ip6OutRequests", out }, { "Ip6OutDiscards", 0 }, { "Ip6OutNoRoutes", 0 }, { "Ip6ReasmTimeout", 0 }, { "Ip6ReasmReqds", 0 },
        { "Ip6ReasmOKs", 0 }, { "Ip6ReasmFails", 0 }, { "Ip6FragOKs", 0 }, { "Ip6FragFails", 0 }, { "Ip6FragCreates", 0 },
        { "Ip6InMcastPkts", mib(MIB_IP_IN_MCAST + 1) }, { "Ip6OutMcastPkts", mib(MIB_IP_MCAST + 1) }, { "Ip6InOctets", octets_in(true) },
        { "Ip6OutOctets", mib(MIB_IP_OCTETS + 1) }, { "Ip6OutTransmits", out },
    };
    const struct item messages[] = {
        { "Icmp6InMsgs", icmp_all(true, ICMP_IN) }, { "Icmp6InErrors", 0 }, { "Icmp6OutMsgs", icmp_all(true, ICMP_OUT) }, { "Icmp6OutErrors", 0 },
        { "Icmp6InCsumErrors", 0 }, { "Icmp6OutRateLimitHost", 0 },
    };
    const struct item datagrams[] = {
        { "Udp6InDatagrams", udp(false, true, UDP_MIB_IN) }, { "Udp6NoPorts", udp(false, true, UDP_MIB_NO_PORTS) }, { "Udp6InErrors", lost },
        { "Udp6OutDatagrams", udp(false, true, UDP_MIB_OUT) }, { "Udp6RcvbufErrors", lost }, { "Udp6SndbufErrors", 0 }, { "Udp6InCsumErrors", 0 },
        { "Udp6IgnoredMulti", 0 }, { "Udp6MemErrors", 0 }, { "UdpLite6InDatagrams", udp(true, true, UDP_MIB_IN) },
        { "UdpLite6NoPorts", udp(true, true, UDP_MIB_NO_PORTS) }, { "UdpLite6InErrors", lite_lost },
        { "UdpLite6OutDatagrams", udp(true, true, UDP_MIB_OUT) }, { "UdpLite6RcvbufErrors", lite_lost }, { "UdpLite6SndbufErrors", 0 },
        { "UdpLite6InCsumErrors", 0 }, { "UdpLite6MemErrors", 0 },
    };
    put6_list(b, ip, ARRAY_LEN(ip));
    put6_list(b, messages, ARRAY_LEN(messages));
    put6_icmp(b);
    put6_list(b, datagrams, ARRAY_LEN(datagrams));
}

void proc_net_netstat(struct strbuf *b)
{
    u64 full = mib(MIB_TCP_LISTEN_OVERFLOWS);

    GROUP(b, "TcpExt", { "SyncookiesSent", 0 }, { "SyncookiesRecv", 0 }, { "SyncookiesFailed", 0 }, { "EmbryonicRsts", 0 }, { "PruneCalled", 0 },
          { "RcvPruned", 0 }, { "OfoPruned", 0 }, { "OutOfWindowIcmps", 0 }, { "LockDroppedIcmps", 0 }, { "ArpFilter", 0 },
          { "TW", mib(MIB_TCP_TW) }, { "TWRecycled", mib(MIB_TCP_TW_RECYCLED) }, { "TWKilled", mib(MIB_TCP_TW_SHORT) }, { "PAWSActive", 0 },
          { "PAWSEstab", 0 }, { "ListenOverflows", full }, { "ListenDrops", full }, { "TCPRenoRecovery", 0 }, { "TCPSackRecovery", 0 },
          { "TCPSACKReneging", 0 }, { "TCPLostRetransmit", 0 }, { "TCPRenoFailures", 0 }, { "TCPSackFailures", 0 }, { "TCPLossFailures", 0 },
          { "TCPFastRetrans", 0 }, { "TCPSlowStartRetrans", 0 }, { "TCPTimeouts", 0 }, { "TCPLossProbes", 0 }, { "TCPLossProbeRecovery", 0 },
          { "TCPRcvCollapsed", 0 }, { "TCPDSACKOldSent", 0 }, { "TCPDSACKOfoSent", 0 }, { "TCPDSACKRecv", 0 }, { "TCPDSACKOfoRecv", 0 },
          { "TCPAbortOnData", mib(MIB_TCP_ABORT_ON_DATA) }, { "TCPAbortOnClose", mib(MIB_TCP_ABORT_ON_CLOSE) }, { "TCPAbortOnMemory", 0 },
          { "TCPAbortOnTimeout", 0 }, { "TCPAbortFailed", 0 }, { "TCPMemoryPressures", 0 }, { "TCPDeferAcceptDrop", mib(MIB_TCP_DEFERRED) },
          { "TCPTimeWaitOverflow", mib(MIB_TCP_TW_OVERFLOW) }, { "TCPReqQFullDoCookies", 0 }, { "TCPReqQFullDrop", 0 }, { "TCPRetransFail", 0 },
          { "TCPOFOQueue", 0 }, { "TCPOFODrop", 0 }, { "TCPOFOMerge", 0 }, { "TCPChallengeACK", 0 }, { "TCPSYNChallenge", 0 },
          { "TCPFastOpenActive", 0 }, { "TCPFastOpenPassive", 0 }, { "TCPSynRetrans", 0 }, { "TCPOrigDataSent", mib(MIB_TCP_DATA_SEGS) },
          { "TCPKeepAlive", 0 }, { "TCPMTUPFail", 0 }, { "TCPMTUPSuccess", 0 });
    GROUP(b, "IpExt", { "InNoRoutes", 0 }, { "InTruncatedPkts", 0 }, { "InMcastPkts", mib(MIB_IP_IN_MCAST) }, { "OutMcastPkts", mib(MIB_IP_MCAST) },
          { "InBcastPkts", mib(MIB_IP_BCAST) }, { "OutBcastPkts", mib(MIB_IP_BCAST) }, { "InOctets", octets_in(false) },
          { "OutOctets", mib(MIB_IP_OCTETS) });
}
