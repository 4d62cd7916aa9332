/* The seccomp programs of stub processes. They stack: template, then mapper, then guest thread. */
#ifndef SUNDOG_STUB_FILTER_H
#define SUNDOG_STUB_FILTER_H

#include "sentry/base/types.h"

struct stub_template;

/*
 * Fills a STUB_RO_SIZE image of the stub's read-only data for the region at t->base: the programs, and the headers
 * (struct sock_fprog) that point to them. 0 or -errno.
 */
int stub_filters_build(u8 *rodata, const struct stub_template *t);

#endif
