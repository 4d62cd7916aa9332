/* Parts of /sys that have a file of their own. */
#ifndef SUNDOG_SYSFS_H
#define SUNDOG_SYSFS_H

#include "sentry/fs/proc/synth.h"

/* net.c: the directories of interfaces */
int sys_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child);
bool sys_net_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);
/* block.c: loop devices, as /sys/devices/virtual/block has them and as /sys/block and /sys/dev/block point to them */
#define SYS_TREE(fn)                                                                                \
    int fn##_lookup(struct synth_node *dir, const char *name, struct synth_node *child);           \
    bool fn##_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
SYS_TREE(sys_disk);
SYS_TREE(sys_block);
SYS_TREE(sys_dev_block);

#endif
