/* ld.so.1: the run-time linker. Single lock (rt_lock) over the object list; held across init and fini functions. */
#ifndef SUNDOG_RTLD_H
#define SUNDOG_RTLD_H
#pragma GCC visibility push(hidden)
#include <link.h>
#include "../handshake.h"
#include "../sysentry.h"

struct obj {
    struct link_map map; /* first: handed out as Link_map; map.l_next/l_prev chain all objects in load order */
    const char *soname;
    dev_t dev;
    ino_t ino;
    uintptr_t lo, hi; /* mapped range */
    const Elf64_Phdr *phdr;
    int phnum;
    /* from the dynamic section */
    const Elf64_Sym *symtab;
    const char *strtab;
    size_t strsz;
    const uint32_t *hash, *gnu_hash;
    const Elf64_Half *versym;
    const Elf64_Verdef *verdef;
    const Elf64_Verneed *verneed;
    Elf64_Rela *rela, *jmprel;
    size_t relasz, pltrelsz;
    uintptr_t *pltgot;
    uintptr_t init, fini, *init_array, *fini_array, *preinit_array;
    size_t init_n, fini_n, preinit_n;
    const char *rpath, *runpath;
    unsigned flags, flags1;
    uintptr_t relro, relro_end;
    /* TLS */
    size_t tls_mod, tls_memsz, tls_filesz, tls_align, tls_offset; /* offset below tp, 0 if not static */
    const void *tls_image;
    /* graph */
    struct obj **needed;
    size_t nneeded;
    int opens;       /* dlopen references */
    unsigned mark;   /* visit stamp */
    char is_exe, is_self, startup, global, relocated, init_started, init_done, symbolic, textrel, nodelete, sunw;
};

struct symref {
    const char *name, *version;
    uint32_t sysv_hash, gnu_hash;
};
struct symdef {
    const Elf64_Sym *sym;
    struct obj *obj;
};

extern struct obj *rt_head, *rt_tail, *rt_exe, *rt_self;
extern struct rtld_ops rt_ops;
extern const char *rt_progname, *rt_execname, *rt_platform;
extern char **rt_envp;
extern const char *env_library_path;
extern int env_bind_now, env_debug, rt_secure, rt_running;
extern struct r_debug rt_debug;

/* text.c: no libc here */
void *rt_alloc(size_t);
void rt_free(void *);
char *rt_strdup(const char *);
size_t rt_snprintf(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));
void rt_message(const char *, ...) __attribute__((format(printf, 1, 2)));
__attribute__((noreturn)) void rt_die(void);
const char *rt_strerror(int);
int rt_streq(const char *, const char *);
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
void *memmove(void *, const void *, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);
char *strchr(const char *, int);

/* load.c: an error leaves its text in rt_error and returns NULL or -1 */
extern char rt_error[1024];
void rt_fail(const char *, ...) __attribute__((format(printf, 1, 2)));
void obj_parse_dynamic(struct obj *);
void obj_append(struct obj *);
struct obj *obj_find(const char *, struct obj *needer, int noload);
int obj_load_needed(struct obj *first);
struct obj *obj_load_fd(int, const char *, const char *);
void obj_unmap(struct obj *);
struct obj *obj_at(uintptr_t);
char *path_expand(const char *, size_t, struct obj *);

/* symbol.c */
void sym_hash(struct symref *);
const Elf64_Sym *sym_in(struct obj *, const struct symref *);
int sym_lookup(struct obj *from, const struct symref *, int skip_exe, struct symdef *);
int sym_lookup_group(struct obj *root, const struct symref *, struct symdef *);
struct obj **group_of(struct obj *root, size_t *n); /* breadth first, root first; rt_free it */

/* reloc.c */
int obj_relocate(struct obj *, int now);
uintptr_t rt_bind(struct obj *, size_t);
void rt_bind_entry(void);

/* tls.c */
void tls_add(struct obj *);
void tls_layout(void);
int tls_make_static(struct obj *);
int tls_setup(struct thread_head *);
void tls_free(struct thread_head *);
void *tls_get_addr(size_t *);

/* dl.c */
void rt_lock(void);
void rt_unlock(void);
void obj_run_init(struct obj *);
void rt_run_fini(void);
void dl_setup_ops(void);
#pragma GCC visibility pop
#endif
