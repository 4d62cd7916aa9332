/* XSAVE areas in standard format: the processor's initial image, and a check of one that came from a guest. */
#ifndef SUNDOG_PLATFORM_XSTATE_H
#define SUNDOG_PLATFORM_XSTATE_H

#include "sentry/base/types.h"

/* Initial state of platform_xstate_size() bytes: fcw 0x37f, mxcsr 0x1f80, no component in use. */
void platform_xstate_init(void *buf);
/* 0, or -EINVAL: wrong length, components or mxcsr bits this processor has not, reserved header bytes set. */
int platform_xstate_check(const void *buf, size_t len);
/* Once, before platform_xstate_take. */
void platform_xstate_start(void);
/*
 * Copies an area of platform_xstate_size() bytes that an XSAVE of guest code has filled, and that guest code may be changing; components
 * in their initial state get its values. False: it is malformed, and so is the copy.
 */
bool platform_xstate_take(void *to, const void *from);

#endif
