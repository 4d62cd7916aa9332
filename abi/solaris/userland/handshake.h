/*
 * What ld.so.1 and libc.so.1 know of each other. They come from one build and are never mixed with others'; only these
 * two structures and the two words at the thread pointer are shared.
 */
#ifndef SUNDOG_SOLARIS_HANDSHAKE_H
#define SUNDOG_SOLARIS_HANDSHAKE_H
#include <stddef.h>

#define HANDSHAKE_VERSION 1

/* The head of the thread structure. %fs:0 is the self pointer (ABI); static TLS ends just below it. */
struct thread_head {
    struct thread_head *self;
    void **dtv;      /* ld.so.1: [0] = number of slots, then one block pointer per module */
};

struct rtld_ops {
    int version;
    size_t tls_size, tls_align;             /* static TLS below the thread pointer, reserve included */
    int (*tls_setup)(struct thread_head *); /* fills a zeroed block; 0 or an errno */
    void (*tls_free)(struct thread_head *);
    void *(*tls_get_addr)(size_t *);
    void *(*dlopen)(const char *, int);
    void *(*dlsym)(void *, const char *);
    int (*dlclose)(void *);
    char *(*dlerror)(void);
    int (*dladdr)(void *, void *);
    int (*dlinfo)(void *, int, void *);
    int (*iterate)(int (*)(void *, size_t, void *), void *);
    void (*fork_lock)(void);
    void (*fork_unlock)(void);
    /* set by libc: applies a function to every live thread's head */
    void (*each_thread)(void (*)(struct thread_head *, void *), void *);
    const char *execname, *platform;
    void *auxv;
};

/* libc.so.1 exports this under the name __sundog_libc_init; called after relocation, before any init function. */
typedef void libc_init_fn(struct rtld_ops *, int argc, char **argv, char **envp);
#endif
