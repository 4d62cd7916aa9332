#ifndef _SYS_MMAN_H
#define _SYS_MMAN_H
#include <sys/types.h>
#define PROT_NONE 0
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_FIXED 0x10
#define MAP_NORESERVE 0x40
#define MAP_32BIT 0x80
#define MAP_ANON 0x100
#define MAP_ANONYMOUS MAP_ANON
#define MAP_ALIGN 0x200
#define MAP_TEXT 0x400
#define MAP_INITDATA 0x800
#define MAP_FAILED ((void *)-1)
#define MS_ASYNC 1
#define MS_INVALIDATE 2
#define MS_SYNC 4
#define MADV_NORMAL 0
#define MADV_RANDOM 1
#define MADV_SEQUENTIAL 2
#define MADV_WILLNEED 3
#define MADV_DONTNEED 4
#define MADV_FREE 5
#define MADV_ACCESS_DEFAULT 6
#define MADV_ACCESS_LWP 7
#define MADV_ACCESS_MANY 8
#define MADV_PURGE 9
#define POSIX_MADV_NORMAL 0
#define POSIX_MADV_RANDOM 1
#define POSIX_MADV_SEQUENTIAL 2
#define POSIX_MADV_WILLNEED 3
#define POSIX_MADV_DONTNEED 4
#define MC_SYNC 1
#define MC_LOCK 2
#define MC_UNLOCK 3
#define MC_ADVISE 4
#define MC_LOCKAS 5
#define MC_UNLOCKAS 6
#define MCL_CURRENT 1
#define MCL_FUTURE 2
void *mmap(void *, size_t, int, int, int, off_t);
int munmap(void *, size_t);
int mprotect(void *, size_t, int);
int msync(void *, size_t, int);
int mlock(const void *, size_t);
int munlock(const void *, size_t);
int mlockall(int);
int munlockall(void);
int madvise(void *, size_t, int);
int posix_madvise(void *, size_t, int);
int mincore(caddr_t, size_t, char *);
int memcntl(caddr_t, size_t, int, caddr_t, int, int);
int shm_open(const char *, int, mode_t);
int shm_unlink(const char *);
#define mmap64 mmap
#endif
