#ifndef _PWD_H
#define _PWD_H
#include <sys/types.h>
#include <stdio.h>
struct passwd {
    char *pw_name, *pw_passwd;
    uid_t pw_uid;
    gid_t pw_gid;
    char *pw_age, *pw_comment, *pw_gecos, *pw_dir, *pw_shell;
};
struct passwd *getpwnam(const char *);
struct passwd *getpwuid(uid_t);
struct passwd *getpwent(void);
void setpwent(void);
void endpwent(void);
struct passwd *fgetpwent(FILE *);
int __posix_getpwnam_r(const char *, struct passwd *, char *, size_t, struct passwd **);
int __posix_getpwuid_r(uid_t, struct passwd *, char *, size_t, struct passwd **);
#define getpwnam_r __posix_getpwnam_r
#define getpwuid_r __posix_getpwuid_r
#endif
