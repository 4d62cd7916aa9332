#ifndef _UNISTD_H
#define _UNISTD_H
#include <sys/types.h>
#include <sys/unistd.h>
#define R_OK 4
#define W_OK 2
#define X_OK 1
#define F_OK 0
#ifndef SEEK_SET
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#endif
#define SEEK_DATA 3
#define SEEK_HOLE 4
#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2
#define F_ULOCK 0
#define F_LOCK 1
#define F_TLOCK 2
#define F_TEST 3
#define _POSIX_VERSION 200112L
#define _POSIX2_VERSION 200112L
#define _XOPEN_VERSION 600
#define _POSIX_THREADS 200112L
#define _POSIX_TIMERS 200112L
#define _POSIX_SPAWN 200112L
#define _POSIX_VDISABLE 0
extern char **environ;
extern char *optarg;
extern int optind, opterr, optopt;
int access(const char *, int);
int faccessat(int, const char *, int, int);
unsigned int alarm(unsigned int);
int brk(void *);
void *sbrk(intptr_t);
int chdir(const char *);
int chown(const char *, uid_t, gid_t);
int chroot(const char *);
int close(int);
void closefrom(int);
size_t confstr(int, char *, size_t);
char *ctermid(char *);
char *cuserid(char *);
int dup(int);
int dup2(int, int);
int dup3(int, int, int);
int execl(const char *, const char *, ...);
int execle(const char *, const char *, ...);
int execlp(const char *, const char *, ...);
int execv(const char *, char *const *);
int execve(const char *, char *const *, char *const *);
int execvp(const char *, char *const *);
int fexecve(int, char *const *, char *const *);
__attribute__((noreturn)) void _exit(int);
int fchdir(int);
int fchown(int, uid_t, gid_t);
int fchownat(int, const char *, uid_t, gid_t, int);
int fdatasync(int);
pid_t fork(void);
pid_t fork1(void);
pid_t forkall(void);
pid_t vfork(void) __attribute__((returns_twice));
long fpathconf(int, int);
int fsync(int);
int ftruncate(int, off_t);
char *getcwd(char *, size_t);
char *getwd(char *);
int getdtablesize(void);
gid_t getegid(void);
uid_t geteuid(void);
gid_t getgid(void);
int getgroups(int, gid_t *);
int setgroups(int, const gid_t *);
int initgroups(const char *, gid_t);
long gethostid(void);
int gethostname(char *, size_t);
int sethostname(char *, int);
int getdomainname(char *, int);
char *getlogin(void);
/* the POSIX form: an errno, as programs compiled with _POSIX_PTHREAD_SEMANTICS expect */
#define getlogin_r __posix_getlogin_r
int getlogin_r(char *, int);
int getopt(int, char *const *, const char *);
int getpagesize(void);
char *getpass(const char *);
char *getpassphrase(const char *);
pid_t getpgid(pid_t);
pid_t getpgrp(void);
pid_t getpid(void);
pid_t getppid(void);
pid_t getsid(pid_t);
uid_t getuid(void);
int getentropy(void *, size_t);
int isatty(int);
int issetugid(void);
int lchown(const char *, uid_t, gid_t);
int link(const char *, const char *);
int linkat(int, const char *, int, const char *, int);
int lockf(int, int, off_t);
off_t lseek(int, off_t, int);
int nice(int);
long pathconf(const char *, int);
int pause(void);
int pipe(int[2]);
int pipe2(int[2], int);
ssize_t pread(int, void *, size_t, off_t);
ssize_t pwrite(int, const void *, size_t, off_t);
ssize_t read(int, void *, size_t);
ssize_t write(int, const void *, size_t);
ssize_t readlink(const char *, char *, size_t);
ssize_t readlinkat(int, const char *, char *, size_t);
int rename(const char *, const char *);
int renameat(int, const char *, int, const char *);
int resolvepath(const char *, char *, size_t);
int rmdir(const char *);
int setegid(gid_t);
int seteuid(uid_t);
int setgid(gid_t);
int setpgid(pid_t, pid_t);
pid_t setpgrp(void);
int setregid(gid_t, gid_t);
int setreuid(uid_t, uid_t);
pid_t setsid(void);
int setuid(uid_t);
unsigned int sleep(unsigned int);
int symlink(const char *, const char *);
int symlinkat(const char *, int, const char *);
void sync(void);
long sysconf(int);
pid_t tcgetpgrp(int);
int tcsetpgrp(int, pid_t);
int truncate(const char *, off_t);
char *ttyname(int);
int __posix_ttyname_r(int, char *, size_t);
#define ttyname_r __posix_ttyname_r
int unlink(const char *);
int unlinkat(int, const char *, int);
int usleep(useconds_t);
void swab(const void *, void *, ssize_t);
long syscall(int, ...);
#define lseek64 lseek
#define pread64 pread
#define pwrite64 pwrite
#define truncate64 truncate
#define ftruncate64 ftruncate
#define lockf64 lockf
#endif
