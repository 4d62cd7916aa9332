/*
 * Watching a sandbox of `sundog run`: an abstract socket "sundog/UID/PID" that speaks the requests of oci/wire.h
 * (WIRE_WATCH, WIRE_STATS, WIRE_PS) to whoever has the same user id, or root. It costs nothing until somebody connects:
 * then the sentry counts and records (CTL_WATCH), until the last one has gone.
 */
#ifndef SUNDOG_RUNTIME_WATCH_H
#define SUNDOG_RUNTIME_WATCH_H

#include "sentry/base/types.h"

#include <poll.h>

#define WATCHERS_MAX 4u

struct watch {
    int listener;                            /* -1: cannot be watched */
    int record;                              /* memory file of the record; borrowed with a profile or --record; -1 none yet */
    bool own_record;
    struct watcher { int fd; u32 seq; } w[WATCHERS_MAX];   /* seq: request to the sentry that is to be answered there */
    unsigned n;
    /* Sends to the sentry; fd -1: none. The sequence number, 0 when it was not sent. */
    u32 (*send)(void *arg, u32 kind, const void *data, u32 len, int fd);
    void *arg;
};

void watch_open(struct watch *w, int record, u32 (*send)(void *arg, u32 kind, const void *data, u32 len, int fd), void *arg);
unsigned watch_poll(const struct watch *w, struct pollfd *p);     /* fills up to 1 + WATCHERS_MAX */
void watch_events(struct watch *w, const struct pollfd *p, unsigned n);   /* what watch_poll filled, after poll */
void watch_reply(struct watch *w, u32 seq, const u8 *data, u32 len);      /* a CTL_REPLY of the sentry */
void watch_close(struct watch *w);
#endif
