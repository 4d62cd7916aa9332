/* `sundog doctor`, which has the sentry look: the platforms are its own. */
#ifndef SUNDOG_SENTRY_DOCTOR_H
#define SUNDOG_SENTRY_DOCTOR_H

#include <stdbool.h>

/* Tries and measures each platform, prints what was found. Exit status: 1 if none works. Single-threaded caller. */
int doctor(bool json);

#endif
