#include "runtime/timing.h"
#include "sentry/base/clock.h"
#include "sentry/control/control.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_MARKS 32

static ktime_t start;
static struct control_timing own[MAX_MARKS], sentry[MAX_MARKS];
static unsigned nown, nsentry;

void timing_start(void) { start = clock_mono(); }

void timing_mark(const char *name)
{
    if (nown == MAX_MARKS) return;
    snprintf(own[nown].name, sizeof(own[nown].name), "%s", name);
    own[nown++].when = clock_mono();
}

void timing_add_sentry(const void *data, size_t len)
{
    const u8 *p = data;
    for (; len >= sizeof(*sentry) && nsentry < MAX_MARKS; p += sizeof(*sentry), len -= sizeof(*sentry)) {
        struct control_timing *t = &sentry[nsentry++];
        memcpy(t, p, sizeof(*t));
        t->name[sizeof(t->name) - 1] = 0;
        /* It comes from the sentry and goes to a terminal. */
        for (char *c = t->name; *c; c++)
            if (!isprint((unsigned char)*c)) *c = '?';
    }
}

static double ms(ktime_t from, ktime_t to) { return (double)(to - from) / 1e6; }

void timing_print(void)
{
    ktime_t prev = start, end = nown ? own[nown - 1].when : start;
    fprintf(stderr, "sundog: start-up and run, %.2f ms\n", ms(start, end));
    for (unsigned i = 0; i < nown; i++) {
        bool last = i == nown - 1;
        fprintf(stderr, "%s %-28s %8.2f ms\n", last ? "`--" : "|--", own[i].name, ms(prev, own[i].when));
        if (!strcmp(own[i].name, "sentry and gofer start")) {
            ktime_t sp = prev;
            for (unsigned j = 0; j < nsentry; j++) {
                fprintf(stderr, "|   %s %-24s %8.2f ms\n", j == nsentry - 1 ? "`--" : "|--", sentry[j].name, ms(sp, sentry[j].when));
                sp = sentry[j].when;
            }
        }
        prev = own[i].when;
    }
}
