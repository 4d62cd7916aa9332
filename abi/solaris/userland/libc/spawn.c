/* libc.so.1: posix_spawn, popen, system; terminals. */
#include "impl.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fork.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stropts.h>
#include <termios.h>
#include <unistd.h>

int __execvpe(const char *, char *const *, char *const *) __attribute__((visibility("hidden")));

struct act { struct act *next; char kind; int fd, to, fl; mode_t mode; char path[]; };
struct sattr { short flags; pid_t pgroup; sigset_t mask, def; struct sched_param param; int policy; };

static int apply_actions(struct act *a)
{
    for (; a; a = a->next) {
        long r = 0;
        if (a->kind == 'o') {
            r = RAW(SYS_open, a->path, a->fl, a->mode);
            if (!RAW_FAILED(r) && r != a->fd) {
                long q = RAW(SYS_fcntl, r, F_DUP2FD, a->fd);
                (void)RAW(SYS_close, r);
                r = q;
            }
        } else if (a->kind == 'c') {
            r = RAW(SYS_close, a->fd);
            if (r == -EBADF)
                r = 0;
        } else if (a->kind == 'd') {
            r = a->fd == a->to ? RAW(SYS_fcntl, a->fd, F_SETFD, 0) : RAW(SYS_fcntl, a->fd, F_DUP2FD, a->to);
        } else if (a->kind == 'f') {
            closefrom(a->fd);
        } else {
            r = RAW(SYS_chdir, a->path);
        }
        if (RAW_FAILED(r))
            return (int)-r;
    }
    return 0;
}

/* The child reports a failure through a close-on-exec pipe. */
static int spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *at,
                 char *const *argv, char *const *env, int search)
{
    struct sattr *a = at ? at->__spawn_attrp : NULL;
    int p[2], e = 0, flags = a ? a->flags : 0;
    sigset_t all, old;

    if (pipe2(p, O_CLOEXEC))
        return errno;
    while (p[1] < 16 && fa) { /* out of the way of what file actions may name */
        long n = RAW(SYS_fcntl, p[1], F_DUPFD_CLOEXEC, 64);
        if (RAW_FAILED(n))
            break;
        close(p[1]);
        p[1] = (int)n;
    }
    sigfillset(&all);
    raw_sigmask(SIG_SETMASK, &all, &old);
    pid_t c = forkx((flags & POSIX_SPAWN_NOSIGCHLD_NP ? FORK_NOSIGCHLD : 0) | (flags & POSIX_SPAWN_WAITPID_NP ? FORK_WAITPID : 0));
    if (c == 0) {
        struct sigaction dfl = { .sa_flags = 0 };
        if (a && flags & POSIX_SPAWN_SETSIGDEF)
            for (int i = 1; i < NSIG; i++)
                if (sigismember(&a->def, i) > 0 && i != SIGKILL && i != SIGSTOP)
                    (void)RAW(SYS_sigaction, i, &dfl, 0);
        if (a && flags & POSIX_SPAWN_SETPGROUP && setpgid(0, a->pgroup))
            e = errno;
        if (!e && flags & POSIX_SPAWN_RESETIDS && (setegid(getgid()) || seteuid(getuid())))
            e = errno;
        if (!e && fa && fa->__file_attrp)
            e = apply_actions(*(struct act **)fa->__file_attrp);
        if (!e) {
            raw_sigmask(SIG_SETMASK, a && flags & POSIX_SPAWN_SETSIGMASK ? &a->mask : &old, NULL);
            if (search)
                __execvpe(path, argv, env ? env : environ);
            else
                execve(path, argv, env ? env : environ);
            e = errno;
        }
        (void)RAW(SYS_write, p[1], &e, sizeof(e));
        _exit(127);
    }
    if (c < 0)
        e = errno;
    raw_sigmask(SIG_SETMASK, &old, NULL);
    close(p[1]);
    if (c > 0) {
        long n;
        while ((n = RAW(SYS_read, p[0], &e, sizeof(e))) == -EINTR || n == -ERESTART)
            ;
        if (n == sizeof(e))
            (void)waitpid(c, NULL, 0);
        else
            e = 0;
    }
    close(p[0]);
    if (!e && pid)
        *pid = c;
    return e;
}
int posix_spawn(pid_t *p, const char *s, const posix_spawn_file_actions_t *f, const posix_spawnattr_t *a, char *const *v, char *const *e)
{
    return spawn(p, s, f, a, v, e, 0);
}
int posix_spawnp(pid_t *p, const char *s, const posix_spawn_file_actions_t *f, const posix_spawnattr_t *a, char *const *v, char *const *e)
{
    return spawn(p, s, f, a, v, e, 1);
}
int posix_spawn_file_actions_init(posix_spawn_file_actions_t *f) { return (f->__file_attrp = calloc(1, sizeof(void *))) ? 0 : ENOMEM; }
int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *f)
{
    for (struct act *a = *(struct act **)f->__file_attrp, *n; a; a = n) {
        n = a->next;
        free(a);
    }
    free(f->__file_attrp);
    return 0;
}
static int add(posix_spawn_file_actions_t *f, char kind, int fd, int to, const char *path, int fl, mode_t m)
{
    struct act *a = calloc(1, sizeof(*a) + strlen(path) + 1), **p = f->__file_attrp;

    if (fd < 0 || to < 0) {
        free(a);
        return EBADF;
    }
    if (!a)
        return ENOMEM;
    *a = (struct act){ .kind = kind, .fd = fd, .to = to, .fl = fl, .mode = m };
    strcpy(a->path, path);
    while (*p)
        p = &(*p)->next;
    *p = a;
    return 0;
}
int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *f, int fd, const char *p, int fl, mode_t m) { return add(f, 'o', fd, 0, p, fl, m); }
int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *f, int fd) { return add(f, 'c', fd, 0, "", 0, 0); }
int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *f, int a, int b) { return add(f, 'd', a, b, "", 0, 0); }
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *f, int fd) { return add(f, 'f', fd, 0, "", 0, 0); }
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *f, const char *p) { return add(f, 'w', 0, 0, p, 0, 0); }
int posix_spawnattr_init(posix_spawnattr_t *a) { return (a->__spawn_attrp = calloc(1, sizeof(struct sattr))) ? 0 : ENOMEM; }
int posix_spawnattr_destroy(posix_spawnattr_t *a) { free(a->__spawn_attrp); a->__spawn_attrp = NULL; return 0; }
#define SA(a) ((struct sattr *)(a)->__spawn_attrp)
int posix_spawnattr_setflags(posix_spawnattr_t *a, short f)
{
    if (f & ~(POSIX_SPAWN_RESETIDS | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
              POSIX_SPAWN_NOSIGCHLD_NP | POSIX_SPAWN_WAITPID_NP))
        return EINVAL; /* scheduling attributes are not offered */
    SA(a)->flags = f;
    return 0;
}
int posix_spawnattr_getflags(const posix_spawnattr_t *a, short *f) { *f = SA(a)->flags; return 0; }
int posix_spawnattr_setpgroup(posix_spawnattr_t *a, pid_t p) { SA(a)->pgroup = p; return 0; }
int posix_spawnattr_getpgroup(const posix_spawnattr_t *a, pid_t *p) { *p = SA(a)->pgroup; return 0; }
int posix_spawnattr_setsigmask(posix_spawnattr_t *a, const sigset_t *s) { SA(a)->mask = *s; return 0; }
int posix_spawnattr_getsigmask(const posix_spawnattr_t *a, sigset_t *s) { *s = SA(a)->mask; return 0; }
int posix_spawnattr_setsigdefault(posix_spawnattr_t *a, const sigset_t *s) { SA(a)->def = *s; return 0; }
int posix_spawnattr_getsigdefault(const posix_spawnattr_t *a, sigset_t *s) { *s = SA(a)->def; return 0; }

/* --- system, popen --- */

int system(const char *cmd)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)cmd, NULL };
    struct sigaction ign = { .sa_flags = 0 }, oi, oq;
    posix_spawnattr_t at;
    sigset_t block, old, def;
    pid_t pid;
    int st = -1;

    if (!cmd)
        return access("/bin/sh", X_OK) == 0;
    ign.sa_handler = SIG_IGN;
    sigaction(SIGINT, &ign, &oi);
    sigaction(SIGQUIT, &ign, &oq);
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, &old);
    sigemptyset(&def);
    if (oi.sa_handler != SIG_IGN)
        sigaddset(&def, SIGINT);
    if (oq.sa_handler != SIG_IGN)
        sigaddset(&def, SIGQUIT);
    if (!posix_spawnattr_init(&at)) {
        posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_WAITPID_NP | POSIX_SPAWN_NOSIGCHLD_NP);
        posix_spawnattr_setsigdefault(&at, &def);
        posix_spawnattr_setsigmask(&at, &old);
        int e = posix_spawn(&pid, "/bin/sh", NULL, &at, argv, environ);
        if (e == 0) {
            while (waitpid(pid, &st, 0) < 0)
                if (errno != EINTR) {
                    st = -1;
                    break;
                }
        } else if (e != ENOMEM && e != EAGAIN) {
            st = 127 << 8;
        }
        posix_spawnattr_destroy(&at);
    }
    sigaction(SIGINT, &oi, NULL);
    sigaction(SIGQUIT, &oq, NULL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return st;
}

static struct piped { struct piped *next; FILE *f; pid_t pid; } *pipes;
static llock_t pipes_lock;
FILE *popen(const char *cmd, const char *mode)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)cmd, NULL };
    posix_spawn_file_actions_t fa;
    int p[2], rd = *mode == 'r';

    if (*mode != 'r' && *mode != 'w') {
        errno = EINVAL;
        return NULL;
    }
    struct piped *q = malloc(sizeof(*q));
    if (!q || pipe2(p, O_CLOEXEC)) {
        free(q);
        return NULL;
    }
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, p[rd], rd);
    int e = posix_spawn(&q->pid, "/bin/sh", &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(p[rd]);
    q->f = e ? NULL : fdopen(p[!rd], rd ? "r" : "w");
    if (!q->f) {
        close(p[!rd]);
        free(q);
        if (e)
            errno = e;
        return NULL;
    }
    llock(&pipes_lock);
    q->next = pipes;
    pipes = q;
    lunlock(&pipes_lock);
    return q->f;
}
int pclose(FILE *f)
{
    pid_t pid = -1;
    int st;

    llock(&pipes_lock);
    for (struct piped **p = &pipes; *p; p = &(*p)->next)
        if ((*p)->f == f) {
            struct piped *q = *p;
            pid = q->pid;
            *p = q->next;
            free(q);
            break;
        }
    lunlock(&pipes_lock);
    if (pid < 0) {
        errno = ECHILD;
        return -1;
    }
    fclose(f);
    while (waitpid(pid, &st, 0) < 0)
        if (errno != EINTR)
            return -1;
    return st;
}

/* --- terminals --- */

int tcgetattr(int fd, struct termios *t) { return ioctl(fd, TCGETS, t); }
int tcsetattr(int fd, int how, const struct termios *t)
{
    if (how != TCSANOW && how != TCSADRAIN && how != TCSAFLUSH) {
        errno = EINVAL;
        return -1;
    }
    return ioctl(fd, how, t);
}
int tcsendbreak(int fd, int d) { return ioctl(fd, TCSBRK, 0); }
int tcdrain(int fd) { return ioctl(fd, TCSBRK, 1); }
int tcflush(int fd, int q) { return ioctl(fd, TCFLSH, q); }
int tcflow(int fd, int a) { return ioctl(fd, TCXONC, a); }
pid_t tcgetpgrp(int fd)
{
    pid_t p;
    return ioctl(fd, TIOCGPGRP, &p) < 0 ? -1 : p;
}
int tcsetpgrp(int fd, pid_t p) { return ioctl(fd, TIOCSPGRP, &p); }
pid_t tcgetsid(int fd)
{
    pid_t p;
    return ioctl(fd, TIOCGSID, &p) < 0 ? -1 : p;
}
speed_t cfgetospeed(const struct termios *t) { return (t->c_cflag & CBAUD) + (t->c_cflag & CBAUDEXT ? CBAUD + 1 : 0); }
speed_t cfgetispeed(const struct termios *t) { return cfgetospeed(t); }
int cfsetospeed(struct termios *t, speed_t s)
{
    if (s > B921600) {
        errno = EINVAL;
        return -1;
    }
    t->c_cflag &= ~(tcflag_t)(CBAUD | CBAUDEXT);
    t->c_cflag |= s > CBAUD ? (s - CBAUD - 1) | CBAUDEXT : s;
    return 0;
}
int cfsetispeed(struct termios *t, speed_t s) { return s ? cfsetospeed(t, s) : 0; }
void cfmakeraw(struct termios *t)
{
    t->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t->c_oflag &= ~(tcflag_t)OPOST;
    t->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    t->c_cflag = (t->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
}
char *ctermid(char *s)
{
    static char own[L_ctermid];
    return strcpy(s ? s : own, "/dev/tty");
}
int posix_openpt(int fl) { return open("/dev/ptmx", fl); }
static int pt(int fd, int cmd)
{
    struct strioctl s = { .ic_cmd = cmd };
    return ioctl(fd, I_STR, &s) < 0 ? -1 : 0;
}
int grantpt(int fd)
{
    struct { uid_t u; gid_t g; } owner = { getuid(), getgid() };
    struct strioctl s = { .ic_cmd = 0x5005, .ic_len = sizeof(owner), .ic_dp = (char *)&owner };
    return ioctl(fd, I_STR, &s) < 0 ? -1 : 0;
}
int unlockpt(int fd) { return pt(fd, 0x5002); }
char *ptsname(int fd)
{
    static char b[32];
    struct stat st;

    if (pt(fd, 0x5001) || fstat(fd, &st))
        return NULL;
    snprintf(b, sizeof(b), "/dev/pts/%u", (unsigned)(st.st_rdev & 0xffffffff));
    return b;
}

int __posix_ttyname_r(int fd, char *b, size_t n)
{
    struct stat a, s;

    if (!isatty(fd) || fstat(fd, &a))
        return errno;
    for (int i = -2; i < 256; i++) {
        char p[32];
        snprintf(p, sizeof(p), i == -2 ? "/dev/console" : i == -1 ? "/dev/tty" : "/dev/pts/%d", i);
        if (!stat(p, &s) && S_ISCHR(s.st_mode) && s.st_rdev == a.st_rdev && s.st_ino == a.st_ino)
            return strlcpy(b, p, n) >= n ? ERANGE : 0;
    }
    return ENODEV;
}
char *ttyname(int fd)
{
    static char b[128];
    int e = __posix_ttyname_r(fd, b, sizeof(b));

    if (e)
        errno = e;
    return e ? NULL : b;
}
