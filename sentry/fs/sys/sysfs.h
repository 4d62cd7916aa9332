/* Parts of /sys that have a file of their own. */
#ifndef SUNDOG_SYSFS_H
#define SUNDOG_SYSFS_H

#include "sentry/fs/proc/synth.h"

/* net.c: the directories of interfaces */
int sys_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child);
bool sys_net_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);

#endif
