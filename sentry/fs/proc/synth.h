/*
 * Synthetic trees (proc, sys): static tables of entries, files whose text is made when they are read.
 * A node is an entry seen for one task (or none).
 */
#ifndef SUNDOG_PROC_SYNTH_H
#define SUNDOG_PROC_SYNTH_H

#include "sentry/base/strbuf.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

struct synth_entry;
/* pid and tid are the kernel's; ns: the pid namespace whose numbers the tree shows (NULL: the initial one). */
struct synth_node { const struct synth_entry *e; s32 pid, tid; s64 id; /* descriptor number, CPU number */ struct pid_ns *ns;
    ktime_t born; /* start time of the task: another that has its number later is not it */ };

struct synth_entry {
    const char *name;
    u32 mode;                                        /* S_IF* and permissions */
    const struct synth_entry *children;              /* directories; ends with name NULL, where children are more of the same */
    int (*show)(struct synth_node *n, struct strbuf *out);        /* whole text; -errno fails the read */
    int (*store)(struct synth_node *n, char *text, size_t len);   /* NUL-terminated, at most 4096 */
    int (*store_file)(struct synth_node *n, struct file *f, char *text, size_t len);   /* the same, where the opener counts */
    int (*readlink)(struct synth_node *n, char **out);
    int (*get_link)(struct synth_node *n, struct path *out);      /* magic link; readlink gives its text */
    /* Further names of a directory: 0 and a filled child node, or -ENOENT. */
    int (*lookup)(struct synth_node *dir, const char *name, struct synth_node *child);
    /* Ids of dynamic names in rising order: next id >= from, its name; false: no more. */
    bool (*next)(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);
    sysret_t (*ioctl)(struct synth_node *n, u32 cmd, gaddr_t arg);
    const struct file_ops *fops;                     /* instead of show/store */
    int (*open)(struct synth_node *n, struct file *f);            /* with fops: fills f->priv */
    bool own_only;                                   /* needs ptrace-like access to the task to open */
    bool (*exists)(struct synth_node *n);            /* extra check at revalidation */
    bool by_abi;                                     /* whoever looks finds the children that its ABI knows (abi->proc_process) */
    const void *arg;                                 /* for show and store */
    u32 size;                                        /* what stat tells of a file of fixed size */
};

extern const struct file_ops synth_dir_fops;
int synth_new(const struct synth_entry *root, const struct super_ops *ops, u32 magic, struct pid_ns *ns /* of /proc: borrowed, kept in sb->priv */, struct super **out);
struct synth_node *synth_node_of(struct inode *ino);
struct task *synth_task_get(struct synth_node *n);   /* counted or NULL when it is gone */
/* The process whose /proc/PID directory f is open on, counted. -EBADF: f is something else; -ESRCH: it is gone */
int proc_dir_tgroup_get(struct file *f, struct tgroup **out);
bool synth_may_access(struct task *t);               /* ptrace(2) "PTRACE_MODE_READ_FSCREDS" */
int proc_path_text(const struct path *p, const struct path *root, char *buf, size_t size);
/* For fops of special files: the node's task at open. */
int synth_statfs(struct super *sb, struct dentry *d, struct statfs *out);

#define SYNTH_DIR(n, c) { .name = (n), .mode = S_IFDIR | 0555, .children = (c) }
#define SYNTH_FILE(n, s) { .name = (n), .mode = S_IFREG | 0444, .show = (s) }

#endif
