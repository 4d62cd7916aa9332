/*
 * Rules on connections, shared by the sentry and the command line (explain). A rule names a direction, protocols, a
 * range of ports, and an address block or a host name. The most specific one that matches decides: a name or whole
 * address before a block, a longer prefix before a shorter, fewer ports before more; a tie is decided by denial.
 * Addresses are 16 bytes; IPv4 ones are in ::ffff:0:0/96, so that both spellings of an address are one.
 */
#ifndef SUNDOG_BASE_CONNRULES_H
#define SUNDOG_BASE_CONNRULES_H

#include "sentry/base/types.h"

#define CR_TCP 1u
#define CR_UDP 2u
enum connrule_op { CR_CONNECT, CR_LISTEN };

struct connrule {
    u32 id;
    u8 op, allow, protos, prefix;    /* prefix: bits of ip that count */
    u16 lo, hi;
    u8 ip[16];
    char *name;                      /* owned; lower case, "*.x" for every name below x; NULL: by address */
};

struct connrules;
struct connrules *connrules_new(void);
void connrules_free(struct connrules *n);
void connrules_add(struct connrules *n, const struct connrule *r);   /* copies */
/*
 * `name` was resolved to ip for the sandbox: rules with that name now match the address, until the end, or until thousands of
 * other addresses came after it. False: none of its rules could ever match, nothing was remembered.
 */
bool connrules_pin(struct connrules *n, const char *name, const u8 ip[16]);
/* What decides, or NULL: no rule. Thread-safe. */
const struct connrule *connrules_decide(struct connrules *n, enum connrule_op op, unsigned proto, const u8 ip[16], u16 port);
/*
 * May the name be looked up at all: the rule to connect to it, on whatever port, that no denial covers; else the denial; else NULL.
 * A rule for all hosts is one for all names.
 */
const struct connrule *connrules_decide_name(struct connrules *n, const char *name);
/* Does a rule by address allow some port of it? */
bool connrules_address_allowed(struct connrules *n, const u8 ip[16]);
/* By name, as a rule would decide about name:port (explain). */
const struct connrule *connrules_decide_host(struct connrules *n, enum connrule_op op, unsigned proto, const char *name, u16 port);
bool connrules_any(const struct connrules *n);

bool connrule_ip_is_loopback(const u8 ip[16]);
/* "*.example.org" matches a.example.org, not example.org; names are compared without case and a final dot. */
bool connrule_name_matches(const char *pattern, const char *name);

#endif
