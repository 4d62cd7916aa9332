/* overlay: open files, which stand before a file of one layer, and merged directory listings. */
#include "sentry/fs/overlay/overlay.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <dirent.h>
#include <limits.h>
#include <string.h>

/* A read-only open of the lower is joined by one of the upper after copy-up; both go with the file. */
struct ovl_file { struct file *real, *upper; };

static struct path path_of(struct inode *i)
{
    struct ovl_super *s = ovl_s(i->sb);
    struct dentry *u = ovl_upper(i);
    return u ? (struct path){ s->upper_mnt, u } : (struct path){ s->lower_mnt, ovl_i(i)->lower };
}

int ovl_file_open(struct inode *i, struct dentry *d, struct file *f)
{
    if (f->mode & FMODE_WRITE) {
        int r = ovl_copy_up(d, true);
        if (r) return r;
    }
    struct file *real;
    struct path p = path_of(i);
    int r = vfs_open_nocheck(&p, f->flags & ~(u32)O_PATH, &real);
    if (r) return r;
    struct ovl_file *of = xnew(struct ovl_file);
    of->real = real;
    if (ovl_upper(i) && p.dentry == ovl_upper(i)) of->upper = real;
    f->priv = of;
    return 0;
}

/* The file to work on now. Borrowed from f. */
static struct file *real_file(struct file *f)
{
    struct ovl_file *of = f->priv;
    struct file *up = atomic_load(&of->upper);
    if (up) return up;
    if (!ovl_upper(f->inode)) return of->real;
    struct path p = path_of(f->inode);
    if (vfs_open_nocheck(&p, f->flags, &up)) return of->real;
    struct file *none = NULL;
    if (__atomic_compare_exchange_n(&of->upper, &none, up, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return up;
    file_put(up);
    return none;
}

static void ovl_release(struct file *f)
{
    struct ovl_file *of = f->priv;
    if (of->upper && of->upper != of->real) file_put(of->upper);
    file_put(of->real);
    free(of);
}

static ssize_t ovl_read(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    struct file *real = real_file(f);
    return real->ops->read ? real->ops->read(real, u, pos, flags) : -EINVAL;
}

static ssize_t ovl_write(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    struct file *real = real_file(f);
    if (!real->ops->write) return -EINVAL;
    ssize_t n = real->ops->write(real, u, pos, flags);
    f->inode->size = real->inode->size;
    f->inode->mtime = real->inode->mtime;
    return n;
}

static s64 ovl_llseek(struct file *f, s64 off, int whence)
{
    struct file *real = real_file(f);
    if (!real->ops->llseek) {
        struct kstat st;
        int e = ovl_getattr(f->inode, &st);
        return e ? e : generic_llseek(f, off, whence, st.size, (u64)LLONG_MAX);
    }
    lock(&real->pos_lock);
    real->pos = f->pos;
    s64 r = real->ops->llseek(real, off, whence);
    if (r >= 0) f->pos = (u64)r;
    unlock(&real->pos_lock);
    return r;
}

static sysret_t ovl_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct file *real = real_file(f);
    return real->ops->ioctl ? real->ops->ioctl(real, cmd, arg) : -ENOTTY;
}

static int ovl_mmap(struct file *f, struct mm_map_req *req) { return vfs_mmap_prepare(real_file(f), req); }

static int ovl_fsync(struct file *f, bool data_only)
{
    struct file *real = real_file(f);
    return real->ops->fsync && real->inode->sb == ovl_s(f->inode->sb)->upper_sb ? real->ops->fsync(real, data_only) : 0;
}

static int ovl_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    struct file *real = real_file(f);
    int r = real->ops->fallocate ? real->ops->fallocate(real, mode, off, len) : -EOPNOTSUPP;
    f->inode->size = real->inode->size;
    return r;
}

static int ovl_set_flags(struct file *f, u32 flags)
{
    struct file *real = real_file(f);
    if (real->ops->set_flags) {
        int r = real->ops->set_flags(real, flags);
        if (r) return r;
    }
    atomic_store(&real->flags, flags);
    return 0;
}

const struct file_ops ovl_file_ops = {
    .read = ovl_read, .write = ovl_write, .seekable = true, .llseek = ovl_llseek, .ioctl = ovl_ioctl, .mmap = ovl_mmap,
    .fsync = ovl_fsync, .fallocate = ovl_fallocate, .set_flags = ovl_set_flags, .release = ovl_release,
};

/* --- listings --- */
struct collect { struct dir_sink sink; struct ovl_list *l; struct dentry *updir; /* NULL: reading the lower */ };

static bool collect_emit(struct dir_sink *s, const char *name, size_t len, u64 ino, u8 type, u64 next UNUSED)
{
    struct collect *c = container_of(s, struct collect, sink);
    struct ovl_list *l = c->l;
    if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.')) return true;
    struct ovl_ent *e;
    HASH_FIND(hh, l->by_name, name, len, e);
    if (e) return true;
    e = xnew(struct ovl_ent);
    e->name = xstrndup(name, len);
    e->ino = ino;
    e->type = type;
    if (l->n == l->cap) l->order = xrealloc(l->order, (l->cap = l->cap ? l->cap * 2 : 32) * sizeof(*l->order));
    l->order[l->n++] = e;
    HASH_ADD_KEYPTR(hh, l->by_name, e->name, len, e);
    return true;
}

static int read_layer(struct mount *mnt, struct dentry *d, struct collect *c)
{
    struct file *f;
    int r = vfs_open_nocheck(&(struct path){ mnt, d }, O_RDONLY | O_DIRECTORY, &f);
    if (r) return r;
    u64 before;
    if (!f->ops->readdir) r = -ENOTDIR;
    /* Some file systems give a bounded number of entries a call: until the position stands still. */
    else do {
        before = f->pos;
        r = f->ops->readdir(f, &c->sink);
    } while (r >= 0 && f->pos != before);
    file_put(f);
    return r < 0 ? r : 0;
}

int ovl_list_read(struct inode *dir, struct ovl_list *l)
{
    struct ovl_super *s = ovl_s(dir->sb);
    *l = (struct ovl_list){ 0 };
    struct collect c = { .sink.emit = collect_emit, .l = l };
    struct dentry *up = ovl_upper(dir), *low = ovl_i(dir)->opaque ? NULL : ovl_i(dir)->lower;
    int r = 0;
    if (up) r = read_layer(s->upper_mnt, up, &c);
    /* What is above: whiteouts are marked, and numbers are those that stat will show. */
    for (size_t k = 0; r == 0 && k < l->n; k++) {
        struct dentry *ud;
        r = ovl_upper_child(up, l->order[k]->name, &ud);
        if (r) break;
        if (ud->inode) {
            u64 origin = ovl_origin(ud->inode);
            l->order[k]->white = ovl_is_whiteout(ud->inode);
            l->order[k]->ino = origin ? origin : ud->inode->ino + UPPER_INO;
        }
        dentry_put(ud);
    }
    if (r == 0 && low) r = read_layer(s->lower_mnt, low, &c);
    if (r) ovl_list_fini(l);
    return r;
}

void ovl_list_fini(struct ovl_list *l)
{
    HASH_CLEAR(hh, l->by_name);
    for (size_t k = 0; k < l->n; k++) {
        free(l->order[k]->name);
        free(l->order[k]);
    }
    free(l->order);
    *l = (struct ovl_list){ 0 };
}

int ovl_check_empty(struct inode *dir)
{
    struct ovl_list l;
    int r = ovl_list_read(dir, &l);
    if (r) return r;
    for (size_t k = 0; k < l.n; k++)
        if (!l.order[k]->white) r = -ENOTEMPTY;
    ovl_list_fini(&l);
    return r;
}

/* The directory was found empty: only whiteouts are left in its upper. */
int ovl_clear_whiteouts(struct dentry *updir)
{
    struct ovl_list l = { 0 };
    struct collect c = { .sink.emit = collect_emit, .l = &l };
    struct file *f;
    struct mount *m = mount_new_internal(updir->sb);
    int r = vfs_open_nocheck(&(struct path){ m, updir }, O_RDONLY | O_DIRECTORY, &f);
    if (r == 0) {
        r = f->ops->readdir(f, &c.sink);
        file_put(f);
    }
    struct inode *ui = updir->inode;
    for (size_t k = 0; r == 0 && k < l.n; k++) {
        struct dentry *ud;
        r = ovl_upper_child(updir, l.order[k]->name, &ud);
        if (r) break;
        lock(&ui->lock);
        if (ud->inode) r = ovl_is_whiteout(ud->inode) ? ui->ops->unlink(ui, ud) : -ENOTEMPTY;
        if (r == 0) dentry_delete(ud);
        unlock(&ui->lock);
        dentry_put(ud);
    }
    ovl_list_fini(&l);
    mount_put(m);
    return r;
}

/* f->priv: the listing taken at position 0; cookies are places in it, so they hold while entries come and go. */
static int ovl_readdir(struct file *f, struct dir_sink *s)
{
    struct inode *dir = f->inode;
    struct ovl_list *l = f->priv;
    if (!l || f->pos == 0) {
        struct ovl_list fresh;
        lock(&dir->lock);
        int r = ovl_list_read(dir, &fresh);
        unlock(&dir->lock);
        if (r) return r;
        if (l) ovl_list_fini(l);
        else l = f->priv = xnew(struct ovl_list);
        *l = fresh;
    }
    struct dentry *parent = dentry_parent_get(f->path.dentry);
    u64 up_ino = parent->inode->ino;
    dentry_put(parent);
    if (f->pos == 0) {
        if (!s->emit(s, ".", 1, dir->ino, DT_DIR, 1)) return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!s->emit(s, "..", 2, up_ino, DT_DIR, 2)) return 0;
        f->pos = 2;
    }
    for (; f->pos - 2 < l->n; f->pos++) {
        struct ovl_ent *e = l->order[f->pos - 2];
        if (!e->white && !s->emit(s, e->name, strlen(e->name), e->ino, e->type, f->pos + 1)) break;
    }
    return 0;
}

static void ovl_dir_release(struct file *f)
{
    if (!f->priv) return;
    ovl_list_fini(f->priv);
    free(f->priv);
}

static int ovl_dir_fsync(struct file *f UNUSED, bool data_only UNUSED) { return 0; }

const struct file_ops ovl_dir_ops = { .seekable = true, .llseek = dir_llseek, .readdir = ovl_readdir, .release = ovl_dir_release, .fsync = ovl_dir_fsync };
