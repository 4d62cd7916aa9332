/*
 * What the broker's resolver did, for the sentry: a ring in a sealed memory file that the broker writes and the sentry
 * maps read-only. Whoever reads too seldom loses the oldest entries: then the sentry knows fewer addresses than the
 * broker, and denies more. The reader takes nothing for granted: an entry is copied, then checked.
 */
#ifndef SUNDOG_BASE_DNSLOG_H
#define SUNDOG_BASE_DNSLOG_H

#include "sentry/base/types.h"

#define DNSLOG_SLOTS 1024u

enum dnslog_kind {
    DNSLOG_ALLOWED = 1,       /* name may be looked up; was asked of a server */
    DNSLOG_DENIED,            /* by `rule`, 0: no rule names it */
    DNSLOG_WARNED,            /* as denied, but the mode lets it pass */
    DNSLOG_PIN,               /* name has address ip: it was told to the guest */
    DNSLOG_REBIND,            /* ip was left out of an answer: not public, name is, no rule allows the address */
    DNSLOG_REBIND_WARNED,
};
struct dnslog_entry { u32 kind, rule; u8 ip[16]; char name[256]; /* NUL-terminated; printable */ };
struct dnslog { u64 head; /* (a) entries written so far; entry i lies in slot i % DNSLOG_SLOTS */ struct dnslog_entry slot[DNSLOG_SLOTS]; };

_Static_assert(sizeof(struct dnslog_entry) == 280, "layout");

#endif
