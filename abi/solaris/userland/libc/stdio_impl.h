/* libc.so.1: the inside of FILE (128 bytes, as programs know it from __iob). */
#ifndef SUNDOG_SOLARIS_STDIO_IMPL_H
#define SUNDOG_SOLARIS_STDIO_IMPL_H
#include "impl.h"
#include <stdio.h>

#define F_READ 1
#define F_WRITE 2
#define F_EOF 4
#define F_ERR 8
#define F_LINE 16
#define F_NOBUF 32
#define F_OWNBUF 64 /* buffer is ours to free */
#define F_OPEN 128
#define F_DYN 256   /* FILE itself was allocated */
#define F_WRITING 512
#define F_APPEND 1024
#define F_MEM 2048  /* fmemopen: buf is the whole file, pos/size in mem */
#define F_STREAM 4096 /* open_memstream */

struct file {
    unsigned char *rp, *rend; /* unread input */
    unsigned char *wp;        /* next byte to write; output is buf..wp */
    unsigned char *buf;
    size_t size;
    int fd;
    unsigned flags;
    uint32_t lock_owner, lock_depth;
    llock_t lock;
    int pid;                  /* popen */
    struct file *next;        /* all dynamic streams */
    void *mem;                /* struct memfile */
    unsigned char small[8];   /* unbuffered and pushed-back bytes */
    long spare[2];
};
_Static_assert(sizeof(struct file) <= sizeof(FILE), "FILE");
#define FP(f) ((struct file *)(f))

struct memfile { char **bufp; size_t *sizep; size_t pos, len, cap; char *data; int own; };

#pragma GCC visibility push(hidden)
int f_flush(struct file *);
int f_fill(struct file *); /* next byte, or EOF */
size_t f_write(struct file *, const void *, size_t);
struct file *f_new(int fd, unsigned flags);
int f_mode(const char *mode, unsigned *flags); /* open flags or -1 */
#pragma GCC visibility pop
#define LOCK(f) flockfile((FILE *)(f))
#define UNLOCK(f) funlockfile((FILE *)(f))
#endif
