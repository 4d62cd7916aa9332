#ifndef _SYS_STATVFS_H
#define _SYS_STATVFS_H
#include <sys/types.h>
typedef struct statvfs {
    unsigned long f_bsize, f_frsize;
    fsblkcnt_t f_blocks, f_bfree, f_bavail;
    fsfilcnt_t f_files, f_ffree, f_favail;
    unsigned long f_fsid;
    char f_basetype[16];
    unsigned long f_flag, f_namemax;
    char f_fstr[32];
} statvfs_t;
#define statvfs64 statvfs
#define fstatvfs64 fstatvfs
#define ST_RDONLY 1
#define ST_NOSUID 2
#define ST_NOTRUNC 4
int statvfs(const char *, struct statvfs *);
int fstatvfs(int, struct statvfs *);
#endif
