/* Hooks: programs run in order at fixed points, the container's state on their stdin. */
#ifndef SUNDOG_OCI_HOOKS_H
#define SUNDOG_OCI_HOOKS_H

#include "runtime/oci/config.h"

/* In the caller's namespaces. 0, or -1 after oci_fail at the first that fails; all: go on, the failures are logged. */
int hooks_run(const struct oci_hooks *h, enum oci_hook_kind kind, const char *state, bool all);

#endif
