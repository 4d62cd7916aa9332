#include "sentry/landlock/landlock.h"
#include "sentry/fs/proc/synth.h"
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>

#define SYNTH_STATIC_POS 2     /* positions 0 and 1 are . and .. */
#define SYNTH_DYNAMIC_POS 4096 /* then the dynamic ids */
#define SYNTH_STORE_MAX 4096

struct synth_inode { struct inode i; struct synth_node n; };

struct synth_node *synth_node_of(struct inode *ino) { return &container_of(ino, struct synth_inode, i)->n; }

struct task *synth_task_get(struct synth_node *n)
{
    struct task *t = n->tid || n->pid ? task_lookup_get(n->tid ? n->tid : n->pid) : NULL;
    if (!t || !n->born || t->start_time == n->born) return t;
    task_put(t);
    return NULL;
}

bool synth_may_access(struct task *t)
{
    if (t->tg == current->tg) return true;
    const struct cred *mine = current_cred();
    struct cred *c = task_get_cred(t);
    bool same = c->uid == mine->fsuid && c->euid == mine->fsuid && c->suid == mine->fsuid && c->gid == mine->fsgid &&
                c->egid == mine->fsgid && c->sgid == mine->fsgid;
    bool ok = !ll_trace(mine->landlock, c) && ((same && cred_may_trace(mine, c)) || cred_ns_capable(mine, c->user_ns, 19 /* CAP_SYS_PTRACE */));
    cred_put(c);
    return ok;
}

/* --- text files --- */

static int synth_generate(struct file *f)
{
    struct strbuf *b = f->priv;
    struct synth_node *n = synth_node_of(f->inode);
    b->len = 0;
    strbuf_add(b, "", 0);
    return n->e->show(n, b);
}

static ssize_t synth_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    struct strbuf *b = f->priv;
    struct synth_node *n = synth_node_of(f->inode);
    if (!n->e->show) return -EINVAL;
    if (*pos == 0 || !b->s) { /* a read from the start sees the present, the following ones the same snapshot */
        int err = synth_generate(f);
        if (err < 0) return err;
    }
    if (*pos >= b->len || !u->resid) return 0;
    ssize_t r = uio_copy_out(u, b->s + *pos, MIN(u->resid, b->len - *pos));
    if (r > 0) *pos += (u64)r;
    return r;
}

static ssize_t synth_write(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    struct synth_node *n = synth_node_of(f->inode);
    if (!n->e->store && !n->e->store_file) return -EIO;
    size_t len = MIN(u->resid, (u64)SYNTH_STORE_MAX);
    AUTO_FREE char *text = xzalloc(len + 1);
    ssize_t r = uio_copy_in(u, text, len);
    if (r < 0) return r;
    int err = n->e->store_file ? n->e->store_file(n, f, text, (size_t)r) : n->e->store(n, text, (size_t)r);
    if (err) return err;
    *pos += (u64)r;
    return r;
}

static void synth_release(struct file *f)
{
    struct strbuf *b = f->priv;
    if (!b) return;
    strbuf_fini(b);
    free(b);
}

/* The text files of /proc are seq files in Linux, which have no end to seek to (seq_lseek); those of sysctl and sysfs do. */
static s64 synth_llseek(struct file *f, s64 off, int whence)
{
    bool seq = f->inode->sb->magic == PROC_SUPER_MAGIC && !(f->inode->mode & 0222);
    if (seq && whence != SEEK_SET && whence != SEEK_CUR) return -EINVAL;
    return generic_llseek(f, off, whence, f->inode->size, INT64_MAX);
}

static sysret_t synth_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct synth_node *n = synth_node_of(f->inode);
    return n->e->ioctl ? n->e->ioctl(n, cmd, arg) : -ENOTTY;
}

static const struct file_ops synth_file_fops = {
    .ioctl = synth_ioctl, .read = synth_read, .write = synth_write, .llseek = synth_llseek, .release = synth_release, .seekable = true };

/* --- directories --- */

/* The names in a directory as the current task's operating system has them. */
static const struct synth_entry *children_of(const struct synth_node *n)
{
    const struct synth_entry *own = n->e->by_abi && current && current->abi ? current->abi->proc_process : NULL;
    return own ? own : n->e->children;
}

/* A table ends with an entry without a name; its children, if any, are the rest of the table. */
static const struct synth_entry *entry_at(const struct synth_entry *e)
{
    while (e && !e->name && e->children) e = e->children;
    return e && e->name ? e : NULL;
}

/* Is the name of d still one of its directory, for whoever looks now? */
static bool still_a_child(const struct dentry *d, const struct synth_node *n)
{
    const struct synth_node *dir = d->parent && d->parent->inode ? synth_node_of(d->parent->inode) : NULL;
    if (!dir || !dir->e->by_abi) return true;
    for (const struct synth_entry *e = entry_at(children_of(dir)); e; e = entry_at(e + 1))
        if (e == n->e) return true;
    return false;
}

static u8 dtype_of(u32 mode) { return (u8)((mode & S_IFMT) >> 12); }

static u64 synth_ino(const struct synth_node *n)
{
    u64 h = (u64)(uintptr_t)n->e / 8 * 0x9e3779b97f4a7c15ULL;
    h ^= ((u64)(u32)n->pid << 32 | (u32)n->tid) * 0xc2b2ae3d27d4eb4fULL;
    h ^= (u64)n->id * 0x165667b19e3779f9ULL;
    return (h >> 20 & 0xffffffffffULL) | 1;
}

static int synth_readdir(struct file *f, struct dir_sink *s)
{
    struct synth_node *n = synth_node_of(f->inode);
    if (f->pos == 0) {
        if (!s->emit(s, ".", 1, f->inode->ino, DT_DIR, 1)) return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!s->emit(s, "..", 2, f->inode->ino, DT_DIR, 2)) return 0;
        f->pos = 2;
    }
    if (f->pos < SYNTH_DYNAMIC_POS) {
        unsigned i = 0;
        for (const struct synth_entry *e = entry_at(children_of(n)); e; e = entry_at(e + 1), i++) {
            if (i + SYNTH_STATIC_POS < f->pos) continue;
            struct synth_node c = { .e = e, .pid = n->pid, .tid = n->tid, .id = n->id, .ns = n->ns };
            if (e->exists && !e->exists(&c)) continue;
            if (!s->emit(s, e->name, strlen(e->name), synth_ino(&c), dtype_of(e->mode), i + 1 + SYNTH_STATIC_POS)) return 0;
            f->pos = i + 1 + SYNTH_STATIC_POS;
        }
        f->pos = SYNTH_DYNAMIC_POS;
    }
    if (!n->e->next) return 0;
    char name[32];
    s64 id;
    u8 type;
    while (n->e->next(n, (s64)f->pos - SYNTH_DYNAMIC_POS, &id, name, &type)) {
        struct synth_node c;
        if (n->e->lookup(n, name, &c)) { /* went away meanwhile */
            f->pos = (u64)id + 1 + SYNTH_DYNAMIC_POS;
            continue;
        }
        if (!s->emit(s, name, strlen(name), synth_ino(&c), type, (u64)id + 1 + SYNTH_DYNAMIC_POS)) return 0;
        f->pos = (u64)id + 1 + SYNTH_DYNAMIC_POS;
    }
    return 0;
}

const struct file_ops synth_dir_fops = { .readdir = synth_readdir, .seekable = true };

/* --- inodes --- */

static const struct inode_ops synth_inode_ops;

static struct inode *synth_inode_new(struct super *sb, const struct synth_node *n)
{
    struct synth_inode *si = xnew(struct synth_inode);
    si->n = *n;
    si->n.ns = sb->priv;
    struct task *t = si->n.born ? NULL : synth_task_get(&si->n);
    if (t) {
        si->n.born = t->start_time;
        task_put(t);
    }
    const struct file_ops *fops = S_ISDIR(n->e->mode) ? &synth_dir_fops : n->e->fops ? n->e->fops : &synth_file_fops;
    inode_init(&si->i, sb, &synth_inode_ops, fops, synth_ino(n), n->e->mode);
    si->i.nlink = S_ISDIR(n->e->mode) ? 2 : 1;
    si->i.atime = si->i.mtime = si->i.ctime = (struct timespec){ .tv_sec = clock_real() / NSEC_PER_SEC };
    return &si->i;
}

static void synth_inode_free(struct inode *ino)
{
    inode_fini(ino);
    free(container_of(ino, struct synth_inode, i));
}

static bool synth_node_alive(struct synth_node *n)
{
    if (n->pid || n->tid) {
        struct task *t = synth_task_get(n);
        if (!t) return false;
        bool ok = t->tg->tgid == n->pid || n->pid == 0;
        task_put(t);
        if (!ok) return false;
    }
    return !n->e->exists || n->e->exists(n);
}

static int synth_lookup(struct inode *dir, struct dentry *d)
{
    struct synth_node *n = synth_node_of(dir), c;
    if (!synth_node_alive(n)) return -ESRCH;
    for (const struct synth_entry *e = entry_at(children_of(n)); e; e = entry_at(e + 1)) {
        if (strcmp(e->name, d->name)) continue;
        c = (struct synth_node){ .e = e, .pid = n->pid, .tid = n->tid, .id = n->id, .ns = n->ns, .born = n->born };
        if (!synth_node_alive(&c)) return 0;
        dentry_instantiate(d, synth_inode_new(dir->sb, &c));
        return 0;
    }
    if (n->e->lookup && n->e->lookup(n, d->name, &c) == 0) dentry_instantiate(d, synth_inode_new(dir->sb, &c));
    return 0;
}

static int synth_revalidate(struct dentry *d)
{
    if (!d->inode) return 0; /* a process of that number may exist by now */
    struct synth_node *n = synth_node_of(d->inode);
    return synth_node_alive(n) && still_a_child(d, n);
}

static int synth_getattr(struct inode *ino, struct kstat *st)
{
    struct synth_node *n = synth_node_of(ino);
    inode_fill_stat(ino, st);
    st->blksize = 1024;
    if (n->e->size) st->size = n->e->size;
    struct task *t = synth_task_get(n);
    if (t) {
        struct cred *c = task_get_cred(t);
        st->uid = c->euid;
        st->gid = c->egid;
        cred_put(c);
        task_put(t);
    }
    return 0;
}

/* Ownership follows the task, so the mode check must too. */
static int synth_permission(struct inode *ino, int mask)
{
    struct synth_node *n = synth_node_of(ino);
    const struct cred *c = current_cred();
    if (S_ISLNK(n->e->mode)) return 0;
    struct kstat st;
    synth_getattr(ino, &st);
    u32 bits = st.uid == c->fsuid ? n->e->mode >> 6 : cred_in_group(c, st.gid) ? n->e->mode >> 3 : n->e->mode;
    if (((u32)mask & ~bits & 7) == 0) return 0;
    if (cred_capable(c, 1 /* CAP_DAC_OVERRIDE */) && !((mask & MAY_EXEC) && !S_ISDIR(n->e->mode))) return 0;
    return -EACCES;
}

static int synth_open(struct inode *ino, struct dentry *d UNUSED, struct file *f)
{
    struct synth_node *n = synth_node_of(ino);
    if (n->e->own_only) {
        struct task *t = synth_task_get(n);
        if (!t) return -ESRCH;
        bool ok = synth_may_access(t);
        task_put(t);
        if (!ok) return -EACCES;
    }
    if (f->ops == &synth_file_fops) f->priv = xnew(struct strbuf);
    return n->e->open ? n->e->open(n, f) : 0;
}

/* Links show a path outside the reader's root from the top of its tree, without a word on that: d_path() of Linux. */
int proc_path_text(const struct path *p, const struct path *root, char *buf, size_t size)
{
    static const char mark[] = "(unreachable)";
    int n = vfs_path_text(p, root, buf, size);
    if (n < (int)sizeof(mark) - 1 || memcmp(buf, mark, sizeof(mark) - 1)) return n;
    n -= (int)sizeof(mark) - 1;
    memmove(buf, buf + sizeof(mark) - 1, (size_t)n + 1);
    return n;
}

static int synth_readlink(struct inode *ino, char **out)
{
    struct synth_node *n = synth_node_of(ino);
    if (n->e->readlink) return n->e->readlink(n, out);
    if (!n->e->get_link) return -EINVAL;
    struct path p = { 0 }, root = { 0 };
    int err = n->e->get_link(n, &p);
    if (err) return err;
    char buf[KPATH_MAX];
    fs_get_root(current->fs, &root);
    int r = proc_path_text(&p, &root, buf, sizeof(buf));
    path_put(&root);
    path_put(&p);
    if (r < 0) return r;
    *out = xstrdup(buf);
    return 0;
}

static int synth_get_link(struct inode *ino, struct dentry *d UNUSED, struct path *out)
{
    struct synth_node *n = synth_node_of(ino);
    return n->e->get_link ? n->e->get_link(n, out) : -EOPNOTSUPP;
}

static int synth_setattr(struct inode *ino, struct dentry *d UNUSED, const struct kattr *a)
{
    /* Truncating a writable control file (shells do on `>`) changes nothing; attributes are fixed. */
    if ((a->valid & ~(ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW | ATTR_ATIME | ATTR_ATIME_NOW | ATTR_KILL_SUID)) == 0 && (ino->mode & 0222)) return 0;
    return -EPERM;
}

static const struct inode_ops synth_inode_ops = {
    .lookup = synth_lookup, .readlink = synth_readlink, .get_link = synth_get_link, .getattr = synth_getattr, .setattr = synth_setattr,
    .permission = synth_permission, .open = synth_open, .d_revalidate = synth_revalidate, .free = synth_inode_free,
};

int synth_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    *out = (struct statfs){ .f_type = sb->magic, .f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255 };
    return 0;
}

int synth_new(const struct synth_entry *root, const struct super_ops *ops, u32 magic, struct pid_ns *ns, struct super **out)
{
    struct super *sb = xnew(struct super);
    super_init(sb, ops, magic);
    sb->priv = ns;
    struct synth_node n = { .e = root };
    struct inode *ino = synth_inode_new(sb, &n);
    ino->nlink = 2;
    sb->root = dentry_new_root(sb, ino);
    *out = sb;
    return 0;
}
