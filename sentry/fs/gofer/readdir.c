/*
 * Directory reading: the whole directory is fetched in bulk when reading starts (or starts over), so that a position is
 * an index into it and entries neither repeat nor get lost while others change the directory.
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include <dirent.h>
#include <string.h>

#define SNAPSHOT_MAX (64u << 20)          /* bytes; a directory beyond it is an error, not a hang */

struct snapshot { u8 *buf; size_t len; u32 *at; u32 n; };

static void snapshot_free(struct snapshot *s)
{
    if (!s) return;
    free(s->buf);
    free(s->at);
    free(s);
}

static int snapshot_take(struct ginode *gi, struct snapshot **out)
{
    struct snapshot *s = xnew(struct snapshot);
    AUTO_FREE u8 *rep = xzalloc(GOFER_PAYLOAD_MAX);
    size_t cap = 0, ncap = 0;
    u64 cookie = 0;
    int err = 0;
    for (bool eof = false; !eof && !err;) {
        struct gofer_readdir_req q = { .dir = gi->h, .cookie = cookie, .max = GOFER_PAYLOAD_MAX };
        struct gofer_readdir_rep h;
        size_t len = GOFER_PAYLOAD_MAX;
        err = gofer_call_simple(gi_client(gi), GOFER_READDIR, &q, sizeof q, NULL, NULL, rep, &len, NULL);
        if (err) break;
        if (len < sizeof h) {
            err = -EIO;
            break;
        }
        memcpy(&h, rep, sizeof h);
        size_t pos = sizeof h;
        for (u32 i = 0; i < h.count && !err; i++) {
            struct gofer_dirent e;
            if (len - pos < sizeof e) {
                err = -EIO;
                break;
            }
            memcpy(&e, rep + pos, sizeof e);
            if (e.len > len - pos || e.len < sizeof e + e.namelen + 1u || e.len % 8 || rep[pos + sizeof e + e.namelen] ||
                memchr(rep + pos + sizeof e, '/', e.namelen)) {
                err = -EIO;
                break;
            }
            const char *name = (const char *)rep + pos + sizeof e;
            cookie = e.next;
            if (strcmp(name, ".") && strcmp(name, "..")) {
                if (s->len + e.len > SNAPSHOT_MAX) {
                    err = -EOVERFLOW;
                    break;
                }
                if (s->len + e.len > cap) s->buf = xrealloc(s->buf, cap = (cap + e.len) * 2);
                if (s->n == ncap) s->at = xrealloc(s->at, sizeof *s->at * (ncap = (ncap + 16) * 2));
                memcpy(s->buf + s->len, rep + pos, e.len);
                s->at[s->n++] = (u32)s->len;
                s->len += e.len;
            }
            pos += e.len;
        }
        eof = h.eof || !h.count;
    }
    if (err) snapshot_free(s);
    else *out = s;
    return err;
}

/* f->pos: 0 ".", 1 "..", 2+i entry i of the snapshot. The VFS holds pos_lock. */
static int readdir_op(struct file *f, struct dir_sink *sink)
{
    struct ginode *gi = GI(f->inode);
    if (!f->priv || f->pos == 0) {
        struct snapshot *s;
        int err = snapshot_take(gi, &s);
        if (err) return err;
        snapshot_free(f->priv);
        f->priv = s;
    }
    struct snapshot *s = f->priv;
    if (f->pos == 0) {
        if (!sink->emit(sink, ".", 1, f->inode->ino, DT_DIR, 1)) return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        struct dentry *d = f->path.dentry;
        u64 ino = d && d->parent && d->parent->inode ? d->parent->inode->ino : f->inode->ino;
        if (!sink->emit(sink, "..", 2, ino, DT_DIR, 2)) return 0;
        f->pos = 2;
    }
    while (f->pos - 2 < s->n) {
        struct gofer_dirent e;
        const u8 *p = s->buf + s->at[f->pos - 2];
        memcpy(&e, p, sizeof e);
        if (!sink->emit(sink, (const char *)p + sizeof e, e.namelen, e.ino, e.dtype, f->pos + 1)) return 0;
        f->pos++;
    }
    return 0;
}

static void release_op(struct file *f) { snapshot_free(f->priv); }

static int fsync_op(struct file *f, bool data_only)
{
    struct ginode *gi = GI(f->inode);
    struct gofer_fsync_req q = { .h = gi->h, .data_only = data_only };
    return gofer_call_simple(gi_client(gi), GOFER_FSYNC, &q, sizeof q, NULL, NULL, NULL, NULL, NULL);
}

static ssize_t read_op(struct file *f UNUSED, struct uio *u UNUSED, u64 *pos UNUSED, u32 flags UNUSED) { return -EISDIR; }

const struct file_ops gofer_dir_fops = {
    .readdir = readdir_op, .read = read_op, .seekable = true, .llseek = dir_llseek, .fsync = fsync_op, .release = release_op,
};
