/* /proc/PID/fd, fdinfo and task. proc_pid_fd(5) */
#include "sentry/base/alloc.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/pid_ns.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- fd, fdinfo --- */

static struct file *node_file_get(struct synth_node *n)
{
    struct task *t = synth_task_get(n);
    struct fdtable *ft = t && synth_may_access(t) ? task_get_files(t) : NULL;
    struct file *f = NULL;
    if (t) task_put(t);
    if (!ft) return NULL;
    if (fdtable_next(ft, (int)n->id, &f) != (int)n->id && f) {
        file_put(f);
        f = NULL;
    }
    fdtable_put(ft);
    return f;
}

static bool fd_exists(struct synth_node *n)
{
    struct file *f = node_file_get(n);
    if (f) file_put(f);
    return f != NULL;
}

static int link_fd(struct synth_node *n, struct path *out)
{
    struct file *f = node_file_get(n);
    if (!f) return -ENOENT;
    file_get_path(f, out);
    file_put(f);
    return 0;
}

static int readlink_fd(struct synth_node *n, char **out)
{
    struct file *f = node_file_get(n);
    if (!f) return -ENOENT;
    int err = 0;
    if (f->ops && f->ops->name && strchr(f->ops->name, ':') && f->ops->name[strlen(f->ops->name) - 1] == ']') {
        *out = xstrdup(f->ops->name);
    } else {
        struct path p, root;
        char buf[KPATH_MAX];
        file_get_path(f, &p);
        fs_get_root(current->fs, &root);
        int r = proc_path_text(&p, &root, buf, sizeof(buf));
        path_put(&root);
        path_put(&p);
        if (r < 0) err = r;
        else *out = xstrdup(buf);
    }
    file_put(f);
    return err;
}

static int show_fdinfo(struct synth_node *n, struct strbuf *b)
{
    struct file *f = node_file_get(n);
    if (!f) return -ENOENT;
    u32 flags = atomic_load(&f->flags);
    struct task *t = synth_task_get(n);
    if (!t) {
        file_put(f);
        return -ESRCH;
    }
    struct fdtable *ft = task_get_files(t);
    task_put(t);
    if (ft) {
        lock(&ft->lock);
        if ((u64)n->id < ft->size && ft->fds[n->id].cloexec) flags |= O_CLOEXEC;
        unlock(&ft->lock);
        fdtable_put(ft);
    }
    strbuf_printf(b, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", (unsigned long long)f->pos, flags, f->path.mnt ? f->path.mnt->id : 0,
                  (unsigned long long)f->inode->ino);
    if (f->ops && f->ops->show_fdinfo) f->ops->show_fdinfo(f, b);
    file_put(f);
    return 0;
}

static const struct synth_entry fd_link = {
    .name = "fd", .mode = S_IFLNK | 0700, .get_link = link_fd, .readlink = readlink_fd, .exists = fd_exists };
static const struct synth_entry fdinfo_file = { .name = "fdinfo", .mode = S_IFREG | 0444, .show = show_fdinfo, .exists = fd_exists };

static int parse_id(const char *name, s64 *out)
{
    if (!*name || (*name == '0' && name[1])) return -ENOENT;
    s64 v = 0;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || v > INT32_MAX / 10) return -ENOENT;
        v = v * 10 + (*name - '0');
    }
    *out = v;
    return 0;
}

static int lookup_fd_of(struct synth_node *dir, const char *name, struct synth_node *child, const struct synth_entry *e)
{
    *child = (struct synth_node){ .e = e, .pid = dir->pid, .tid = dir->tid };
    return parse_id(name, &child->id) || !fd_exists(child) ? -ENOENT : 0;
}
int proc_lookup_fd(struct synth_node *d, const char *name, struct synth_node *c) { return lookup_fd_of(d, name, c, &fd_link); }
int proc_lookup_fdinfo(struct synth_node *d, const char *name, struct synth_node *c) { return lookup_fd_of(d, name, c, &fdinfo_file); }

bool proc_next_fd(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
{
    struct task *t = synth_task_get(dir);
    struct fdtable *ft = t ? task_get_files(t) : NULL;
    struct file *f = NULL;
    if (t) task_put(t);
    if (!ft) return false;
    int fd = fdtable_next(ft, (int)from, &f);
    if (f) file_put(f);
    fdtable_put(ft);
    if (fd < 0) return false;
    *id = fd;
    snprintf(name, 32, "%d", fd);
    *dtype = dir->e->lookup == proc_lookup_fd ? DT_LNK : DT_REG;
    return true;
}

/* --- task --- */

static const struct synth_entry task_entry = { .name = "task", .mode = S_IFDIR | 0555, .children = proc_task_dir };

int proc_lookup_task(struct synth_node *dir, const char *name, struct synth_node *child)
{
    s64 tid;
    if (parse_id(name, &tid)) return -ENOENT;
    tid = pid_from_ns((s32)tid, dir->ns);
    struct task *t = task_lookup_get((s32)tid);
    if (!t) return -ENOENT;
    bool ok = t->tg->tgid == dir->pid;
    task_put(t);
    *child = (struct synth_node){ .e = &task_entry, .pid = dir->pid, .tid = (s32)tid };
    return ok ? 0 : -ENOENT;
}

bool proc_next_task(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
{
    struct tgroup *tg = tgroup_lookup_get(dir->pid);
    if (!tg) return false;
    struct task *t = tgroup_next_task_get(tg, (s32)from);
    tgroup_put(tg);
    if (!t) return false;
    *id = t->tid;
    snprintf(name, 32, "%d", pid_to_ns(t->tid, dir->ns));
    *dtype = DT_DIR;
    task_put(t);
    return true;
}
