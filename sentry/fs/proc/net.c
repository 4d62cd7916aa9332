/* /proc/net. proc_pid_net(5) */
#include "sentry/fs/proc/proc.h"

static int show_dev(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "Inter-|   Receive                                                |  Transmit\n"
                     " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
                     "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n");
    return 0;
}
static int show_route(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    return 0;
}
static int show_if_inet6(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "00000000000000000000000000000001 01 80 10 80       lo\n");
    return 0;
}

const struct synth_entry proc_net_dir[] = {
    SYNTH_FILE("dev", show_dev),
    SYNTH_FILE("route", show_route),
    SYNTH_FILE("if_inet6", show_if_inet6),
    { 0 },
};
