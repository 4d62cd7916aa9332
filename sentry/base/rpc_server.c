/* A server's arguments, threads and replies. */
#include "sentry/base/log.h"
#include "sentry/base/rpc.h"
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

int rpc_server_args(const char *name, int argc, char **argv, struct rpc_server_args *a)
{
    static const struct option opts[] = { { "plan-fd", 1, 0, 'p' }, { "sock-fd", 1, 0, 's' }, { "debug", 0, 0, 'd' }, { 0, 0, 0, 0 } };
    int c;
    *a = (struct rpc_server_args){ .plan_fd = -1 };
    log_init(name, 2, LOG_WARN);
    while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
        if (c == 'p') a->plan_fd = atoi(optarg);
        else if (c == 's' && a->nsocks < RPC_CHANNELS_MAX) a->socks[a->nsocks++] = atoi(optarg);
        else if (c == 'd') a->debug = true;
        else {
            log_error("usage: %s --plan-fd N --sock-fd M [--sock-fd ...] [--debug]; started by sundog", name);
            return 2;
        }
    }
    if (a->plan_fd < 0 || !a->nsocks) {
        log_error("--plan-fd and --sock-fd are needed; sundog starts this program");
        return 2;
    }
    if (a->debug) log_init(name, 2, LOG_DEBUG);
    return 0;
}

int rpc_reply(int sock, struct rpc_hdr *rep, u8 *out, int fd)
{
    struct iovec iov[2] = { { rep, sizeof *rep }, { out, rep->len } };
    union rpc_fd_room room;
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = rep->len ? 2 : 1 };
    rpc_attach_fd(&m, &room, fd);
    for (;;) {
        if (sendmsg(sock, &m, MSG_NOSIGNAL) >= 0) return 0;
        if (errno == EINTR) continue;
        if (errno == ETOOMANYREFS && m.msg_control) { /* a sentry that does not take its descriptors */
            m.msg_control = NULL;
            m.msg_controllen = 0;
            m.msg_iovlen = 1;
            rep->len = 0;
            rep->err = -ENFILE;
            continue;
        }
        return -errno;
    }
}

struct channel { int sock; void (*serve)(int sock); };

static void *channel_thread(void *arg)
{
    struct channel *c = arg;
    c->serve(c->sock);
    close(c->sock);
    return NULL;
}

int rpc_serve(const int *socks, unsigned n, void (*channel)(int sock))
{
    pthread_t t[RPC_CHANNELS_MAX];
    static struct channel ch[RPC_CHANNELS_MAX]; /* outlives this call if it fails half way */
    if (n == 0 || n > RPC_CHANNELS_MAX) return -EINVAL;
    for (unsigned i = 0; i < n; i++) ch[i] = (struct channel){ socks[i], channel };
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 256 * 1024);
    int err = 0;
    unsigned i;
    for (i = 1; i < n && !err; i++) err = -pthread_create(&t[i], &a, channel_thread, &ch[i]);
    pthread_attr_destroy(&a);
    if (err) return err;
    channel_thread(&ch[0]);
    for (i = 1; i < n; i++) pthread_join(t[i], NULL);
    return 0;
}
