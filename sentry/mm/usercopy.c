/*
 * Copies between the sentry and guest memory. Pages of the memory file are reached through the sentry's own mapping;
 * pages of host files through their descriptor, never by mapping them here: that stays coherent with the host's page
 * cache and cannot fault. memcpy under mm->lock is fine: memory file pages do not fault to anybody.
 */
#include "sentry/mm/internal.h"
#include "sentry/mm/usercopy.h"

#include "sentry/base/hostcall.h"
#include "sentry/kernel/task.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

HOSTCALL(pwrite64, "system calls write into shared mappings of host files");

bool user_span_locked(struct mm *mm, struct vma **hint, gaddr_t addr, size_t n, bool write, bool force, struct user_span *s)
{
    struct vma *v = *hint;
    if (!v || addr < v->start || addr >= v->end) {
        if (addr >= mm->addr_limit) return false;
        v = *hint = mm_find_vma_locked(mm, addr);
        if (!v) return false;
    }
    if (!vma_permits(v, write, force)) return false;
    u64 e = pt_get(mm->pt, addr);
    if (!e || (write && !(e & PTE_W))) return false;
    u64 in_page = addr & ~GPAGE_MASK;
    s->len = MIN(n, GPAGE_SIZE - in_page);
    if (pte_is_hostfd(e)) {
        s->ptr = NULL;
        s->fd = pte_fd(e);
        s->fd_off = pte_fd_off(e) + in_page;
        return true;
    }
    s->ptr = (u8 *)memfile_ptr(pte_page(e)) + in_page;
    /* Neighbours in the guest are mostly neighbours in the memory file. */
    for (gaddr_t a = gpage_down(addr) + GPAGE_SIZE; s->len < n && a < v->end; a += GPAGE_SIZE) {
        u64 next = pt_get(mm->pt, a);
        if (!pte_is_memfile(next) || pte_page(next) != pte_page(e) + 1 || (write && !(next & PTE_W))) break;
        e = next;
        s->len += MIN(n - s->len, GPAGE_SIZE);
    }
    return true;
}

/* Past the end of the file: the rest of its last page reads as zeros, pages after it do not exist (mmap(2), SIGBUS). */
static bool page_exists(int fd, u64 off, u64 *size)
{
    struct stat st;
    if (syscall(SYS_fstat, fd, &st)) return false; /* libc would make it newfstatat, which takes a path */
    *size = (u64)st.st_size;
    return gpage_down(off) < *size;
}

int hostpage_read(int fd, u64 off, void *dst, size_t n)
{
    u64 size;
    for (size_t done = 0; done < n;) {
        ssize_t k = pread(fd, (u8 *)dst + done, n - done, (off_t)(off + done));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return -EFAULT;
        if (k == 0) {
            if (!page_exists(fd, off, &size)) return -EFAULT;
            memset((u8 *)dst + done, 0, n - done);
            break;
        }
        done += (size_t)k;
    }
    return 0;
}

int hostpage_write(int fd, u64 off, const void *src, size_t n)
{
    u64 size;
    if (!page_exists(fd, off, &size)) return -EFAULT;
    /* Stores behind the end of the file in its last page are lost, and must not make the file longer. */
    n = off >= size ? 0 : MIN(n, size - off);
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, (const u8 *)src + done, n - done, (off_t)(off + done));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return -EFAULT;
        done += (size_t)k;
    }
    return 0;
}

enum user_dir { USER_READ, USER_WRITE, USER_ZERO };

static int copy_span(const struct user_span *s, u8 *buf, enum user_dir dir)
{
    static const u8 zeros[GPAGE_SIZE];
    if (!s->ptr) {
        if (dir == USER_READ) return hostpage_read(s->fd, s->fd_off, buf, s->len);
        return hostpage_write(s->fd, s->fd_off, dir == USER_ZERO ? zeros : buf, s->len);
    }
    if (dir == USER_READ)
        memcpy(buf, s->ptr, s->len);
    else if (dir == USER_WRITE)
        memcpy(s->ptr, buf, s->len);
    else
        memset(s->ptr, 0, s->len);
    return 0;
}

/* Bytes done before the first page that cannot be had. */
static size_t user_copy(struct mm *mm, void *buf, gaddr_t addr, size_t n, enum user_dir dir, bool force)
{
    if (!mm || addr >= mm->addr_limit) return 0;
    if (n > mm->addr_limit - addr) n = mm->addr_limit - addr;
    bool write = dir != USER_READ;
    size_t done = 0;
    struct vma *hint = NULL;
    read_lock(&mm->lock);
    while (done < n) {
        struct user_span s;
        if (user_span_locked(mm, &hint, addr + done, n - done, write, force, &s)) {
            if (copy_span(&s, (u8 *)buf + (buf ? done : 0), dir)) break;
            done += s.len;
            continue;
        }
        rw_unlock(&mm->lock);
        int r = mm_fault_in(mm, addr + done, addr + n, write, force);
        read_lock(&mm->lock);
        hint = NULL;
        if (r) break;
    }
    rw_unlock(&mm->lock);
    return done;
}

size_t mm_copy_in(struct mm *mm, void *dst, gaddr_t src, size_t n) { return user_copy(mm, dst, src, n, USER_READ, false); }
size_t mm_copy_in_force(struct mm *mm, void *dst, gaddr_t src, size_t n) { return user_copy(mm, dst, src, n, USER_READ, true); }
size_t mm_copy_out(struct mm *mm, gaddr_t dst, const void *src, size_t n)
{
    return user_copy(mm, (void *)(uintptr_t)src, dst, n, USER_WRITE, false);
}
size_t mm_copy_out_force(struct mm *mm, gaddr_t dst, const void *src, size_t n)
{
    return user_copy(mm, (void *)(uintptr_t)src, dst, n, USER_WRITE, true);
}
size_t mm_zero_out(struct mm *mm, gaddr_t dst, size_t n) { return user_copy(mm, NULL, dst, n, USER_ZERO, false); }

int copy_in(void *dst, gaddr_t src, size_t n) { return mm_copy_in(current->mm, dst, src, n) == n ? 0 : -EFAULT; }
int copy_out(gaddr_t dst, const void *src, size_t n) { return mm_copy_out(current->mm, dst, src, n) == n ? 0 : -EFAULT; }
int zero_out(gaddr_t dst, size_t n) { return mm_zero_out(current->mm, dst, n) == n ? 0 : -EFAULT; }

ssize_t copy_in_str(char *dst, gaddr_t src, size_t max)
{
    size_t done = 0;
    while (done < max) {
        size_t want = MIN(max - done, GPAGE_SIZE - ((src + done) & ~GPAGE_MASK));
        size_t got = mm_copy_in(current->mm, dst + done, src + done, want);
        char *nul = memchr(dst + done, 0, got);
        if (nul) return nul - dst;
        if (got < want) return -EFAULT;
        done += got;
    }
    return -ENAMETOOLONG;
}
