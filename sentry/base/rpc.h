/*
 * Requests between the processes of a sandbox: packets on SOCK_SEQPACKET sockets, each a struct rpc_hdr with a payload
 * behind it, at most one descriptor along. What the gofer's and the network broker's protocol have in common; the
 * operations and their payloads are in gofer/protocol.h and netbroker/protocol.h. Byte order and layout are the host's:
 * both ends are programs of one build.
 */
#ifndef SUNDOG_BASE_RPC_H
#define SUNDOG_BASE_RPC_H

#include "sentry/base/lock.h"
#include <sys/socket.h>

struct rpc_hdr {
    u32 type;          /* the protocol's magic | operation; a reply repeats it */
    u32 seq;           /* a reply repeats it */
    u32 len;           /* payload bytes that follow */
    s32 err;           /* reply: 0 or negative errno (then no payload counts); request: 0 */
};
_Static_assert(sizeof(struct rpc_hdr) == 16, "wire format");

#define RPC_CHANNELS_MAX 16u

/* Room for the control message of one descriptor, cmsg(3). */
union rpc_fd_room { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; };

/* Sends fd along with m (nothing if fd < 0). room lives as long as m. */
void rpc_attach_fd(struct msghdr *m, union rpc_fd_room *room, int fd);
/* The descriptor that came with m, the caller's from now on; -1: none. */
int rpc_take_fd(const struct msghdr *m);

/* --- the side that asks (rpc_client.c) --- */

/* One request at a time on a channel; callers wait for a free one, and the last used is taken first: its thread is warm. */
struct rpc_client {
    const char *server;               /* (c) for the log: "the file server (sundog-gofer)" */
    const char *operations;           /* (c) for the log, what fails without it: "file operations" */
    lock_t lock;                      /* LC_GOFER; guards: */
    pthread_cond_t freed;             /* a channel came back */
    int free_socks[RPC_CHANNELS_MAX];
    unsigned nfree, nsocks;
    u32 seq;                          /* (a) of the next request */
    bool dead;                        /* (a) the server is gone: every call is -EIO */
};
#define RPC_CLIENT_INIT(server_, operations_)                                                        \
    { .server = (server_), .operations = (operations_), .lock = LOCK_INIT(LC_GOFER), .freed = PTHREAD_COND_INITIALIZER }

void rpc_client_init(struct rpc_client *c, const char *server, const char *operations);
void rpc_client_fini(struct rpc_client *c);            /* closes the channels; none is in use */
/* Takes sock over. -ENOSPC (and sock closed) if there are max channels already; max at most RPC_CHANNELS_MAX. */
int rpc_client_add(struct rpc_client *c, int sock, unsigned max);
int rpc_channel_take(struct rpc_client *c);            /* waits; -1: the server is gone */
void rpc_channel_give(struct rpc_client *c, int sock);
/* Nothing that comes from the server can be trusted or hoped for any more: says so once. Returns -EIO. */
int rpc_gone(struct rpc_client *c, const char *why);
/* The reply's header answers the request's: same type and number, n bytes in all, an errno in range. more: type bit to ignore. */
bool rpc_reply_ok(const struct rpc_hdr *rep, const struct rpc_hdr *req, size_t n, u32 more);

/* --- the side that serves (rpc_server.c) --- */

/* What sundog-gofer and sundog-netbroker are started with. */
struct rpc_server_args { int plan_fd; int socks[RPC_CHANNELS_MAX]; unsigned nsocks; bool debug; };
/* Starts the log. 0 or the status to exit with, the reason being logged. name: of the program, static. */
int rpc_server_args(const char *name, int argc, char **argv, struct rpc_server_args *a);
/* Reply with rep->len bytes of out. 0 or -errno: the channel is of no use any more. fd stays the caller's. */
int rpc_reply(int sock, struct rpc_hdr *rep, u8 *out, int fd);
/* One thread for each socket runs channel(sock) and closes it; returns when all have ended, or -errno if one cannot start. */
int rpc_serve(const int *socks, unsigned n, void (*channel)(int sock));

#endif
