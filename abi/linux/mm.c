/* Memory calls. The bodies are sentry/mm; here are argument rules. Source: mmap(2), mremap(2), madvise(2), mlock(2)... */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/landlock/landlock.h"
#include "sentry/base/alloc.h"
#include <linux/capability.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>

#define MAP_LEGACY_KNOWN (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | \
    MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT)
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define MAP_PASSED (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN | MAP_NORESERVE | MAP_LOCKED | MAP_POPULATE | MAP_STACK | MAP_32BIT)

sysret_t linux_mmap(const struct syscall_args *a)
{
    u32 prot = ARG_U32(2) & (PROT_READ | PROT_WRITE | PROT_EXEC), flags = ARG_U32(3), type = flags & MAP_TYPE;
    AUTO_FILE f = NULL;
    struct mm_map_req req = { .addr = a->a[0], .len = a->a[1], .prot = prot, .flags = flags & MAP_PASSED, .off = a->a[5] };
    int r;

    if (a->a[5] & (GPAGE_SIZE - 1)) return -EINVAL;
    if (!(flags & MAP_ANONYMOUS)) {
        if (!(f = fd_get((int)a->a[4]))) return -EBADF;
        if (flags & MAP_HUGETLB) return -EINVAL;   /* no file of the sandbox is on hugetlbfs */
    } else if (flags & MAP_HUGETLB) {
        return -ENOMEM;                            /* as with no huge pages set aside */
    }
    if (!a->a[1]) return -EINVAL;
    if (gpage_up(a->a[1]) == 0 || gpage_up(a->a[1]) > GUEST_ADDR_MAX) return -ENOMEM;
    if (!f) {
        if (type != MAP_SHARED && type != MAP_PRIVATE) return -EINVAL;
        req.flags |= type | MAP_ANONYMOUS;
        req.off = 0;
        return mm_map(current->mm, &req);
    }
    /* file_mmap_ok() */
    u64 end_max = f->inode && S_ISREG(f->inode->mode) ? INT64_MAX : UINT64_MAX;
    if (a->a[5] > ((end_max - gpage_up(a->a[1])) & GPAGE_MASK)) return -EOVERFLOW;
    switch (type) {
    case MAP_SHARED_VALIDATE:
        if (flags & ~(u32)(MAP_LEGACY_KNOWN | MAP_FIXED_NOREPLACE | MAP_SHARED_VALIDATE)) return -EOPNOTSUPP;
        req.flags |= MAP_SHARED;
        break;
    case MAP_SHARED:
    case MAP_PRIVATE:
        req.flags |= type;
        break;
    default:
        return -EINVAL;
    }
    req.file = f;
    if ((r = vfs_mmap_prepare(f, &req))) return r;
    return mm_map(current->mm, &req);
}

sysret_t linux_munmap(const struct syscall_args *a)
{
    return mm_unmap(current->mm, a->a[0], a->a[1]);
}

sysret_t linux_mprotect(const struct syscall_args *a)
{
    u32 prot = ARG_U32(2), grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);

    if (grows == (PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
    if (a->a[0] & (GPAGE_SIZE - 1)) return -EINVAL;
    if (!a->a[1]) return 0;
    if (a->a[0] + gpage_up(a->a[1]) <= a->a[0]) return -ENOMEM;
    /* PROT_SEM means nothing on x86. */
    if (prot & ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC | 8 | PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
    return mm_protect(current->mm, a->a[0], a->a[1], prot & (PROT_READ | PROT_WRITE | PROT_EXEC), grows);
}

sysret_t linux_mseal(const struct syscall_args *a) { return a->a[2] ? -EINVAL : mm_seal(current->mm, a->a[0], a->a[1]); }

sysret_t linux_pkey_mprotect(const struct syscall_args *a)
{
    return ARG_INT(3) == -1 ? linux_mprotect(a) : -EINVAL;
}

sysret_t linux_mremap(const struct syscall_args *a)
{
    return mm_remap(current->mm, a->a[0], a->a[1], a->a[2], ARG_U32(3), a->a[4]);
}

sysret_t linux_brk(const struct syscall_args *a)
{
    return mm_brk(current->mm, a->a[0]);
}

sysret_t linux_madvise(const struct syscall_args *a)
{
    return mm_madvise(current->mm, a->a[0], a->a[1], ARG_INT(2));
}

sysret_t linux_msync(const struct syscall_args *a)
{
    int flags = ARG_INT(2);

    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) return -EINVAL;
    if (a->a[0] & (GPAGE_SIZE - 1)) return -EINVAL;
    if ((flags & MS_ASYNC) && (flags & MS_SYNC)) return -EINVAL;
    if (a->a[0] + gpage_up(a->a[1]) < a->a[0]) return -ENOMEM;
    return a->a[1] ? mm_msync(current->mm, a->a[0], a->a[1], flags) : 0;
}

sysret_t linux_mincore(const struct syscall_args *a)
{
    return mm_mincore(current->mm, a->a[0], a->a[1], a->a[2]);
}

sysret_t linux_mlock(const struct syscall_args *a)
{
    return mm_mlock(current->mm, a->a[0], a->a[1], true, false);
}

sysret_t linux_mlock2(const struct syscall_args *a)
{
    if (a->a[2] & ~1ULL) return -EINVAL;   /* MLOCK_ONFAULT */
    return mm_mlock(current->mm, a->a[0], a->a[1], true, a->a[2]);
}

sysret_t linux_munlock(const struct syscall_args *a)
{
    return mm_mlock(current->mm, a->a[0], a->a[1], false, false);
}

sysret_t linux_mlockall(const struct syscall_args *a)
{
    int flags = ARG_INT(0);

    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT) return -EINVAL;
    if (!current_rlimit(RLIMIT_MEMLOCK) && !capable(CAP_IPC_LOCK)) return -EPERM;
    return mm_mlockall(current->mm, flags);
}

sysret_t linux_munlockall(const struct syscall_args *a)
{
    (void)a;
    return mm_mlockall(current->mm, 0);
}

sysret_t linux_memfd_create(const struct syscall_args *a)
{
    u32 flags = ARG_U32(1), known = MFD_CLOEXEC | MFD_ALLOW_SEALING | 8 /* MFD_NOEXEC_SEAL */ | 0x10 /* MFD_EXEC */;
    char name[250];
    struct file *f;
    ssize_t n;
    int r;

    if (flags & MFD_HUGETLB) return flags & ~(known | MFD_HUGETLB | 0xfc000000u) ? -EINVAL : -ENOSYS;
    if ((flags & ~known) || (flags & 0x18) == 0x18) return -EINVAL;
    n = copy_in_str(name, a->a[0], sizeof(name));
    if (n < 0) return n == -ENAMETOOLONG ? -EINVAL : n;
    if ((r = memfd_create_file(name, flags, &f))) return r;
    if ((r = fd_install(f, flags & MFD_CLOEXEC)) < 0) file_put(f);
    return r;
}

/*
 * Since Linux 4.0 itself an emulation over mmap: the pages from pgoff on appear at start, in a shared file mapping that
 * covers the range.
 */
sysret_t linux_remap_file_pages(const struct syscall_args *a)
{
    struct mm *mm = current->mm;
    gaddr_t start = gpage_down(a->a[0]);
    u64 size = gpage_down(a->a[1]), off;
    struct mm_map_req req = { .addr = start, .len = size };
    sysret_t r = -EINVAL;

    if (a->a[2]) return -EINVAL;   /* prot */
    if (!size || start + size <= start || mul_overflow(a->a[3], GPAGE_SIZE, &off) || off + size < off) return -EINVAL;
    read_lock(&mm->lock);
    struct vma *v = mm_find_vma_locked(mm, start);
    if (v && (v->flags & VMA_SHARED) && v->file && v->obj && start + size <= v->end) {
        req.prot = v->prot;
        req.max_prot = v->max_prot;
        req.flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
        req.file = v->file;
        req.obj = v->obj;
        req.off = off;
        file_get(v->file);
        r = 0;
    }
    rw_unlock(&mm->lock);
    if (r) return r;
    r = mm_map(mm, &req);
    file_put(req.file);
    return r < 0 ? r : 0;
}

/* --- other processes' memory --- */

/* __ptrace_may_access(): the same ids, or CAP_SYS_PTRACE; and not what must not be dumped. */
bool linux_may_access_task(struct task *t)
{
    const struct cred *c = current_cred();
    struct cred *o;
    struct mm *mm;
    bool same, dumpable = true;

    if (t->tg == current->tg) return true;
    o = task_get_cred(t);
    if (ll_trace(c->landlock, o)) {
        cred_put(o);
        return false;
    }
    if (capable(CAP_SYS_PTRACE) || cred_ns_capable(c, o->user_ns, CAP_SYS_PTRACE)) {
        cred_put(o);
        return true;
    }
    same = c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid && c->gid == o->sgid && c->gid == o->gid &&
        cred_may_trace(c, o);
    cred_put(o);
    if (same && (mm = task_get_mm(t))) {
        dumpable = mm->dumpable == 1;
        mm_put(mm);
    }
    return same && dumpable;
}

/* The mm of a process named by pid that current may look into. */
static int access_mm(s32 pid, struct mm **out)
{
    struct task *t = task_lookup_get(pid_in(pid));

    if (!t) return -ESRCH;
    if (!linux_may_access_task(t)) {
        task_put(t);
        return -EPERM;
    }
    *out = task_get_mm(t);
    task_put(t);
    return *out ? 0 : -ESRCH;
}

static sysret_t vm_readv_writev(const struct syscall_args *a, bool write)
{
    struct uio local = { 0 }, remote = { 0 };
    AUTO_FREE u8 *buf = NULL;
    struct mm *mm = NULL;
    sysret_t done = 0, r;

    if (a->a[5]) return -EINVAL;
    if ((r = uio_init_guest_iov(&local, a->a[1], a->a[2]))) return r;
    if (!local.resid) goto out;
    if ((r = uio_init_guest_iov(&remote, a->a[3], a->a[4]))) goto out;
    if ((r = access_mm(ARG_INT(0), &mm))) goto out;
    buf = xzalloc(65536);
    for (unsigned i = 0; i < remote.nsegs && local.resid; i++) {
        for (u64 at = 0; at < remote.segs[i].len && local.resid;) {
            u64 left = MIN(remote.segs[i].len - at, local.resid);
            size_t n = MIN(left, 65536ULL), got;
            gaddr_t p = remote.segs[i].base + at;
            if (write) {
                ssize_t in = uio_copy_in(&local, buf, n);
                got = in > 0 ? mm_copy_out(mm, p, buf, (size_t)in) : 0;
            } else {
                got = mm_copy_in(mm, buf, p, n);
                ssize_t put = got ? uio_copy_out(&local, buf, got) : 0;
                got = put > 0 ? (size_t)put : 0;
            }
            done += (sysret_t)got;
            at += got;
            if (got < n) {
                r = done ? 0 : -EFAULT;
                goto out;
            }
        }
    }
out:
    if (mm) mm_put(mm);
    uio_fini(&local);
    uio_fini(&remote);
    return r ? r : done;
}

sysret_t linux_process_vm_readv(const struct syscall_args *a)
{
    return vm_readv_writev(a, false);
}

sysret_t linux_process_vm_writev(const struct syscall_args *a)
{
    return vm_readv_writev(a, true);
}

sysret_t linux_process_madvise(const struct syscall_args *a)
{
    int advice = ARG_INT(3);
    AUTO_UIO u = { 0 };
    struct tgroup *tg;
    struct mm *mm;
    sysret_t r, done = 0;

    if (ARG_U32(4)) return -EINVAL;
    if ((r = uio_init_guest_iov(&u, a->a[1], a->a[2]))) return r;
    FILE_ARG(f, a->a[0]);
    if (!(tg = pidfd_tgroup(f))) return -EBADF;
    if (advice != 20 /* COLD */ && advice != 21 /* PAGEOUT */ && advice != MADV_WILLNEED && advice != 25 /* COLLAPSE */)
        return -EINVAL;
    r = access_mm(pid_out(tg->tgid), &mm);
    if (!r && tg != current->tg && !capable(CAP_SYS_NICE)) {
        mm_put(mm);
        r = -EPERM;
    }
    if (!r) {
        for (unsigned i = 0; i < u.nsegs && !r; i++) {
            r = mm_madvise(mm, u.segs[i].base, u.segs[i].len, advice);
            if (!r) done += (sysret_t)u.segs[i].len;
        }
        mm_put(mm);
    }
    return done ? done : r;
}
