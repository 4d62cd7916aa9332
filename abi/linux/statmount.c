/* What is told of mounts. Source: statmount(2), listmount(2), ustat(2), linux/mount.h. */
#include "abi/linux/linux.h"
#include "abi/linux/mount.h"
#include "sentry/base/alloc.h"
#include "sentry/base/strbuf.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>

struct linux_mnt_id_req { u32 size, fd; u64 mnt_id, param, mnt_ns_id; };
#define REQ_SIZE_VER0 24u
struct linux_statmount {
    u32 size, mnt_opts;
    u64 mask;
    u32 sb_dev_major, sb_dev_minor;
    u64 sb_magic;
    u32 sb_flags, fs_type;
    u64 mnt_id, mnt_parent_id;
    u32 mnt_id_old, mnt_parent_id_old;
    u64 mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
    u32 mnt_root, mnt_point;
    u64 mnt_ns_id;
    u32 fs_subtype, sb_source, opt_num, opt_array, opt_sec_num, opt_sec_array;
    u64 supported_mask;
    u32 mnt_uidmap_num, mnt_uidmap, mnt_gidmap_num, mnt_gidmap;
    u64 spare[43];
};
_Static_assert(sizeof(struct linux_statmount) == 512, "struct statmount");
_Static_assert(offsetof(struct linux_statmount, mnt_ns_id) == 112 && offsetof(struct linux_statmount, supported_mask) == 144, "struct statmount");

enum { SM_SB_BASIC = 1, SM_MNT_BASIC = 2, SM_PROPAGATE_FROM = 4, SM_MNT_ROOT = 8, SM_MNT_POINT = 16, SM_FS_TYPE = 32, SM_MNT_NS_ID = 64, SM_MNT_OPTS = 128,
       SM_FS_SUBTYPE = 256, SM_SB_SOURCE = 512, SM_OPT_ARRAY = 1024, SM_OPT_SEC_ARRAY = 2048, SM_SUPPORTED = 4096 };
#define SM_ALL 0x1fffu
/* Numbers up to here are the old ones, which these calls do not take. */
#define UNIQUE_FIRST (1ULL << 31)
#define LSMT_ROOT (~0ULL)
#define LISTMOUNT_REVERSE 1u
#define LIST_MAX 1000000u

/* A structure of a newer size must be zero behind what is known. */
static int copy_in_req(struct linux_mnt_id_req *q, gaddr_t p)
{
    u8 raw[GPAGE_SIZE];
    u32 size;
    if (copy_in(&size, p, sizeof(size))) return -EFAULT;
    if (size > GPAGE_SIZE) return -E2BIG;
    if (size < REQ_SIZE_VER0) return -EINVAL;
    if (copy_in(raw, p, size)) return -EFAULT;
    for (u32 i = sizeof(*q); i < size; i++)
        if (raw[i]) return -E2BIG;
    *q = (struct linux_mnt_id_req){ 0 };
    memcpy(q, raw, MIN(size, sizeof(*q)));
    /* Of namespaces only one's own is looked into, which 0 means. */
    if (q->fd || q->mnt_id <= UNIQUE_FIRST) return -EINVAL;
    return q->mnt_ns_id && q->mnt_ns_id != current->fs->ns->seq ? -ENOENT : 0;
}

/* --- statmount --- */

struct answer { struct linux_statmount s; struct strbuf text; const struct path *root; struct mount *m; };

/* A text of the answer; an empty one leaves its offset at 0, where the first byte is a NUL. */
static void put_text(struct answer *a, u64 flag, u32 *offset, const char *text)
{
    if (!*text) return;
    *offset = (u32)a->text.len;
    strbuf_add(&a->text, text, strlen(text) + 1);
    a->s.mask |= flag;
}

static void put_basic(struct answer *a, u64 want)
{
    struct mount *m = a->m;
    struct mount_info i;
    mount_get_info(m, a->root, &i);
    if (want & SM_SB_BASIC) {
        a->s.sb_dev_major = (u32)(m->sb->dev >> 8 & 0xfff);
        a->s.sb_dev_minor = (u32)(m->sb->dev & 0xff);
        a->s.sb_magic = m->sb->magic;
        a->s.sb_flags = atomic_load(&m->sb->rdonly) ? MS_RDONLY : 0;
        a->s.mask |= SM_SB_BASIC;
    }
    if (want & SM_MNT_BASIC) {
        a->s.mnt_id = m->unique;
        a->s.mnt_id_old = m->id;
        a->s.mnt_parent_id = i.parent_unique;
        a->s.mnt_parent_id_old = i.parent_id;
        a->s.mnt_attr = linux_mount_attr_of(atomic_load(&m->flags));
        a->s.mnt_propagation = (i.group ? MS_SHARED : 0) | (i.master ? MS_SLAVE : 0) | (i.unbindable ? MS_UNBINDABLE : 0);
        if (!a->s.mnt_propagation) a->s.mnt_propagation = MS_PRIVATE;
        a->s.mnt_peer_group = i.group;
        a->s.mnt_master = i.master;
        a->s.mask |= SM_MNT_BASIC;
    }
    if (want & SM_PROPAGATE_FROM) {
        a->s.propagate_from = i.from;
        a->s.mask |= SM_PROPAGATE_FROM;
    }
    if (want & SM_MNT_NS_ID) {
        a->s.mnt_ns_id = i.ns_seq;
        a->s.mask |= SM_MNT_NS_ID;
    }
}

static void put_options(struct answer *a, u64 want)
{
    AUTO_FREE char *opts = super_options(a->m->sb);
    if (want & SM_MNT_OPTS) put_text(a, SM_MNT_OPTS, &a->s.mnt_opts, opts);
    if (!(want & SM_OPT_ARRAY) || !*opts) return;
    for (char *save, *o = strtok_r(opts, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        u32 at = 0;
        put_text(a, SM_OPT_ARRAY, &at, o);
        if (!a->s.opt_num++) a->s.opt_array = at;
    }
}

static int put_texts(struct answer *a, u64 want)
{
    AUTO_FREE char *buf = xzalloc(KPATH_MAX);
    int r;

    strbuf_add(&a->text, "", 1);
    if (want & SM_FS_TYPE) put_text(a, SM_FS_TYPE, &a->s.fs_type, a->m->sb->ops->name);
    if (want & SM_MNT_ROOT) {
        if ((r = mount_root_text(a->m, buf, KPATH_MAX)) < 0) return r;
        put_text(a, SM_MNT_ROOT, &a->s.mnt_root, buf);
    }
    if (want & SM_MNT_POINT) {
        r = mount_place_text(a->m, a->root, buf, KPATH_MAX);
        if (r < 0 && r != -ENOENT) return r;
        if (r > 0) put_text(a, SM_MNT_POINT, &a->s.mnt_point, buf);
    }
    put_options(a, want);
    if (want & SM_SB_SOURCE) put_text(a, SM_SB_SOURCE, &a->s.sb_source, a->m->source);
    return 0;
}

/* Who does not see a mount below its root is told of it with rights over the namespace only. */
static bool may_see(struct mount *m, const struct path *root)
{
    return mount_is_below(m, root) || ns_capable(current->fs->ns->ns.owner, CAP_SYS_ADMIN);
}

static int answer(struct answer *a, u64 want, gaddr_t buf, u64 size)
{
    const u64 texts = SM_MNT_ROOT | SM_MNT_POINT | SM_FS_TYPE | SM_MNT_OPTS | SM_SB_SOURCE | SM_OPT_ARRAY;
    put_basic(a, want);
    if (want & SM_SUPPORTED) {
        a->s.supported_mask = SM_ALL;
        a->s.mask |= SM_SUPPORTED;
    }
    int r = want & texts ? put_texts(a, want) : 0;
    if (r) return r;
    bool any = a->text.len > 1;
    if (any && sizeof(a->s) + a->text.len > size) return -EOVERFLOW;
    a->s.size = (u32)(sizeof(a->s) + (any ? a->text.len : 0));
    if (any && copy_out(buf + sizeof(a->s), a->text.s, a->text.len)) return -EFAULT;
    return copy_out(buf, &a->s, MIN(size, sizeof(a->s))) ? -EFAULT : 0;
}

sysret_t linux_statmount(const struct syscall_args *args)
{
    struct linux_mnt_id_req q;
    struct path root;
    int r;

    if (args->a[3]) return -EINVAL;
    if ((r = copy_in_req(&q, args->a[0]))) return r;
    fs_get_root(current->fs, &root);
    struct answer a = { .root = &root, .m = mnt_ns_find(current->fs->ns, q.mnt_id) };
    r = !a.m ? -ENOENT : !may_see(a.m, &root) ? -EPERM : answer(&a, q.param, args->a[1], args->a[2]);
    strbuf_fini(&a.text);
    mount_put(a.m);
    path_put(&root);
    return r;
}

/* --- listmount --- */

struct list { struct path top; u64 *ids; u64 skip; unsigned n, max; bool all; };

static bool list_one(struct mount *m, void *arg)
{
    struct list *l = arg;
    if (m->unique == l->skip || !mount_is_below(m, &l->top)) return true;
    if (l->n == l->max && !l->all) return false;
    l->ids[l->n++ % l->max] = m->unique;       /* of all, the last max remain */
    return l->all || l->n < l->max;
}

/* The ids run upwards; downwards the last ones below `before` are wanted. */
static bool list_backwards(struct mount *m, void *arg)
{
    struct { struct list l; u64 before; } *b = arg;
    return b->before && m->unique >= b->before ? false : list_one(m, &b->l);
}

static sysret_t list(struct list *l, u64 param, bool backwards, gaddr_t out)
{
    struct { struct list l; u64 before; } b = { *l, param };
    b.l.all = backwards;
    if (backwards) mnt_ns_for_each(current->fs->ns, 0, list_backwards, &b);
    else mnt_ns_for_each(current->fs->ns, param, list_one, &b.l);
    unsigned n = MIN(b.l.n, l->max);
    for (unsigned i = 0; i < n; i++) {
        u64 id = b.l.ids[backwards ? (b.l.n - 1 - i) % l->max : i];
        if (copy_out(out + (u64)i * sizeof(id), &id, sizeof(id))) return -EFAULT;
    }
    return n;
}

sysret_t linux_listmount(const struct syscall_args *a)
{
    struct linux_mnt_id_req q;
    u64 want = a->a[2];
    struct path root;
    sysret_t r;

    if (a->a[3] & ~(u64)LISTMOUNT_REVERSE) return -EINVAL;
    if (want > LIST_MAX) return -EOVERFLOW;
    if ((r = copy_in_req(&q, a->a[0]))) return r;
    if (q.param && q.param <= UNIQUE_FIRST) return -EINVAL;
    fs_get_root(current->fs, &root);
    struct list l = { .top = root, .max = (unsigned)MIN(want, (u64)MOUNT_TOTAL_MAX) };
    path_get(&l.top);
    if (q.mnt_id != LSMT_ROOT) {
        struct mount *m = mnt_ns_find(current->fs->ns, q.mnt_id);
        r = !m ? -ENOENT : may_see(m, &root) ? 0 : -EPERM;
        path_put(&l.top);
        if (m) {
            l.skip = m->unique;
            l.top = (struct path){ m, m->root };
            dentry_get(m->root);
        }
    }
    if (!r && l.max) {
        l.ids = try_zalloc(l.max, sizeof(*l.ids));
        r = l.ids ? list(&l, q.param, a->a[3] & LISTMOUNT_REVERSE, a->a[1]) : -ENOMEM;
        free(l.ids);
    }
    path_put(&l.top);
    path_put(&root);
    return r;
}

/* --- ustat --- */

struct linux_ustat { s32 tfree, pad; u64 tinode; char fname[6], fpack[6]; u32 pad2; };
_Static_assert(sizeof(struct linux_ustat) == 32, "struct ustat");

struct device { u32 number; struct path found; };

static bool find_device(struct mount *m, void *arg)
{
    struct device *d = arg;
    if ((u32)m->sb->dev != d->number) return true;
    d->found = (struct path){ m, m->root };
    path_get(&d->found);
    return false;
}

sysret_t linux_ustat(const struct syscall_args *a)
{
    struct device d = { .number = ARG_U32(0) };
    struct statfs sf;
    mnt_ns_for_each(current->fs->ns, 0, find_device, &d);
    if (!d.found.mnt) return -EINVAL;
    int r = vfs_statfs(&d.found, &sf);
    path_put(&d.found);
    struct linux_ustat u = { .tfree = (s32)sf.f_bfree, .tinode = sf.f_ffree };
    return r ? r : copy_out(a->a[1], &u, sizeof(u)) ? -EFAULT : 0;
}
