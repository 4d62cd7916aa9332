/*
 * The only way to guest memory. All functions check that the range lies in the guest, take mm->lock (read) themselves
 * and resolve faults by filling the page table (never the platform). Data are read once: copy in, then check.
 * `prot` of the vma counts: a copy to a read-only page is -EFAULT, to a copy-on-write page makes the copy.
 */
#ifndef SUNDOG_MM_USERCOPY_H
#define SUNDOG_MM_USERCOPY_H

#include "sentry/base/types.h"
#include <sys/uio.h>

struct mm;

/* 0 or -EFAULT (then part may have been copied). mm: current->mm mostly. */
int copy_in(void *dst, gaddr_t src, size_t n) MUST_CHECK;          /* of the current task */
int copy_out(gaddr_t dst, const void *src, size_t n) MUST_CHECK;
int zero_out(gaddr_t dst, size_t n) MUST_CHECK;
/* NUL-terminated string of at most max-1 characters: length, -EFAULT, or -ENAMETOOLONG when no NUL within max. */
ssize_t copy_in_str(char *dst, gaddr_t src, size_t max) MUST_CHECK;

/* The same for another address space; bytes copied before the first bad page (process_vm_readv, /proc/pid/mem, ptrace). */
size_t mm_copy_in(struct mm *mm, void *dst, gaddr_t src, size_t n);
size_t mm_copy_out(struct mm *mm, gaddr_t dst, const void *src, size_t n);
/* force: ignore page protection the way ptrace(2) POKE does (copy-on-write break of private pages) */
size_t mm_copy_out_force(struct mm *mm, gaddr_t dst, const void *src, size_t n);

/* ... and reads what the guest itself may not (PROT_NONE): ptrace PEEK, /proc/pid/mem */
size_t mm_copy_in_force(struct mm *mm, void *dst, gaddr_t src, size_t n);
size_t mm_zero_out(struct mm *mm, gaddr_t dst, size_t n);

/* Atomic operations on an aligned guest word, for futexes. 0 or -EFAULT (or -EINVAL unaligned). */
int user_load32(gaddr_t addr, u32 *out) MUST_CHECK;
int user_cmpxchg32(gaddr_t addr, u32 old, u32 new_, u32 *seen) MUST_CHECK; /* *seen == old: it was exchanged */
int mm_user_cmpxchg32(struct mm *mm, gaddr_t addr, u32 old, u32 new_, u32 *seen) MUST_CHECK;
enum user_rmw { USER_RMW_SET, USER_RMW_ADD, USER_RMW_OR, USER_RMW_ANDN, USER_RMW_XOR };
int user_rmw32(gaddr_t addr, enum user_rmw op, u32 arg, u32 *old) MUST_CHECK;

/*
 * A transfer: a list of guest (or kernel) segments consumed from the front. Owner: the system call in progress.
 * File systems and sockets move data only through these, so that data go straight between source and guest pages.
 */
struct uio_seg { u64 base; u64 len; };   /* guest address, or host pointer when kernel */
struct uio {
    struct mm *mm;               /* NULL: segments are sentry memory */
    struct uio_seg *segs;
    unsigned nsegs;              /* remaining */
    u64 seg_done;                /* bytes consumed of segs[0] */
    u64 resid;                   /* bytes left */
    struct uio_seg inline_segs[8];
    struct uio_seg *heap;        /* owned, or NULL */
};

void uio_init_kernel(struct uio *u, void *buf, size_t len);
/* One guest buffer. The length is clamped to INT_MAX & page mask as Linux does; -EFAULT for a range outside the guest. */
int uio_init_guest(struct uio *u, gaddr_t buf, u64 len) MUST_CHECK;
/* A guest array of {u64 base, u64 len}: -EINVAL (count > 1024, negative length), -EFAULT. */
int uio_init_guest_iov(struct uio *u, gaddr_t iov, u64 count) MUST_CHECK;
void uio_fini(struct uio *u);

/*
 * Move n <= resid bytes and consume them. Return bytes moved; less than n only at a bad guest page; -EFAULT when
 * nothing moved. "in": from guest to the sentry (a write(2)); "out": to the guest (a read(2)).
 */
ssize_t uio_copy_in(struct uio *u, void *dst, size_t n) MUST_CHECK;
ssize_t uio_copy_out(struct uio *u, const void *src, size_t n) MUST_CHECK;
ssize_t uio_zero_out(struct uio *u, size_t n) MUST_CHECK;
void uio_skip(struct uio *u, size_t n);
/* A second view of the same remaining bytes, for "peek then consume"; freed with uio_fini. */
void uio_clone(struct uio *dst, const struct uio *src);

/*
 * Straight between a host descriptor and the guest's pages, at most n bytes, holding mm->lock for reading meanwhile:
 * only for descriptors that do not block (regular files, O_NONBLOCK). off < 0: no offset (read/write).
 * Returns what the host call returned (-errno), consuming that many bytes.
 */
ssize_t uio_host_read(struct uio *u, int fd, s64 off, size_t n) MUST_CHECK;
ssize_t uio_host_write(struct uio *u, int fd, s64 off, size_t n) MUST_CHECK;

#endif
