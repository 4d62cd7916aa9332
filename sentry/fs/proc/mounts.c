/*
 * /proc/PID/mounts, mountinfo, mountstats: the mounts of the process's namespace as it was at open, below its root then.
 * poll(2) on them tells of changes since the last poll (POLLERR and POLLPRI). proc(5)
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/proc/proc.h"
#include <poll.h>
#include <string.h>

struct mounts_file { struct strbuf text; struct mnt_ns *ns; struct path root; u64 event; /* (a) seen by poll */ };
struct listing { struct strbuf *b; const struct path *root; };

/* Blanks in names are written in octal, as in fstab. */
static void mangled(struct strbuf *b, const char *s)
{
    for (; *s; s++) {
        if (strchr(" \t\n\\#", *s)) strbuf_printf(b, "\\%03o", (unsigned char)*s);
        else strbuf_add(b, s, 1);
    }
}

static const char *source_of(const struct mount *m) { return m->source && *m->source ? m->source : "none"; }

/* The mount's place as seen from the listing's root; false: it is not below that. */
static bool place(const struct listing *l, struct mount *m, char at[KPATH_MAX])
{
    return mount_place_text(m, l->root, at, KPATH_MAX) > 0 && at[0] == '/';
}

static void super_part(struct strbuf *b, struct super *sb)
{
    AUTO_FREE char *text = super_options(sb);
    if (*text) strbuf_printf(b, ",%s", text);
}

static bool info_line(struct mount *m, void *arg)
{
    struct listing *l = arg;
    char at[KPATH_MAX], root[KPATH_MAX];
    struct mount_info i;

    if (!place(l, m, at) || mount_root_text(m, root, sizeof(root)) < 0) return true;
    mount_get_info(m, l->root, &i);
    u32 flags = atomic_load(&m->flags);
    strbuf_printf(l->b, "%u %u %u:%u ", m->id, i.parent_id, (unsigned)(m->sb->dev >> 8 & 0xfff), (unsigned)(m->sb->dev & 0xff));
    mangled(l->b, root);
    strbuf_printf(l->b, " ");
    mangled(l->b, at);
    strbuf_printf(l->b, flags & MNT_RDONLY ? " ro" : " rw");
    mount_options_text(l->b, flags);
    if (i.group) strbuf_printf(l->b, " shared:%u", i.group);
    if (i.master) strbuf_printf(l->b, " master:%u", i.master);
    if (i.from && i.from != i.master) strbuf_printf(l->b, " propagate_from:%u", i.from);
    if (i.unbindable) strbuf_printf(l->b, " unbindable");
    strbuf_printf(l->b, " - %s ", m->sb->ops->name);
    mangled(l->b, source_of(m));
    /* Of what the sandbox was given the mount alone tells whether it is read-only. */
    bool ro = atomic_load(&m->sb->rdonly) || (m->locked_flags & MNT_RDONLY);
    strbuf_printf(l->b, ro ? " ro" : " rw");
    super_part(l->b, m->sb);
    strbuf_printf(l->b, "\n");
    return true;
}

static bool mounts_line(struct mount *m, void *arg)
{
    struct listing *l = arg;
    char at[KPATH_MAX];

    if (!place(l, m, at)) return true;
    u32 flags = atomic_load(&m->flags);
    mangled(l->b, source_of(m));
    strbuf_printf(l->b, " ");
    mangled(l->b, at);
    strbuf_printf(l->b, " %s %s", m->sb->ops->name, (flags & MNT_RDONLY) || atomic_load(&m->sb->rdonly) ? "ro" : "rw");
    mount_options_text(l->b, flags);
    super_part(l->b, m->sb);
    strbuf_printf(l->b, " 0 0\n");
    return true;
}

static bool stats_line(struct mount *m, void *arg)
{
    struct listing *l = arg;
    char at[KPATH_MAX];

    if (!place(l, m, at)) return true;
    strbuf_printf(l->b, "device ");
    mangled(l->b, source_of(m));
    strbuf_printf(l->b, " mounted on ");
    mangled(l->b, at);
    strbuf_printf(l->b, " with fstype %s\n", m->sb->ops->name);
    return true;
}

int proc_mounts_open(struct synth_node *n, struct file *f)
{
    struct task *t = synth_task_get(n);
    struct fs_context *fs = t ? task_get_fs(t) : NULL;
    if (t) task_put(t);
    if (!fs) return t ? -EINVAL : -ESRCH;
    struct mounts_file *mf = xnew(struct mounts_file);
    fs_get_root(fs, &mf->root);
    mf->ns = fs_get_ns(fs);
    mf->event = atomic_load(&mf->ns->event);
    fs_context_put(fs);
    f->priv = mf;
    return 0;
}

static void mounts_release(struct file *f)
{
    struct mounts_file *mf = f->priv;
    if (!mf) return;
    path_put(&mf->root);
    mnt_ns_put(mf->ns);
    strbuf_fini(&mf->text);
    free(mf);
}

/* A read from the start sees the present, the following ones the same snapshot. */
static ssize_t read_lines(struct file *f, struct uio *u, u64 *pos, bool (*line)(struct mount *m, void *arg))
{
    struct mounts_file *mf = f->priv;
    struct listing l = { &mf->text, &mf->root };
    if (*pos == 0) {
        mf->text.len = 0;
        mnt_ns_for_each(mf->ns, 0, line, &l);
    }
    if (*pos >= mf->text.len || !u->resid) return 0;
    ssize_t r = uio_copy_out(u, mf->text.s + *pos, MIN(u->resid, mf->text.len - *pos));
    if (r > 0) *pos += (u64)r;
    return r;
}
static ssize_t mounts_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED) { return read_lines(f, u, pos, mounts_line); }
static ssize_t info_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED) { return read_lines(f, u, pos, info_line); }
static ssize_t stats_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED) { return read_lines(f, u, pos, stats_line); }

static s64 mounts_llseek(struct file *f, s64 off, int whence)
{
    if (whence != SEEK_SET && whence != SEEK_CUR) return -EINVAL;
    return generic_llseek(f, off, whence, 0, INT64_MAX);
}

static u32 mounts_poll(struct file *f, struct waiter *w)
{
    struct mounts_file *mf = f->priv;
    if (w) waitq_add(&mf->ns->changed, w);
    u64 now = atomic_load(&mf->ns->event);
    u32 ready = POLLIN | POLLRDNORM;
    if (__atomic_exchange_n(&mf->event, now, __ATOMIC_ACQ_REL) != now) ready |= POLLERR | POLLPRI;
    return ready;
}

const struct file_ops proc_mounts_fops = { .read = mounts_read, .llseek = mounts_llseek, .poll = mounts_poll, .release = mounts_release, .seekable = true };
const struct file_ops proc_mountinfo_fops = { .read = info_read, .llseek = mounts_llseek, .poll = mounts_poll, .release = mounts_release, .seekable = true };
const struct file_ops proc_mountstats_fops = { .read = stats_read, .llseek = mounts_llseek, .release = mounts_release, .seekable = true };
