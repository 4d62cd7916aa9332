/* Parts of the loop driver: loop.c devices and transfers, loop_bind.c which file is behind one, loop_ioctl.c requests. */
#ifndef SUNDOG_FS_DEV_LOOP_H
#define SUNDOG_FS_DEV_LOOP_H

#include "sentry/fs/dev/dev.h"
#include "sentry/kernel/task.h"

#include <linux/loop.h>

#define LOOP_SECTOR 512u

struct loop {
    lock_t lock;               /* LC_LEAF; guards what is below; what config decides is written under both */
    struct file *backing;      /* counted; NULL: nothing bound */
    u64 size;                  /* bytes, whole blocks; 0 without backing */
    u32 block;                 /* logical block size, bytes */
    u32 openers;
    bool rundown;              /* LOOP_CLR_FD by the only opener: of no use any more, unbound when it closes */
    bool read_only;            /* BLKROSET, or what the backing file was opened for */
    struct loop_info64 info;   /* as set; lo_offset, lo_sizelimit and lo_flags are in force */
    u64 read_ahead;            /* BLKRASET: kept, there is nothing to read ahead into */
};

/* Binding and unbinding, and adding devices: rare, and a cycle of devices must not come about by two at once. */
extern lock_t loop_config;                /* LC_LOOP */
extern const struct file_ops loop_fops;
static inline bool loop_bound_locked(const struct loop *l) { return l->backing && !l->rundown; }

/* What a transfer needs, at one moment; backing is counted. false: nothing is bound. */
struct loop_view { struct file *backing; u64 size, offset; bool read_only, rundown; };
bool loop_view_get(struct loop *l, struct loop_view *v);
/* Discard and zero-out of whole blocks: -EINVAL beyond the end. mode: of fallocate(2) on the backing file. */
int loop_zero(struct loop *l, int mode, u64 start, u64 len);
int loop_fsync(struct file *dev, bool data_only);
sysret_t loop_ioctl(struct file *dev, u32 cmd, gaddr_t arg);

/* loop_bind.c; errors as drivers/block/loop.c has them */
sysret_t loop_bind(struct loop *l, struct file *dev, const struct loop_config *c);
struct file *loop_unbind_locked(struct loop *l);   /* under loop_config; returns what the caller puts once it holds no lock */
sysret_t loop_clear_fd(struct loop *l);
sysret_t loop_change_fd(struct loop *l, int fd);
sysret_t loop_set_status(struct loop *l, const struct loop_info64 *info);   /* NULL: only looks at the file's size again */
sysret_t loop_set_block(struct loop *l, u64 bytes);
sysret_t loop_set_direct(struct loop *l, bool on);

#endif
