/* Memory calls. The bodies are sentry/mm; here are argument rules. Source: mmap(2), memcntl(2), brk(2) of illumos. */
#include "abi/solaris/solaris.h"
#include <sys/mman.h>

#define SM_SHARED 1u
#define SM_PRIVATE 2u
#define SM_TYPE 0xfu
#define SM_FIXED 0x10u
#define SM_NORESERVE 0x40u
#define SM_32BIT 0x80u
#define SM_ANON 0x100u
#define SM_ALIGN 0x200u
#define SM_TEXT 0x400u
#define SM_INITDATA 0x800u
#define SM_NEW 0x80000000u
#define SM_KNOWN (SM_TYPE | SM_FIXED | SM_NORESERVE | SM_32BIT | SM_ANON | SM_ALIGN | SM_TEXT | SM_INITDATA | SM_NEW)
#define PROT_ALL_ (PROT_READ | PROT_WRITE | PROT_EXEC)

sysret_t solaris_mmap(const struct syscall_args *a)
{
    u32 flags = ARG_U32(3), type = flags & SM_TYPE;
    AUTO_FILE f = NULL;
    struct mm_map_req req = { .addr = a->a[0], .len = a->a[1], .prot = ARG_U32(2) & PROT_ALL_, .off = a->a[5] };
    int r;

    if (flags & ~SM_KNOWN) return -EINVAL;
    if (ARG_U32(2) & ~(u32)PROT_ALL_) return -EINVAL;
    if (type != SM_SHARED && type != SM_PRIVATE) return -EINVAL;
    if (a->a[5] & (GPAGE_SIZE - 1)) return -EINVAL;
    if (!a->a[1]) return -EINVAL;
    if (gpage_up(a->a[1]) == 0 || gpage_up(a->a[1]) > GUEST_ADDR_MAX) return -ENOMEM;
    if (flags & SM_FIXED) {
        if (flags & SM_ALIGN) return -EINVAL;
        if (a->a[0] & (GPAGE_SIZE - 1)) return -EINVAL;
        if (a->a[0] >= GUEST_ADDR_MAX || gpage_up(a->a[1]) > GUEST_ADDR_MAX - a->a[0]) return -ENOMEM;
        req.flags |= MAP_FIXED;
    } else if (flags & SM_ALIGN) {
        if (a->a[0] & (a->a[0] - 1) || (a->a[0] && a->a[0] < GPAGE_SIZE)) return -EINVAL;
        req.align = a->a[0];
        req.addr = 0;
    } else {
        req.addr = gpage_down(req.addr);
        if (req.addr >= GUEST_ADDR_MAX) req.addr = 0;
    }
    if (flags & SM_NORESERVE) req.flags |= MAP_NORESERVE;
    if (flags & SM_32BIT) req.flags |= MAP_32BIT;
    req.flags |= type == SM_SHARED ? MAP_SHARED : MAP_PRIVATE;
    if (flags & SM_ANON) {
        if (ARG_INT(4) != -1 || a->a[5]) return -EINVAL;
        req.flags |= MAP_ANONYMOUS;
        return mm_map(current->mm, &req);
    }
    if (!(f = fd_get(ARG_INT(4)))) return -EBADF;
    if (a->a[5] + gpage_up(a->a[1]) < a->a[5]) return -ENXIO;
    req.file = f;
    if ((r = vfs_mmap_prepare(f, &req))) return r;
    return mm_map(current->mm, &req);
}

static int check_range(u64 addr, u64 len)
{
    if ((addr & (GPAGE_SIZE - 1)) || !len) return -EINVAL;
    return addr >= GUEST_ADDR_MAX || gpage_up(len) == 0 || gpage_up(len) > GUEST_ADDR_MAX - addr ? -EINVAL : 0;
}

sysret_t solaris_munmap(const struct syscall_args *a)
{
    int r = check_range(a->a[0], a->a[1]);
    return r ? r : mm_unmap(current->mm, a->a[0], a->a[1]);
}

sysret_t solaris_mprotect(const struct syscall_args *a)
{
    if (ARG_U32(2) & ~(u32)PROT_ALL_) return -EINVAL;
    if ((a->a[0] & (GPAGE_SIZE - 1)) || !a->a[1]) return -EINVAL;
    if (a->a[0] >= GUEST_ADDR_MAX || gpage_up(a->a[1]) == 0 || gpage_up(a->a[1]) > GUEST_ADDR_MAX - a->a[0]) return -ENOMEM;
    return mm_protect(current->mm, a->a[0], a->a[1], ARG_U32(2), 0);
}

/* 0 or an error, not the break; brk(0) asks for the one in force, as newer illumos answers. */
sysret_t solaris_brk(const struct syscall_args *a)
{
    sysret_t now = mm_brk(current->mm, a->a[0]);

    if (!a->a[0]) return now;
    return now == (sysret_t)a->a[0] ? 0 : -ENOMEM;
}

sysret_t solaris_mincore(const struct syscall_args *a)
{
    if ((a->a[0] & (GPAGE_SIZE - 1)) || !a->a[1]) return -EINVAL;
    return mm_mincore(current->mm, a->a[0], a->a[1], a->a[2]);
}

enum { MC_SYNC = 1, MC_LOCK, MC_UNLOCK, MC_ADVISE, MC_LOCKAS, MC_UNLOCKAS, MC_HAT_ADVISE, MC_INHERIT_ZERO };

static sysret_t advise(u64 addr, u64 len, int advice)
{
    switch (advice) {
    case 0: case 1: case 2: case 3:   /* NORMAL RANDOM SEQUENTIAL WILLNEED */
        return mm_madvise(current->mm, addr, len, advice);
    case 4:                           /* DONTNEED keeps anonymous contents, unlike the host's */
    case 6: case 7: case 8:           /* ACCESS_DEFAULT, _LWP, _MANY: placement on NUMA machines */
        return mm_madvise(current->mm, addr, len, MADV_NORMAL);
    case 5:
        return mm_madvise(current->mm, addr, len, MADV_FREE);
    case 9:                           /* PURGE */
        return mm_madvise(current->mm, addr, len, MADV_DONTNEED);
    default:
        return -EINVAL;
    }
}

/* A wish for larger pages, for a range, the heap or the stack: there is one size, of which 0 ("the best") is one more name. */
static sysret_t hat_advise(u64 addr, u64 len, gaddr_t arg)
{
    struct { u32 cmd, flags; u64 pagesize; } mha;

    if (copy_in(&mha, arg, sizeof(mha))) return -EFAULT;
    if ((mha.cmd != 1 && mha.cmd != 2 && mha.cmd != 4) || mha.flags) return -EINVAL;   /* MHA_MAPSIZE_VA, _STACK, _BSSBRK */
    if (mha.cmd != 1 ? addr || len : ((addr | len) & (GPAGE_SIZE - 1)) != 0) return -EINVAL;
    if (mha.cmd == 1 && (addr >= GUEST_ADDR_MAX || len > GUEST_ADDR_MAX - addr)) return -ENOMEM;
    return mha.pagesize && mha.pagesize != GPAGE_SIZE ? -EINVAL : 0;
}

#define MC_ATTRS 0x37u   /* PROT_READ, WRITE, EXEC, SHARED 0x10, PRIVATE 0x20 */

/* memcntl(addr, len, cmd, arg, attr, mask): attr would select mappings by protection and kind; the whole range is taken. */
sysret_t solaris_memcntl(const struct syscall_args *a)
{
    struct mm *mm = current->mm;
    u64 addr = a->a[0], len = a->a[1], arg = a->a[3];
    int cmd = ARG_INT(2);

    if (a->a[5]) return -EINVAL;
    if (cmd == MC_HAT_ADVISE) return ARG_INT(4) ? -EINVAL : hat_advise(addr, len, arg);
    if (cmd == MC_LOCKAS || cmd == MC_UNLOCKAS) {
        if (addr || len) return -EINVAL;
    } else {
        if ((addr & (GPAGE_SIZE - 1)) || !len) return -EINVAL;
        if (addr >= GUEST_ADDR_MAX || gpage_up(len) == 0 || gpage_up(len) > GUEST_ADDR_MAX - addr) return -ENOMEM;
    }
    if (ARG_U32(4) & ~MC_ATTRS || (ARG_U32(4) & 0x30) == 0x30) return -EINVAL;
    switch (cmd) {
    case MC_SYNC:
        if (arg & ~7ULL || (arg & 5) == 5) return -EINVAL;
        return mm_msync(mm, addr, len, (int)arg);
    case MC_LOCK: return mm_mlock(mm, addr, len, true, false);
    case MC_UNLOCK: return mm_mlock(mm, addr, len, false, false);
    case MC_ADVISE: return advise(addr, len, (int)arg);
    case MC_LOCKAS:
        if (!arg || arg & ~3ULL) return -EINVAL;
        return mm_mlockall(mm, (int)arg);
    case MC_UNLOCKAS: return mm_mlockall(mm, 0);
    case MC_INHERIT_ZERO:
        if (arg || ARG_U32(4)) return -EINVAL;
        return mm_madvise(mm, addr, len, MADV_WIPEONFORK);
    default: return -EINVAL;
    }
}

/* getpagesizes(legacy, sizes, n) */
sysret_t solaris_getpagesizes(const struct syscall_args *a)
{
    u64 size = GPAGE_SIZE;

    if (ARG_INT(2) < 0 || (!ARG_INT(2) && a->a[1]) || (ARG_INT(2) && !a->a[1])) return -EINVAL;
    if (a->a[1] && copy_out(a->a[1], &size, sizeof(size))) return -EFAULT;
    return 1;
}

/* Copies that answer EFAULT instead of a signal. */
sysret_t solaris_uucopy(const struct syscall_args *a)
{
    u8 buf[4096];

    for (u64 at = 0, n; at < a->a[2]; at += n) {
        n = MIN(sizeof(buf), a->a[2] - at);
        if (copy_in(buf, a->a[0] + at, n) || copy_out(a->a[1] + at, buf, n)) return -EFAULT;
        if (signal_pending(current) && at + n < a->a[2] && at > (64ULL << 20)) return -EINTR;
    }
    return 0;
}

/* uucopystr(from, to, n): at most n bytes with the NUL; the length with it, ENAMETOOLONG if there was none. */
sysret_t solaris_uucopystr(const struct syscall_args *a)
{
    u64 from = a->a[0], to = a->a[1], left = MIN(a->a[2], (u64)GUEST_ADDR_MAX), at = 0;
    char buf[1024];

    while (at < left) {
        size_t room = (size_t)MIN((u64)sizeof(buf), left - at);
        ssize_t n = copy_in_str(buf, from + at, room);

        if (n >= 0) return copy_out(to + at, buf, (size_t)n + 1) ? -EFAULT : (sysret_t)(at + (u64)n + 1);
        if (n != -ENAMETOOLONG) return -EFAULT;
        if (copy_in(buf, from + at, room) || copy_out(to + at, buf, room)) return -EFAULT;
        at += room;
        if (signal_pending(current) && at > (64ULL << 20)) return -EINTR;
    }
    return -ENAMETOOLONG;
}
