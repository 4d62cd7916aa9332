/* Rights that are not over files: TCP ports, and scopes, which compare two domains. */
#include "sentry/landlock/internal.h"
#include "sentry/net/socket.h"
#include <netinet/in.h>

/* domain_is_scoped(): is there a layer of the client with this scope that is not above the server too? */
static bool is_scoped(const struct ll_layer *client, const struct ll_layer *server, u32 scope)
{
    while (client && (!server || client->depth > server->depth)) {
        if (client->handled.scope & scope) return true;
        client = client->below;
    }
    while (server && client && server->depth > client->depth) server = server->below;
    for (; client; client = client->below, server = server->below)
        if (client->handled.scope & scope) return server != client;
    return false;
}

int ll_unix(const struct socket *other)
{
    const struct ll_layer *d = ll_current();

    if (likely(!d) || !other->un.name.un.len || other->un.name.un.path[0]) return 0;
    return is_scoped(d, other->landlock, LL_SCOPE_ABSTRACT) ? -EPERM : 0;
}

int ll_signal(const struct ll_layer *who, struct task *t)
{
    if (likely(!who)) return 0;
    lock(&t->lock);
    bool scoped = is_scoped(who, t->cred->landlock, LL_SCOPE_SIGNAL);
    unlock(&t->lock);
    return scoped ? -EPERM : 0;
}

int ll_trace(const struct ll_layer *who, const struct cred *target)
{
    const struct ll_layer *d = target->landlock;

    if (likely(!who)) return 0;
    while (d && d->depth > who->depth) d = d->below;
    return d == who ? 0 : -EPERM;
}

static int check_port(const struct socket *s, const struct net_addr *a, u32 access)
{
    const struct ll_layer *d = ll_current();

    if (likely(!d) || s->type != SOCK_STREAM || (s->domain != AF_INET && s->domain != AF_INET6)) return 0;
    if (s->protocol && s->protocol != IPPROTO_TCP) return 0;
    bool inet = a->family == AF_INET || a->family == AF_INET6;
    /* A disconnect is always allowed; any other address is the socket's to refuse. */
    if (!inet && (a->family != AF_UNSPEC || access == LL_CONNECT_TCP)) return 0;
    for (; d; d = d->below)
        if ((d->handled.net & access) && !(ll_layer_grants(d, NULL, inet ? a->in.port : 0) & access)) return -EACCES;
    return 0;
}

int ll_bind(const struct socket *s, const struct net_addr *a) { return check_port(s, a, LL_BIND_TCP); }
int ll_connect(const struct socket *s, const struct net_addr *a) { return check_port(s, a, LL_CONNECT_TCP); }
