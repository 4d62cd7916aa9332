/*
 * Every allow or deny is made by one function; every verdict can be explained. v1 holds the rules that follow from the
 * command line (mounts, network); profiles add theirs with file and line.
 */
#ifndef SUNDOG_POLICY_H
#define SUNDOG_POLICY_H
#include "sentry/base/types.h"

enum policy_op { POLICY_NET_SOCKET, POLICY_NET_CONNECT, POLICY_NET_BIND, POLICY_FILE_READ, POLICY_FILE_WRITE, POLICY_FILE_EXEC, POLICY_SYSCALL };
enum policy_verdict { POLICY_ALLOW, POLICY_DENY };
struct policy_rule { const char *source; unsigned line; enum policy_op op; enum policy_verdict verdict; const char *text; };
/* rule: which one decided (static lifetime). The object is a path, an address, a call name. */
enum policy_verdict policy_check(enum policy_op op, const char *object, const struct policy_rule **rule);
#endif
