/*
 * Files of tmpfs without a name: memfd_create(2) with its seals, shared anonymous memory, SysV and POSIX shared memory.
 * They live on one internal tmpfs without a size limit of its own (the memory limit holds). MFD_HUGETLB is refused with
 * ENOMEM, as on a Linux without reserved huge pages.
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define MFD_KNOWN (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | 0x8u /* NOEXEC_SEAL */ | 0x10u /* EXEC */)
#define MFD_NOEXEC_SEAL_ 0x8u
#define MFD_EXEC_ 0x10u
#define F_SEAL_EXEC_ 0x20u
#define SEALS_ALL (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC_)

static struct super *shm_sb;
static struct mount *shm_mnt;
static pthread_once_t shm_once = PTHREAD_ONCE_INIT;

static void shm_setup(void)
{
    if (tmpfs_new(0, 0777 | S_ISVTX, 0, 0, &shm_sb)) return;
    tmpfs_s(shm_sb)->max_pages = 0;
    shm_mnt = mount_new_internal(shm_sb);
}

static int unnamed(const char *name, u32 mode, u32 flags, struct file **out)
{
    pthread_once(&shm_once, shm_setup);
    struct inode *i = tmpfs_inode_new(shm_sb, NULL, S_IFREG | mode, 0);
    if (!i) return -ENOSPC;
    i->nlink = 0;
    struct path p = { shm_mnt, dentry_new_disconnected(shm_sb, name, i, true) };
    mount_get(shm_mnt);
    int r = vfs_open_nocheck(&p, O_RDWR | flags, out);
    path_put(&p);
    return r;
}

int memfd_create_file(const char *name, u32 flags, struct file **out)
{
    *out = NULL;
    if (flags & MFD_HUGETLB) {
        if (flags & ~(MFD_KNOWN | (63u << 26))) return -EINVAL;
        return -ENOMEM;
    }
    if (flags & ~MFD_KNOWN) return -EINVAL;
    if ((flags & MFD_EXEC_) && (flags & MFD_NOEXEC_SEAL_)) return -EINVAL;
    if (strlen(name) > KNAME_MAX - 6) return -EINVAL;
    AUTO_FREE char *full = xasprintf("memfd:%s", name);
    int r = unnamed(full, flags & MFD_NOEXEC_SEAL_ ? 0666 : 0777, KO_LARGEFILE, out);
    if (r) return r;
    struct tmpfs_inode *t = tmpfs_i((*out)->inode);
    t->is_memfd = true;
    t->seals = flags & MFD_NOEXEC_SEAL_ ? F_SEAL_EXEC_ : flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
    return 0;
}

int shmem_create_anon(u64 size, struct file **out)
{
    int r = unnamed("dev/zero", 0777, 0, out);
    if (r) return r;
    struct inode *i = (*out)->inode;
    lock(&i->lock);
    r = tmpfs_resize(i, size);
    unlock(&i->lock);
    if (r) {
        file_put(*out);
        *out = NULL;
    }
    return r;
}

static struct tmpfs_inode *sealable(struct file *f)
{
    if (!f->inode || f->inode->ops != &tmpfs_file_inode_ops) return NULL;
    return tmpfs_i(f->inode);
}

int memfd_get_seals(struct file *f)
{
    struct tmpfs_inode *t = sealable(f);
    if (!t) return -EINVAL;
    return (int)(t->is_memfd ? atomic_load(&t->seals) : F_SEAL_SEAL);
}

/* A shared mapping through which somebody can write now or after mprotect. */
static bool has_writable_mapping(struct inode *i)
{
    bool found = false;
    struct vma *v;
    lock(&i->map.lock);
    LIST_FOREACH(v, &i->map.vmas, obj_link)
        if ((v->flags & VMA_SHARED) && (v->max_prot & PROT_WRITE)) found = true;
    unlock(&i->map.lock);
    return found;
}

int memfd_add_seals(struct file *f, u32 seals)
{
    struct tmpfs_inode *t = sealable(f);
    if (!t) return -EINVAL;
    if (!(f->mode & FMODE_WRITE)) return -EPERM;
    if (seals & ~(u32)SEALS_ALL) return -EINVAL;
    struct inode *i = &t->vfs;
    int r = 0;
    lock(&i->lock);
    if (!t->is_memfd || (t->seals & F_SEAL_SEAL)) {
        r = -EPERM;
    } else {
        if ((seals & F_SEAL_EXEC_) && (i->mode & 0111)) seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
        if ((seals & F_SEAL_WRITE) && !(t->seals & F_SEAL_WRITE) && has_writable_mapping(i)) r = -EBUSY;
        else atomic_or(&t->seals, seals);
    }
    unlock(&i->lock);
    return r;
}
