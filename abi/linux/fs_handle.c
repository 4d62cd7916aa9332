/* name_to_handle_at(2), cachestat(2). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include <string.h>

#define LINUX_AT_HANDLE_FID 0x200u
#define LINUX_AT_HANDLE_MNT_ID_UNIQUE 1u
#define LINUX_AT_HANDLE_CONNECTABLE 2u
#define LINUX_AT_SYMLINK_FOLLOW 0x400u
#define HANDLE_MAX 128u            /* MAX_HANDLE_SZ */
#define FILEID_INO64_GEN 0x81      /* what Linux gives of a file system that can open none */

struct linux_handle_head { u32 bytes; s32 type; };
struct linux_fid { u64 ino; u32 gen; } __attribute__((packed));

/* Handles that only tell files apart. Those that open_by_handle_at(2) would take are refused: no file system here finds a file by number. */
sysret_t linux_name_to_handle_at(const struct syscall_args *a)
{
    u32 flags = ARG_U32(4);
    struct linux_handle_head head;
    struct kstat st;
    AUTO_PATH p = { 0 };
    int r;

    if (flags & ~(LINUX_AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | LINUX_AT_HANDLE_FID | LINUX_AT_HANDLE_MNT_ID_UNIQUE | LINUX_AT_HANDLE_CONNECTABLE)) return -EINVAL;
    if ((flags & LINUX_AT_HANDLE_FID) && (flags & LINUX_AT_HANDLE_CONNECTABLE)) return -EINVAL;
    PATH_ARG(path, a->a[1]);
    if ((r = vfs_walk(ARG_INT(0), path, (flags & LINUX_AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &p))) return r;
    if (copy_in(&head, a->a[2], sizeof(head))) return -EFAULT;
    if (head.bytes > HANDLE_MAX) return -EINVAL;
    if (!(flags & LINUX_AT_HANDLE_FID)) return -EOPNOTSUPP;
    if ((r = vfs_stat_path(&p, &st))) return r;
    bool fits = head.bytes >= sizeof(struct linux_fid);
    struct linux_fid fid = { .ino = st.ino, .gen = (u32)st.dev };
    head = (struct linux_handle_head){ sizeof(fid), FILEID_INO64_GEN };
    u64 unique = p.mnt ? p.mnt->unique : 0;
    u32 old = p.mnt ? p.mnt->id : 0;
    if (flags & LINUX_AT_HANDLE_MNT_ID_UNIQUE ? copy_out(a->a[3], &unique, sizeof(unique)) : copy_out(a->a[3], &old, sizeof(old))) return -EFAULT;
    if (copy_out(a->a[2], &head, sizeof(head)) || (fits && copy_out(a->a[2] + sizeof(head), &fid, sizeof(fid)))) return -EFAULT;
    return fits ? 0 : -EOVERFLOW;
}

struct linux_cachestat_range { u64 off, len; };
struct linux_cachestat { u64 cache, dirty, writeback, evicted, recently_evicted; };

sysret_t linux_cachestat(const struct syscall_args *a)
{
    struct linux_cachestat_range range;
    struct linux_cachestat out = { 0 };

    FILE_ARG(f, a->a[0]);
    if (copy_in(&range, a->a[1], sizeof(range))) return -EFAULT;
    if (!f->inode || !S_ISREG(f->inode->mode)) return -EOPNOTSUPP;
    if (a->a[3]) return -EINVAL;
    u64 first = range.off >> GPAGE_SHIFT, end;
    if (!range.len || __builtin_add_overflow(range.off, range.len - 1, &end)) end = UINT64_MAX;
    if (!tmpfs_count_pages(f->inode, first, end >> GPAGE_SHIFT, &out.cache)) return -EOPNOTSUPP;
    return copy_out(a->a[2], &out, sizeof(out)) ? -EFAULT : 0;
}
