/*
 * The memory file: one memfd that holds all guest RAM, tmpfs contents and page-cache-like data of the sentry.
 * The sentry maps it whole (sparse, MAP_NORESERVE); page N is at memfile_ptr(N). Pages are counted.
 *
 * A page that was allocated but never touched occupies no host memory; a freed page is punched out, so a fresh page
 * always reads as zeros. All functions are thread-safe (lock: LC_MEMFILE, inner).
 */
#ifndef SUNDOG_MM_MEMFILE_H
#define SUNDOG_MM_MEMFILE_H

#include "sentry/base/types.h"

typedef u64 mpage_t;            /* page number in the memory file; 0 is never allocated */
#define MPAGE_NONE 0ULL

extern u8 *memfile_base;        /* (c) after memfile_init */

int memfile_init(u64 size);     /* once at start; -errno */
int memfile_fd(void);
u64 memfile_size(void);         /* bytes */

static inline void *memfile_ptr(mpage_t p) { return memfile_base + (p << GPAGE_SHIFT); }

/*
 * n contiguous zero pages, each with one reference. Returns the first, or MPAGE_NONE when the guest's memory limit
 * or the file is exhausted. Large n need not be contiguous with anything.
 */
mpage_t memfile_alloc(u64 n);
/* The same; *held: the host holds memory for all of them already, so that filling the platform's tables costs none. */
mpage_t memfile_alloc_held(u64 n, bool *held);
void memfile_get(mpage_t p);
void memfile_put(mpage_t p);            /* frees on last reference */
void memfile_put_range(mpage_t p, u64 n);
u32 memfile_refs(mpage_t p);            /* exact only if the caller keeps others from changing it */

void memfile_set_limit(u64 bytes);      /* 0: none */
extern bool (*memfile_may_exceed)(void); /* (c) asked when the limit is reached: may this thread go past it? NULL: never */
u64 memfile_allocated(void);            /* bytes handed out; */
u64 memfile_resident(void);             /* bytes the host really holds (fstat st_blocks) */

#endif
