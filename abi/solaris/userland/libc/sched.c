/*
 * libc.so.1: named semaphores (files under /tmp, as Solaris has them), scheduling of processes (the time-sharing class only),
 * passwords from a terminal, names of interfaces.
 */
#include "impl.h"
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* --- named semaphores --- */

struct named { struct named *next; sem_t *sem; dev_t dev; ino_t ino; int uses; };
static struct named *named;
static llock_t named_lock;

static int sem_path(const char *name, char *path)
{
    if (name[0] != '/' || !name[1] || strchr(name + 1, '/'))
        return EINVAL;
    return snprintf(path, PATH_MAX, "/tmp/.SEMD%s", name + 1) >= PATH_MAX - 16 ? ENAMETOOLONG : 0;
}
/* A semaphore appears under its name complete: it is made under another one and linked. */
static int sem_create(const char *path, mode_t mode, unsigned value)
{
    char tmp[PATH_MAX];
    sem_t s;
    int fd;

    snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path);
    if ((fd = mkstemp(tmp)) < 0)
        return -1;
    sem_init(&s, 1, value);
    if (write(fd, &s, sizeof(s)) != sizeof(s) || fchmod(fd, mode & 0666) < 0 || link(tmp, path) < 0) {
        int e = errno;
        close(fd);
        fd = -1;
        errno = e;
    }
    int e = errno;
    unlink(tmp);
    errno = e;
    return fd;
}
sem_t *sem_open(const char *name, int oflag, ...)
{
    char path[PATH_MAX];
    struct stat st;
    struct named *n = NULL;
    int fd = -1, e = sem_path(name, path);
    mode_t mode = 0;
    unsigned value = 0;

    if (oflag & O_CREAT) {
        va_list ap;
        va_start(ap, oflag);
        mode = (mode_t)va_arg(ap, int);
        value = va_arg(ap, unsigned);
        va_end(ap);
        if (value > SEM_VALUE_MAX)
            e = EINVAL;
    }
    if (e) {
        errno = e;
        return SEM_FAILED;
    }
    for (int tries = 0; fd < 0 && tries < 100; tries++) {
        if (!((oflag & O_CREAT) && (oflag & O_EXCL)))
            fd = open(path, O_RDWR | O_NOFOLLOW);
        if (fd >= 0 || !(oflag & O_CREAT) || (!(oflag & O_EXCL) && errno != ENOENT))
            break;
        fd = sem_create(path, mode, value);
        if (fd < 0 && (errno != EEXIST || oflag & O_EXCL))
            break;
    }
    if (fd < 0)
        return SEM_FAILED;
    llock(&named_lock);
    if (fstat(fd, &st) == 0) {
        for (n = named; n && (n->dev != st.st_dev || n->ino != st.st_ino); n = n->next)
            ;
        if (n) {
            n->uses++;
        } else if ((n = malloc(sizeof(*n)))) {
            void *p = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (p == MAP_FAILED) {
                free(n);
                n = NULL;
            } else {
                *n = (struct named){ named, p, st.st_dev, st.st_ino, 1 };
                named = n;
            }
        }
    }
    e = errno;
    lunlock(&named_lock);
    close(fd);
    errno = e;
    return n ? n->sem : SEM_FAILED;
}
int sem_close(sem_t *s)
{
    struct named **p, *n;

    llock(&named_lock);
    for (p = &named; (n = *p) && n->sem != s; p = &n->next)
        ;
    if (n && --n->uses == 0) {
        *p = n->next;
        munmap(n->sem, sizeof(sem_t));
        free(n);
    }
    lunlock(&named_lock);
    if (n)
        return 0;
    errno = EINVAL;
    return -1;
}
int sem_unlink(const char *name)
{
    char path[PATH_MAX];
    int e = sem_path(name, path);

    if (!e)
        return unlink(path);
    errno = e;
    return -1;
}

/* --- sched_*: everything runs in the time-sharing class --- */

static int sched_check(pid_t pid)
{
    if (pid >= 0 && (!pid || kill(pid, 0) == 0 || errno == EPERM))
        return 0;
    errno = pid < 0 ? EINVAL : ESRCH;
    return -1;
}
int sched_getscheduler(pid_t pid) { return sched_check(pid) ? -1 : SCHED_OTHER; }
int sched_getparam(pid_t pid, struct sched_param *p)
{
    if (sched_check(pid))
        return -1;
    memset(p, 0, sizeof(*p));
    return 0;
}
int sched_setscheduler(pid_t pid, int policy, const struct sched_param *p)
{
    int lo = sched_get_priority_min(policy), hi = sched_get_priority_max(policy);

    if (sched_check(pid) || lo == -1)
        return -1;
    if (p->sched_priority < lo || p->sched_priority > hi) {
        errno = EINVAL;
        return -1;
    }
    if (policy == SCHED_OTHER && p->sched_priority == 0)
        return SCHED_OTHER;
    errno = EPERM;
    return -1;
}
int sched_setparam(pid_t pid, const struct sched_param *p) { return sched_setscheduler(pid, SCHED_OTHER, p) < 0 ? -1 : 0; }

/* --- getpass --- */

static char *read_secret(const char *prompt, char *b, size_t max)
{
    struct termios t, quiet;
    FILE *f = fopen("/dev/tty", "r+");
    int c, tty;
    size_t n = 0;

    if (!f)
        return NULL;
    setbuf(f, NULL);
    if ((tty = tcgetattr(fileno(f), &t) == 0)) {
        quiet = t;
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        tcsetattr(fileno(f), TCSAFLUSH, &quiet);
    }
    fputs(prompt, f);
    while ((c = getc(f)) != EOF && c != '\n')
        if (n < max)
            b[n++] = (char)c;
    b[n] = 0;
    if (tty)
        tcsetattr(fileno(f), TCSAFLUSH, &t);
    fputs("\n", f);
    fclose(f);
    return c == EOF && !n ? NULL : b;
}
char *getpass(const char *prompt) { static char b[9]; return read_secret(prompt, b, 8); }
char *getpassphrase(const char *prompt) { static char b[257]; return read_secret(prompt, b, 256); }
int __posix_getlogin_r(char *b, int n)
{
    char *l = getlogin();

    if (!l)
        return errno;
    if (strlen(l) >= (size_t)n)
        return ERANGE;
    strcpy(b, l);
    return 0;
}
#undef getlogin_r
char *getlogin_r(char *b, int n)
{
    int e = __posix_getlogin_r(b, n);

    if (!e)
        return b;
    errno = e;
    return NULL;
}

/* --- interfaces --- */

static int lifreq_index(const char *name)
{
    struct lifreq r = { .lifr_index = 0 };
    int s = socket(AF_INET, SOCK_DGRAM, 0), e;

    if (s < 0)
        return 0;
    strlcpy(r.lifr_name, name, sizeof(r.lifr_name));
    e = ioctl(s, SIOCGLIFINDEX, &r);
    close(s);
    return e < 0 ? 0 : r.lifr_index;
}
unsigned int if_nametoindex(const char *name)
{
    unsigned int i = (unsigned)lifreq_index(name);

    if (!i)
        errno = ENXIO;
    return i;
}
char *if_indextoname(unsigned int index, char *name)
{
    struct lifnum ln = { .lifn_family = AF_UNSPEC };
    struct lifconf lc = { .lifc_family = AF_UNSPEC };
    int s = socket(AF_INET, SOCK_DGRAM, 0), found = 0;

    if (s >= 0 && ioctl(s, SIOCGLIFNUM, &ln) == 0 && (lc.lifc_buf = calloc((size_t)ln.lifn_count + 1, sizeof(struct lifreq)))) {
        lc.lifc_len = (ln.lifn_count + 1) * (int)sizeof(struct lifreq);
        if (ioctl(s, SIOCGLIFCONF, &lc) == 0)
            for (int i = 0; i < lc.lifc_len / (int)sizeof(struct lifreq) && !found; i++) {
                const char *n = ((struct lifreq *)(void *)lc.lifc_buf)[i].lifr_name;
                if ((unsigned)lifreq_index(n) == index)
                    found = strlcpy(name, n, IF_NAMESIZE) > 0;
            }
        free(lc.lifc_buf);
    }
    if (s >= 0)
        close(s);
    if (found)
        return name;
    errno = ENXIO;
    return NULL;
}
