/* The seccomp programs of stub processes. They stack: template, then mapper, then guest thread. */
#ifndef SUNDOG_STUB_FILTER_H
#define SUNDOG_STUB_FILTER_H

#include "sentry/base/types.h"

/*
 * Fills a STUB_RO_SIZE image of the stub's read-only data for a region at `base`: the programs, and the headers
 * (struct sock_fprog) that point to them. 0 or -errno.
 */
int stub_filters_build(u8 *rodata, u64 base);

#endif
