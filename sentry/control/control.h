/*
 * Control socket between `sundog` and the sentry (SOCK_SEQPACKET, one message a packet, fixed header).
 * The sentry serves it on one thread of its own; sundog is trusted, the sentry is not (sundog checks what it gets).
 */
#ifndef SUNDOG_CONTROL_H
#define SUNDOG_CONTROL_H

#include "sentry/base/types.h"

enum control_kind {
    /* sentry -> sundog */
    CTL_STARTED = 1,      /* s32 tid; the program's image is loaded and about to run */
    CTL_FAILED,           /* s32 exit status (125 126 127), then text: what, where, what to do */
    CTL_EXITED,           /* u32 wait status of init */
    CTL_REPLY,            /* answer to a request with the same seq: s32 err, payload */
    /* sundog -> sentry */
    CTL_SIGNAL = 64,      /* s32 pid (0: init), s32 signo */
    CTL_WINSIZE,          /* u16 rows, cols, xpixel, ypixel */
    CTL_EXEC,             /* plan records; fds by SCM_RIGHTS */
    CTL_PAUSE, CTL_RESUME, CTL_PS, CTL_STATS, CTL_STACKS,
};
/* Payload of CTL_STARTED after the tid and a u32 of padding, with --timing: steps of the sentry's start, in order. */
struct control_timing { char name[24]; s64 when; /* CLOCK_MONOTONIC, end of the step */ };
struct control_msg { u32 kind, seq; u32 len, pad; };
#define CONTROL_MAX (256 * 1024)

/* Sentry side. control_attach: reports go to the socket from now on; requests are served after control_start. */
void control_attach(int sock);
int control_start(int sock);                         /* starts the thread */
void control_timing_mark(const char *name);          /* before control_report_started: a step of the start ended now */
void control_report_started(s32 tid);
void control_report_failed(int status, const char *fmt, ...) PRINTF(2, 3);
void control_report_exited(u32 wait_status);

#endif
