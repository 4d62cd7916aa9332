/*
 * What the tests of platforms share: the platform under test, spaces and contexts of it, guest code. Guest code is assembled
 * into the test between labels, copied to the memory file and mapped at CODE in the guest.
 */
#ifndef SUNDOG_TEST_PLATFORM_FIXTURE_H
#define SUNDOG_TEST_PLATFORM_FIXTURE_H

#include "platform/platform.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEM_SIZE (16u << 20)
#define CODE 0x400000ULL
#define DATA 0x600000ULL
#define R PLATFORM_PROT_READ
#define W PLATFORM_PROT_WRITE
#define X PLATFORM_PROT_EXEC

extern const struct platform_ops *ops; /* under test; set by main, as the two below */
extern struct platform *plat;
extern struct platform_config cfg;

#define BLOB(name, text)                                                          \
    extern const u8 blob_##name[], blob_##name##_end[];                           \
    __asm__(".pushsection .rodata\nblob_" #name ":\n" text "\nblob_" #name "_end:\n.popsection\n")

/* Guest code to an offset of the memory file. */
#define PUT(name, off) memcpy(cfg.memfile_base + (off), blob_##name, (size_t)(blob_##name##_end - blob_##name))

#define SKIP(reason)                               \
    do {                                           \
        print_message("%s: %s\n", __func__, reason); \
        skip();                                    \
    } while (0)

/* Makes the memory file; false: the host has none to give. */
bool fixture_memory(void);

struct platform_as *space(void);
struct platform_ctx *context(void);
int map_fd(struct platform_as *as, int fd, gaddr_t addr, u64 len, u64 off, int prot);
/* The memory file. */
int map(struct platform_as *as, gaddr_t addr, u64 len, u64 off, int prot);
/* kind: 'u'nmap or 'p'rotect */
int change(struct platform_as *as, int kind, gaddr_t addr, u64 len, int prot);
/* A space with one code page (file page 0) and one data page (file page 1). */
struct platform_as *ready(void);
/* Until something other than a kick happens. */
struct platform_exit run(struct platform_ctx *c, struct platform_as *as, struct guest_regs *r);

unsigned count_dir(const char *path);
/* Host processes whose parent we are; with pids if wanted. */
unsigned children(pid_t *out, unsigned max);

/* A thread that spins in the guest until told to stop; counts the kicks it saw. */
struct spinner {
    pthread_t t;
    struct platform_as *as;
    struct platform_ctx *c;
    u32 kicks, stop, fault;
    gaddr_t code, data;
};
void *spinner_main(void *arg);
void spinner_start(struct spinner *s, struct platform_as *as);
void spinner_end(struct spinner *s);

/* A thread that kicks a context every few milliseconds. */
struct watchdog {
    pthread_t t;
    struct platform_ctx *c;
    int stop;
};
void watchdog_start(struct watchdog *w, struct platform_ctx *c);
void watchdog_end(struct watchdog *w);

#endif
