/* libc.so.1: buffered streams. Conversions (printf, sscanf) come from musl's vsnprintf and vsscanf. */
#include "stdio_impl.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

FILE __iob[20];
static struct file *all; /* beyond __iob; under all_lock */
static llock_t all_lock;

static void __attribute__((constructor)) stdio_init(void)
{
    for (int i = 0; i < 3; i++) {
        struct file *f = FP(&__iob[i]);
        f->fd = i;
        f->flags = F_OPEN | (i == 0 ? F_READ : F_WRITE) | (i == 2 ? F_NOBUF : 0);
    }
}

void flockfile(FILE *p)
{
    struct file *f = FP(p);
    uint32_t me = curself()->tid;

    if (f->lock_owner == me) {
        f->lock_depth++;
        return;
    }
    llock(&f->lock);
    f->lock_owner = me;
    f->lock_depth = 1;
}
int ftrylockfile(FILE *p)
{
    struct file *f = FP(p);
    uint32_t c = 0, me = curself()->tid;

    if (f->lock_owner == me) {
        f->lock_depth++;
        return 0;
    }
    if (!__atomic_compare_exchange_n(&f->lock.word, &c, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return -1;
    f->lock_owner = me;
    f->lock_depth = 1;
    return 0;
}
void funlockfile(FILE *p)
{
    struct file *f = FP(p);

    if (f->lock_owner != curself()->tid || --f->lock_depth)
        return;
    f->lock_owner = 0;
    lunlock(&f->lock);
}

static void need_buffer(struct file *f)
{
    struct stat st;

    if (f->buf)
        return;
    if (!(f->flags & F_NOBUF)) {
        size_t n = 8192;
        if (fstat(f->fd, &st) == 0) {
            int e = errno;
            if (S_ISCHR(st.st_mode) && (f->flags & F_WRITE) && isatty(f->fd))
                f->flags |= F_LINE;
            errno = e;
        }
        if ((f->buf = malloc(n))) {
            f->size = n;
            f->flags |= F_OWNBUF;
        }
    }
    if (!f->buf) {
        f->buf = f->small;
        f->size = 1;
    }
    f->rp = f->rend = f->wp = f->buf;
}

static ssize_t low_write(struct file *f, const unsigned char *p, size_t n)
{
    struct memfile *m = f->mem;

    if (!m)
        return write(f->fd, p, n);
    if (f->flags & F_APPEND && f->flags & F_MEM)
        m->pos = m->len;
    if (f->flags & F_STREAM && m->pos + n + 1 > m->cap) {
        size_t cap = (m->pos + n + 1) * 2;
        char *d = realloc(m->data, cap);
        if (!d)
            return -1;
        memset(d + m->cap, 0, cap - m->cap);
        m->data = d;
        m->cap = cap;
    }
    if (f->flags & F_MEM && n > m->cap - m->pos)
        n = m->cap - m->pos;
    if (!n) {
        errno = ENOSPC;
        return -1;
    }
    memcpy(m->data + m->pos, p, n);
    m->pos += n;
    if (m->pos > m->len) {
        m->len = m->pos;
        if (m->len < m->cap)
            m->data[m->len] = 0;
    }
    if (f->flags & F_STREAM) {
        *m->bufp = m->data;
        *m->sizep = m->len;
    }
    return (ssize_t)n;
}
static ssize_t low_read(struct file *f, unsigned char *p, size_t n)
{
    struct memfile *m = f->mem;

    if (!m)
        return read(f->fd, p, n);
    if (n > m->len - m->pos)
        n = m->pos > m->len ? 0 : m->len - m->pos;
    memcpy(p, m->data + m->pos, n);
    m->pos += n;
    return (ssize_t)n;
}
static off_t low_seek(struct file *f, off_t o, int w)
{
    struct memfile *m = f->mem;

    if (!m)
        return lseek(f->fd, o, w);
    off_t to = w == SEEK_SET ? o : w == SEEK_CUR ? (off_t)m->pos + o : (off_t)m->len + o;
    if (to < 0 || (f->flags & F_MEM && (size_t)to > m->cap)) {
        errno = EINVAL;
        return -1;
    }
    m->pos = (size_t)to;
    return to;
}

int f_flush(struct file *f)
{
    if (!(f->flags & F_WRITING))
        return 0;
    unsigned char *p = f->buf;
    while (p < f->wp) {
        ssize_t n = low_write(f, p, (size_t)(f->wp - p));
        if (n < 0) {
            memmove(f->buf, p, (size_t)(f->wp - p));
            f->wp = f->buf + (f->wp - p);
            f->flags |= F_ERR;
            return EOF;
        }
        p += n;
    }
    f->wp = f->buf;
    return 0;
}

/* input buffered beyond the logical position is given back */
static int to_write(struct file *f)
{
    if (!(f->flags & F_WRITE)) {
        errno = EBADF;
        f->flags |= F_ERR;
        return -1;
    }
    need_buffer(f);
    if (!(f->flags & F_WRITING)) {
        if (f->rp < f->rend)
            (void)low_seek(f, -(off_t)(f->rend - f->rp), SEEK_CUR);
        f->rp = f->rend = f->wp = f->buf;
        f->flags |= F_WRITING;
        f->flags &= ~(unsigned)F_EOF;
    }
    return 0;
}
static int to_read(struct file *f)
{
    if (!(f->flags & F_READ)) {
        errno = EBADF;
        f->flags |= F_ERR;
        return -1;
    }
    need_buffer(f);
    if (f->flags & F_WRITING) {
        if (f_flush(f))
            return -1;
        f->flags &= ~(unsigned)F_WRITING;
        f->rp = f->rend = f->buf;
    }
    return 0;
}

int f_fill(struct file *f)
{
    if (to_read(f))
        return EOF;
    if (f->rp < f->rend)
        return *f->rp++;
    if (f->flags & F_EOF)
        return EOF;
    if (f->fd == 0 && FP(stdout)->flags & F_LINE) /* reading from a terminal shows the prompt first */
        (void)f_flush(FP(stdout));
    ssize_t n = low_read(f, f->buf, f->size);
    if (n <= 0) {
        f->flags |= n ? F_ERR : F_EOF;
        return EOF;
    }
    f->rp = f->buf;
    f->rend = f->buf + n;
    return *f->rp++;
}

size_t f_write(struct file *f, const void *data, size_t n)
{
    const unsigned char *p = data;
    size_t left = n;

    if (!n || to_write(f))
        return 0;
    if (f->flags & F_NOBUF) {
        while (left) {
            ssize_t k = low_write(f, p, left);
            if (k < 0) {
                f->flags |= F_ERR;
                break;
            }
            p += k;
            left -= (size_t)k;
        }
        return n - left;
    }
    while (left) {
        size_t room = (size_t)(f->buf + f->size - f->wp);
        if (!room) {
            if (f_flush(f))
                return n - left;
            continue;
        }
        if (left < room)
            room = left;
        memcpy(f->wp, p, room);
        f->wp += room;
        p += room;
        left -= room;
    }
    if (f->wp == f->buf + f->size || (f->flags & F_LINE && memrchr(data, '\n', n)))
        if (f_flush(f))
            return 0;
    return n;
}

int f_mode(const char *mode, unsigned *flags)
{
    int fl;

    switch (*mode) {
    case 'r': fl = O_RDONLY; *flags = F_READ; break;
    case 'w': fl = O_WRONLY | O_CREAT | O_TRUNC; *flags = F_WRITE; break;
    case 'a': fl = O_WRONLY | O_CREAT | O_APPEND; *flags = F_WRITE | F_APPEND; break;
    default: errno = EINVAL; return -1;
    }
    for (mode++; *mode; mode++) {
        if (*mode == '+') {
            fl = (fl & ~(O_RDONLY | O_WRONLY)) | O_RDWR;
            *flags |= F_READ | F_WRITE;
        } else if (*mode == 'e') {
            fl |= O_CLOEXEC;
        } else if (*mode == 'x') {
            fl |= O_EXCL;
        }
    }
    return fl;
}

struct file *f_new(int fd, unsigned flags)
{
    struct file *f = calloc(1, sizeof(FILE));

    if (!f)
        return NULL;
    f->fd = fd;
    f->flags = flags | F_OPEN | F_DYN;
    llock(&all_lock);
    f->next = all;
    all = f;
    lunlock(&all_lock);
    return f;
}

FILE *fopen(const char *path, const char *mode)
{
    unsigned flags;
    int fl = f_mode(mode, &flags), fd;

    if (fl < 0 || (fd = open(path, fl, 0666)) < 0)
        return NULL;
    struct file *f = f_new(fd, flags);
    if (!f)
        close(fd);
    else if (flags & F_APPEND)
        (void)lseek(fd, 0, SEEK_END);
    return (FILE *)f;
}
FILE *fdopen(int fd, const char *mode)
{
    unsigned flags;

    if (f_mode(mode, &flags) < 0 || fcntl(fd, F_GETFL, 0) < 0)
        return NULL;
    return (FILE *)f_new(fd, flags);
}

static int f_close(struct file *f)
{
    int r = f_flush(f);

    if (!(f->flags & F_WRITING) && f->rp < f->rend && !f->mem)
        (void)lseek(f->fd, -(off_t)(f->rend - f->rp), SEEK_CUR);
    if (f->mem) {
        struct memfile *m = f->mem;
        if (m->own)
            free(m->data);
        free(m);
        f->mem = NULL;
    } else if (close(f->fd) < 0) {
        r = EOF;
    }
    if (f->flags & F_OWNBUF)
        free(f->buf);
    f->buf = f->rp = f->rend = f->wp = NULL;
    return r;
}
int fclose(FILE *p)
{
    struct file *f = FP(p);

    LOCK(f);
    int r = f_close(f);
    unsigned dyn = f->flags & F_DYN;
    f->flags = 0;
    UNLOCK(f);
    if (dyn) {
        llock(&all_lock);
        for (struct file **q = &all; *q; q = &(*q)->next)
            if (*q == f) {
                *q = f->next;
                break;
            }
        lunlock(&all_lock);
        free(f);
    }
    return r;
}
FILE *freopen(const char *path, const char *mode, FILE *p)
{
    struct file *f = FP(p);
    unsigned flags;
    int fl = f_mode(mode, &flags), fd;

    if (fl < 0)
        return NULL;
    if (!path) {
        if (f_flush(f))
            return NULL;
        f->flags = (f->flags & F_DYN) | F_OPEN | flags | (f->flags & (F_NOBUF | F_OWNBUF));
        return p;
    }
    int old = f->fd;
    (void)f_flush(f);
    if ((fd = open(path, fl, 0666)) < 0) {
        fclose(p);
        return NULL;
    }
    if (fd != old && old >= 0 && !f->mem) {
        if (dup2(fd, old) >= 0) {
            close(fd);
            fd = old;
        }
    }
    f->fd = fd;
    f->flags = (f->flags & (F_DYN | F_OWNBUF | F_NOBUF)) | F_OPEN | flags;
    f->rp = f->rend = f->wp = f->buf;
    return p;
}
int fflush(FILE *p)
{
    int r = 0;

    if (p) {
        struct file *f = FP(p);
        LOCK(f);
        r = f_flush(f);
        if (!(f->flags & F_WRITING) && f->rp < f->rend && low_seek(f, -(off_t)(f->rend - f->rp), SEEK_CUR) >= 0)
            f->rp = f->rend = f->buf;
        UNLOCK(f);
        return r;
    }
    for (int i = 0; i < 3; i++)
        if (FP(&__iob[i])->flags & F_WRITING)
            r |= fflush(&__iob[i]);
    llock(&all_lock);
    for (struct file *f = all; f; f = f->next)
        if (f->flags & F_WRITING && !ftrylockfile((FILE *)f)) {
            r |= f_flush(f);
            UNLOCK(f);
        }
    lunlock(&all_lock);
    return r;
}
void stdio_flush_all(void) { (void)fflush(NULL); }
int fcloseall(void) { return fflush(NULL); }
int fpurge(FILE *p)
{
    FP(p)->rp = FP(p)->rend = FP(p)->wp = FP(p)->buf;
    return 0;
}
void stdio_fork_lock(void) { llock(&all_lock); }
void stdio_fork_unlock(int child)
{
    if (child)
        all_lock.word = 0;
    else
        lunlock(&all_lock);
}

int fileno(FILE *p)
{
    if (FP(p)->mem) {
        errno = EBADF;
        return -1;
    }
    return FP(p)->fd;
}
int feof(FILE *p) { return (FP(p)->flags & F_EOF) != 0; }
int ferror(FILE *p) { return (FP(p)->flags & F_ERR) != 0; }
void clearerr(FILE *p) { FP(p)->flags &= ~(unsigned)(F_EOF | F_ERR); }

int setvbuf(FILE *p, char *b, int mode, size_t n)
{
    struct file *f = FP(p);

    if (mode != _IOFBF && mode != _IOLBF && mode != _IONBF)
        return -1;
    LOCK(f);
    (void)f_flush(f);
    if (f->flags & F_OWNBUF)
        free(f->buf);
    f->flags &= ~(unsigned)(F_OWNBUF | F_LINE | F_NOBUF);
    f->buf = NULL;
    f->rp = f->rend = f->wp = NULL;
    if (mode == _IONBF) {
        f->flags |= F_NOBUF;
    } else {
        if (!n)
            n = 8192;
        f->buf = b ? (unsigned char *)b : malloc(n);
        if (!b && f->buf)
            f->flags |= F_OWNBUF;
        if (f->buf)
            f->size = n;
        if (mode == _IOLBF)
            f->flags |= F_LINE;
        f->rp = f->rend = f->wp = f->buf;
    }
    f->flags &= ~(unsigned)F_WRITING;
    UNLOCK(f);
    return 0;
}
void setbuf(FILE *p, char *b) { (void)setvbuf(p, b, b ? _IOFBF : _IONBF, BUFSIZ); }
void setbuffer(FILE *p, char *b, size_t n) { (void)setvbuf(p, b, b ? _IOFBF : _IONBF, n); }
int setlinebuf(FILE *p) { return setvbuf(p, NULL, _IOLBF, 0); }

int fseeko(FILE *p, off_t o, int w)
{
    struct file *f = FP(p);
    int r = -1;

    LOCK(f);
    if (!f_flush(f)) {
        if (w == SEEK_CUR && !(f->flags & F_WRITING))
            o -= f->rend - f->rp;
        if (low_seek(f, o, w) >= 0) {
            f->rp = f->rend = f->wp = f->buf;
            f->flags &= ~(unsigned)(F_EOF | F_WRITING);
            r = 0;
        }
    }
    UNLOCK(f);
    return r;
}
int fseek(FILE *p, long o, int w) { return fseeko(p, o, w); }
off_t ftello(FILE *p)
{
    struct file *f = FP(p);

    LOCK(f);
    if (f->flags & F_APPEND && f->flags & F_WRITING)
        (void)f_flush(f);
    off_t o = low_seek(f, 0, SEEK_CUR);
    if (o >= 0)
        o += f->flags & F_WRITING ? f->wp - f->buf : -(f->rend - f->rp);
    UNLOCK(f);
    return o;
}
long ftell(FILE *p) { return ftello(p); }
void rewind(FILE *p)
{
    (void)fseeko(p, 0, SEEK_SET);
    clearerr(p);
}
int fgetpos(FILE *p, fpos_t *o) { return (*o = ftello(p)) < 0 ? -1 : 0; }
int fsetpos(FILE *p, const fpos_t *o) { return fseeko(p, *o, SEEK_SET); }

static FILE *mem_open(struct memfile *m, unsigned flags)
{
    struct file *f = f_new(-1, flags);

    if (!f) {
        free(m);
        return NULL;
    }
    f->mem = m;
    return (FILE *)f;
}
FILE *fmemopen(void *b, size_t n, const char *mode)
{
    unsigned flags;
    struct memfile *m;

    if (!n || f_mode(mode, &flags) < 0 || !(m = calloc(1, sizeof(*m))))
        return NULL;
    m->own = !b;
    m->data = b ? b : calloc(1, n);
    m->cap = n;
    if (*mode == 'w')
        m->data[0] = 0;
    m->len = *mode == 'w' || m->own ? 0 : *mode == 'a' ? strnlen(m->data, n) : n;
    m->pos = *mode == 'a' ? m->len : 0;
    return mem_open(m, flags | F_MEM);
}
FILE *open_memstream(char **b, size_t *n)
{
    struct memfile *m = calloc(1, sizeof(*m));

    if (!m || !(m->data = calloc(1, 64))) {
        free(m);
        return NULL;
    }
    m->cap = 64;
    m->bufp = b;
    m->sizep = n;
    *b = m->data;
    *n = 0;
    return mem_open(m, F_WRITE | F_STREAM);
}
