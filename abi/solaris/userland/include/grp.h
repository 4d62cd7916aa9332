#ifndef _GRP_H
#define _GRP_H
#include <sys/types.h>
#include <stdio.h>
struct group { char *gr_name, *gr_passwd; gid_t gr_gid; char **gr_mem; };
struct group *getgrnam(const char *);
struct group *getgrgid(gid_t);
struct group *getgrent(void);
void setgrent(void);
void endgrent(void);
struct group *fgetgrent(FILE *);
int __posix_getgrnam_r(const char *, struct group *, char *, size_t, struct group **);
int __posix_getgrgid_r(gid_t, struct group *, char *, size_t, struct group **);
#define getgrnam_r __posix_getgrnam_r
#define getgrgid_r __posix_getgrgid_r
int initgroups(const char *, gid_t);
#endif
