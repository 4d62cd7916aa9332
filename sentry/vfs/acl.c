#include "sentry/vfs/acl.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define VERSION 2u
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct acl_entry { u16 tag, perm; u32 id; };
struct posix_acl { u32 n; struct acl_entry e[]; };
/* The same layout, little-endian, with the version before. linux/posix_acl_xattr.h */
_Static_assert(sizeof(struct acl_entry) == 8, "posix_acl_xattr_entry");

static rwlock_t acl_lock = RWLOCK_INIT(LC_LEAF);    /* all lists of all inodes; they are short, and few files have one */

bool acl_name(const char *name) { return !strcmp(name, ACCESS) || !strcmp(name, DEFAULT); }
static bool is_default(const char *name) { return !strcmp(name, DEFAULT); }
static struct posix_acl **at(struct inode *i, bool def) { return def ? &i->acl_default : &i->acl; }

static struct posix_acl *copy_of(const struct posix_acl *a)
{
    struct posix_acl *c = xzalloc(sizeof *c + a->n * sizeof a->e[0]);
    c->n = a->n;
    memcpy(c->e, a->e, a->n * sizeof a->e[0]);
    return c;
}

/* --- from and to bytes --- */

/* The one order there is: owner, users, group, groups, mask, others; a mask wherever somebody is named. */
static bool valid(const struct posix_acl *a)
{
    u16 state = USER_OBJ;
    bool named = false, mask = false;

    for (u32 i = 0; i < a->n; i++) {
        const struct acl_entry *e = &a->e[i];
        if (e->perm & ~7) return false;
        switch (e->tag) {
        case USER_OBJ:
            if (state != USER_OBJ) return false;
            state = USER;
            break;
        case USER:
            if (state != USER || e->id == ~0u) return false;
            named = true;
            break;
        case GROUP_OBJ:
            if (state != USER) return false;
            state = GROUP;
            break;
        case GROUP:
            if (state != GROUP || e->id == ~0u) return false;
            named = true;
            break;
        case MASK:
            if (state != GROUP) return false;
            mask = true;
            state = OTHER;
            break;
        case OTHER:
            if (state != OTHER && (state != GROUP || named)) return false;
            state = 0;
            break;
        default: return false;
        }
    }
    return !state && (mask || !named);
}

/* *out NULL: an empty one. */
static int parse(const void *val, size_t size, struct posix_acl **out)
{
    u32 version;
    *out = NULL;
    if (!size) return 0;
    if (size < sizeof version || (size - sizeof version) % sizeof(struct acl_entry)) return -EINVAL;
    memcpy(&version, val, sizeof version);
    if (version != VERSION) return -EOPNOTSUPP;
    u32 n = (u32)((size - sizeof version) / sizeof(struct acl_entry));
    if (!n) return 0;
    struct posix_acl *a = xzalloc(sizeof *a + n * sizeof a->e[0]);
    a->n = n;
    memcpy(a->e, (const u8 *)val + sizeof version, n * sizeof a->e[0]);
    for (u32 i = 0; i < n; i++) {
        struct acl_entry *e = &a->e[i];
        e->id = e->tag == USER ? uid_in(e->id) : e->tag == GROUP ? gid_in(e->id) : ~0u;
    }
    if (!valid(a)) {
        free(a);
        return -EINVAL;
    }
    *out = a;
    return 0;
}

ssize_t acl_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    if (!i->sb->acls || S_ISLNK(i->mode)) return -EOPNOTSUPP;
    read_lock(&acl_lock);
    const struct posix_acl *stored = *at(i, is_default(name));
    AUTO_FREE struct posix_acl *a = stored ? copy_of(stored) : NULL;
    rw_unlock(&acl_lock);
    if (!a) return -ENODATA;
    const u32 version = VERSION;
    size_t need = sizeof version + a->n * sizeof a->e[0];
    if (!size) return (ssize_t)need;
    if (size < need) return -ERANGE;
    for (u32 k = 0; k < a->n; k++)
        if (a->e[k].tag & (USER | GROUP)) a->e[k].id = a->e[k].tag == USER ? uid_out(a->e[k].id) : gid_out(a->e[k].id);
    memcpy(buf, &version, sizeof version);
    memcpy((u8 *)buf + sizeof version, a->e, need - sizeof version);
    return (ssize_t)need;
}

size_t acl_listxattr(const struct inode *i, char *buf, size_t size)
{
    static const char *const names[] = { ACCESS, DEFAULT };
    const struct posix_acl *const have[] = { atomic_load(&i->acl), atomic_load(&i->acl_default) };
    size_t need = 0;
    for (int k = 0; k < 2; k++) {
        size_t n = strlen(names[k]) + 1;
        if (!have[k]) continue;
        if (size && need + n <= size) memcpy(buf + need, names[k], n);
        need += n;
    }
    return need;
}

/* --- lists and modes --- */

/* The permission bits that a list comes to; *plain: it says nothing that they do not. */
static u32 mode_of(const struct posix_acl *a, bool *plain)
{
    u32 mode = 0, group = 0;
    bool mask = false;
    *plain = true;
    for (u32 i = 0; i < a->n; i++) {
        const struct acl_entry *e = &a->e[i];
        switch (e->tag) {
        case USER_OBJ: mode |= (u32)e->perm << 6; break;
        case OTHER: mode |= e->perm; break;
        case GROUP_OBJ:
            if (!mask) group = e->perm;
            break;
        case MASK:
            group = e->perm;
            mask = true;
            *plain = false;
            break;
        default: *plain = false; break;
        }
    }
    return mode | group << 3;
}

static void put_mode(struct posix_acl *a, u32 mode)
{
    struct acl_entry *group = NULL, *mask = NULL;
    for (u32 i = 0; i < a->n; i++) {
        struct acl_entry *e = &a->e[i];
        if (e->tag == USER_OBJ) e->perm = mode >> 6 & 7;
        else if (e->tag == OTHER) e->perm = mode & 7;
        else if (e->tag == GROUP_OBJ) group = e;
        else if (e->tag == MASK) mask = e;
    }
    if (mask) mask->perm = mode >> 3 & 7;
    else if (group) group->perm = mode >> 3 & 7;
}

/* Of a new file: what was asked for and what the list allows, in both. */
static u32 narrow(struct posix_acl *a, u32 mode)
{
    struct acl_entry *group = NULL, *mask = NULL;
    for (u32 i = 0; i < a->n; i++) {
        struct acl_entry *e = &a->e[i];
        if (e->tag == USER_OBJ) mode &= ~0700u | (u32)(e->perm &= (u16)(mode >> 6)) << 6;
        else if (e->tag == OTHER) mode &= ~07u | (u32)(e->perm &= (u16)mode & 7);
        else if (e->tag == GROUP_OBJ) group = e;
        else if (e->tag == MASK) mask = e;
    }
    if (mask) group = mask;
    if (group) mode &= ~070u | (u32)(group->perm &= (u16)(mode >> 3) & 7) << 3;
    return mode;
}

/* --- changes --- */

static void replace(struct inode *i, bool def, struct posix_acl *a)
{
    write_lock(&acl_lock);
    struct posix_acl *old = *at(i, def);
    atomic_store(at(i, def), a);
    rw_unlock(&acl_lock);
    free(old);
}

static int may_set(const struct inode *i)
{
    if (!i->sb->acls || S_ISLNK(i->mode)) return -EOPNOTSUPP;
    return inode_owner_or_capable(i) ? 0 : -EPERM;
}

int acl_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags)
{
    bool def = is_default(name), plain = false;
    struct posix_acl *a;
    int r = may_set(i);
    if (!r) r = parse(val, size, &a);
    if (r) return r;
    lock(&i->lock);
    bool there = *at(i, def) != NULL;
    if (there ? flags & XATTR_CREATE : flags & XATTR_REPLACE) r = there ? -EEXIST : -ENODATA;
    else if (def && !S_ISDIR(i->mode)) r = a ? -EACCES : 0;
    if (r || (def && !S_ISDIR(i->mode))) {
        unlock(&i->lock);
        free(a);
        return r;
    }
    if (!def && a) {
        u32 bits = mode_of(a, &plain);
        i->mode = (i->mode & ~0777u) | bits;
        if (!cred_in_group(current_cred(), i->gid) && !inode_capable(i, CAP_FSETID)) i->mode &= ~(u32)S_ISGID;
        if (plain) {               /* the mode says it all */
            free(a);
            a = NULL;
        }
    }
    replace(i, def, a);
    clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    unlock(&i->lock);
    return 0;
}

int acl_removexattr(struct inode *i, const char *name)
{
    int r = may_set(i);
    if (r) return r;
    lock(&i->lock);
    replace(i, is_default(name), NULL);
    clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    unlock(&i->lock);
    return 0;
}

void acl_chmod(struct inode *i)
{
    write_lock(&acl_lock);
    if (i->acl) put_mode(i->acl, i->mode);
    rw_unlock(&acl_lock);
}

bool acl_has_default(const struct inode *dir) { return atomic_load(&dir->acl_default) != NULL; }

void acl_inherit(struct inode *i, const struct inode *dir)
{
    bool plain;
    if (!dir || S_ISLNK(i->mode) || !acl_has_default(dir)) return;
    read_lock(&acl_lock);
    struct posix_acl *a = dir->acl_default ? copy_of(dir->acl_default) : NULL;
    rw_unlock(&acl_lock);
    if (!a) return;
    if (S_ISDIR(i->mode)) i->acl_default = copy_of(a);
    i->mode = narrow(a, i->mode);
    (void)mode_of(a, &plain);
    if (plain) free(a);
    else i->acl = a;
}

void acl_free(struct inode *i)
{
    free(i->acl);
    free(i->acl_default);
}

/* --- permission --- */

static int masked(const struct posix_acl *a, u32 from, u16 want)
{
    for (u32 i = from; i < a->n; i++)
        if (a->e[i].tag == MASK) return (a->e[from].perm & a->e[i].perm & want) == want ? 0 : -EACCES;
    return (a->e[from].perm & want) == want ? 0 : -EACCES;
}

static int check(const struct posix_acl *a, const struct inode *i, u16 want, const struct cred *c)
{
    bool in_a_group = false;
    for (u32 k = 0; k < a->n; k++) {
        const struct acl_entry *e = &a->e[k];
        switch (e->tag) {
        case USER:
            if (e->id == c->fsuid) return masked(a, k, want);
            break;
        case GROUP_OBJ:
        case GROUP:
            if (!cred_in_group(c, e->tag == GROUP ? e->id : i->gid)) break;
            in_a_group = true;
            if ((e->perm & want) == want) return masked(a, k, want);
            break;
        case OTHER: return in_a_group || (e->perm & want) != want ? -EACCES : 0;
        default: break;
        }
    }
    return -EACCES;
}

int acl_permission(const struct inode *i, int mask, const struct cred *c)
{
    int r = 1;
    if (likely(!atomic_load(&i->acl))) return 1;
    read_lock(&acl_lock);
    if (i->acl) r = check(i->acl, i, (u16)(mask & (MAY_READ | MAY_WRITE | MAY_EXEC)), c);
    rw_unlock(&acl_lock);
    return r;
}
