/* Devices by number; what a node opens does not depend on where the node lives. */
#ifndef SUNDOG_FS_DEV_H
#define SUNDOG_FS_DEV_H

#include "sentry/vfs/file.h"

#define LOOP_MAJOR_NR 7u
#define LOOP_MAX 256u
#define LOOP_PRESET 8u         /* devices from the start, max_loop of Linux's driver */
#define LOOP_CTL_RDEV 0xaed    /* 10:237 */

/* loop(4). Fills f->ops and f->priv. -ENXIO: no such device. */
int loop_open(unsigned minor, struct file *f);
int loop_ctl_open(struct file *f);
/* Device n as it is now. false: there is none. out may be NULL; out->backing is counted, NULL: nothing is bound. */
struct loop_state { struct file *backing; u64 size, offset, sizelimit; /* bytes */ u32 flags; /* LO_FLAGS_* */ u32 block; bool read_only; };
bool loop_state_get(unsigned n, struct loop_state *out);

#endif
