/* The supervisor's inside: supervisor.c brings a container up, supervise.c keeps it. */
#ifndef SUNDOG_OCI_SUPERVISOR_H
#define SUNDOG_OCI_SUPERVISOR_H

#include "runtime/oci/create.h"
#include "runtime/oci/wire.h"
#include "sentry/control/control.h"

struct client {
    int fd;
    u32 seq;                /* request to the sentry that is to be answered here; 0: none */
    u32 exec_seq;           /* the exec that lives on this connection; 0: none */
    s32 exec_pid;           /* 0 until it runs */
    bool watches;           /* WIRE_WATCH was asked for */
    bool hung_up;           /* its owner died before the process started */
    struct client *next;
};

struct supervisor {
    struct oci_create *c;
    struct oci_state st;
    int parent;             /* to create or run; -1 once it hung up */
    int sigfd, listener;
    struct sandbox box;
    struct console console;
    struct client *clients;
    u32 seq;
    bool started, ended;
    int notify;             /* connected to the service manager's socket; -1: none */
    int record;             /* memory file of the record, made for the first who watches; 0: none */
    s32 stop_signal;        /* a killing signal was sent to the container: what it ends with if the sentry dies of it */
    int wstatus;            /* how the container ended */
};

/* Until the container ends; s->wstatus says how. */
void supervise(struct supervisor *s);
/* One message of the sentry; false: none there. */
bool supervise_receive(struct supervisor *s);
/* Sends; seq 0: takes the next. -errno. */
int supervise_send(struct supervisor *s, enum control_kind kind, const void *data, u32 len, const int *fds, unsigned nfds, u32 *seq);
void supervise_reap(struct supervisor *s);
void supervise_set_status(struct supervisor *s, const char *status);
/* startContainer hooks, inside. 0, or -1 after oci_fail. */
int supervise_start_hooks(struct supervisor *s);
/* supervisor.c: first words of the sentry: 0 started, -1 failed (oci_fail has why). */
int supervise_first_words(struct supervisor *s);


/* notify.c. The connected socket that NOTIFY_SOCKET names, or -1. */
int notify_open(void);
void notify_relay(const struct supervisor *s, const void *text, size_t len);
/* The lines of text that a container may say. out: room for len bytes; how many there are. */
size_t notify_filter(const char *text, size_t len, char *out);

#endif
