/*
 * libFuzzer target: packets of a hostile sentry against the network broker's decoders. Input: packets of { u16 op; u16 len;
 * u8 which; u8 payload[len] }; `which` picks the descriptor that comes along. The rules allow the loopback only, and of
 * it no port that anybody serves.
 */
#include "netbroker/broker.h"
#include "sentry/base/log.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static int no_more(struct netb_req *r)
{
    if (r->out_len > NETB_PAYLOAD_MAX) abort();
    return 0;
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
    struct { struct plan_net h; struct plan_net_rule r; } rules = {
        .h = { .mode = PLAN_NET_HOST, .nrules = 1 },
        .r = { .allow = 1, .dirs = 7, .family = 4, .prefix = 104, .addr = { [10] = 0xff, [11] = 0xff, [12] = 127 }, .port_lo = 0, .port_hi = 0 },
    };
    log_init("netbroker-fuzz", 2, LOG_ERROR);
    if (net_rules_parse(&netb_rules, (const u8 *)&rules, sizeof rules)) abort();
    return netb_info_init();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 out[NETB_PAYLOAD_MAX] __attribute__((aligned(8)));
    int fds[5] = { socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                   socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0), socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), -1 };
    struct net_rules parsed;
    if (!net_rules_parse(&parsed, data, size)) {
        net_rules_allow(&parsed, PLAN_NET_OUT, IPPROTO_TCP, out, 0, NULL);
        net_rules_fini(&parsed);
    }
    while (size >= 5) {
        u16 op, len;
        memcpy(&op, data, 2);
        memcpy(&len, data + 2, 2);
        int fd = fds[data[4] % 5];
        data += 5;
        size -= 5;
        size_t n = len < size ? len : size;
        u8 *payload = malloc(n ? n : 1); /* of its exact size, for the sanitizer */
        if (n) memcpy(payload, data, n);
        struct rpc_hdr h = { NETB_MAGIC | op % (NETB_OP_END + 1), 1, (u32)n, 0 }, rep;
        struct netb_req r = { .in = payload, .len = (u32)n, .fd = fd, .out = out, .more = no_more };
        if (!netb_handle_packet(&h, &r, &rep) || rep.len > NETB_PAYLOAD_MAX || (rep.err && rep.len)) abort();
        if (r.out_fd >= 0) close(r.out_fd);
        free(payload);
        data += n;
        size -= n;
    }
    for (unsigned i = 0; i < 5; i++)
        if (fds[i] >= 0) close(fds[i]);
    return 0;
}
