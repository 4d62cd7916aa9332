/* See platform_fixture.h. */
#include "tests/unit/platform_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct platform_ops *ops;
struct platform *plat;
struct platform_config cfg;

bool fixture_memory(void)
{
    cfg.memfile_size = MEM_SIZE;
    cfg.memfile_fd = memfd_create("guest-memory", MFD_CLOEXEC);
    if (cfg.memfile_fd < 0 || ftruncate(cfg.memfile_fd, MEM_SIZE)) return false;
    cfg.memfile_base = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, cfg.memfile_fd, 0);
    return cfg.memfile_base != MAP_FAILED;
}

struct platform_as *space(void)
{
    struct platform_as *as;
    assert_int_equal(ops->as_new(plat, &as), 0);
    return as;
}

struct platform_ctx *context(void)
{
    struct platform_ctx *c;
    assert_int_equal(ops->ctx_new(plat, &c), 0);
    return c;
}

int map_fd(struct platform_as *as, int fd, gaddr_t addr, u64 len, u64 off, int prot)
{
    struct platform_mapop op = { .kind = PLATFORM_MAP, .prot = (u8)prot, .fd = fd, .addr = addr, .len = len, .off = off };
    return ops->as_update(as, &op, 1);
}

int map(struct platform_as *as, gaddr_t addr, u64 len, u64 off, int prot)
{
    return map_fd(as, cfg.memfile_fd, addr, len, off, prot);
}

int change(struct platform_as *as, int kind, gaddr_t addr, u64 len, int prot)
{
    struct platform_mapop op = { .prot = (u8)prot, .addr = addr, .len = len };
    op.kind = kind == 'u' ? PLATFORM_UNMAP : PLATFORM_PROTECT;
    return ops->as_update(as, &op, 1);
}

struct platform_as *ready(void)
{
    struct platform_as *as = space();
    assert_int_equal(map(as, CODE, 4096, 0, R | X), 0);
    assert_int_equal(map(as, DATA, 4096, 4096, R | W), 0);
    return as;
}

struct platform_exit run(struct platform_ctx *c, struct platform_as *as, struct guest_regs *r)
{
    struct platform_exit e;
    do ops->ctx_run(c, as, r, &e);
    while (e.event == PLATFORM_KICKED);
    return e;
}

unsigned count_dir(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

unsigned children(pid_t *out, unsigned max)
{
    char path[64], buf[512];
    unsigned n = 0;
    DIR *d = opendir("/proc");
    struct dirent *e;

    while ((e = readdir(d))) {
        int pid = atoi(e->d_name), ppid = 0;
        if (pid <= 0) continue;
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        if (fgets(buf, sizeof(buf), f) && strrchr(buf, ')')) sscanf(strrchr(buf, ')') + 1, " %*c %d", &ppid);
        fclose(f);
        if (ppid != getpid()) continue;
        if (n < max) out[n] = pid;
        n++;
    }
    closedir(d);
    return n;
}

void *spinner_main(void *arg)
{
    struct spinner *s = arg;
    struct guest_regs r = { .rip = s->code, .rsi = s->data };
    struct platform_exit e;
    struct platform_ctx *c;

    ops->ctx_new(plat, &c);
    __atomic_store_n(&s->c, c, __ATOMIC_SEQ_CST);
    for (;;) {
        ops->ctx_run(c, s->as, &r, &e);
        if (e.event == PLATFORM_KICKED) {
            __atomic_add_fetch(&s->kicks, 1, __ATOMIC_SEQ_CST);
        } else if (e.event != PLATFORM_SYSCALL) {
            __atomic_store_n(&s->fault, 1 + e.event, __ATOMIC_SEQ_CST);
            break;
        }
        if (__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) break;
    }
    /* On ptrace a guest dies with the thread that ran it last, and an update may still be under way. */
    while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) usleep(100);
    return NULL;
}

void spinner_start(struct spinner *s, struct platform_as *as)
{
    memset(s, 0, sizeof(*s));
    s->as = as;
    s->code = CODE;
    s->data = DATA;
    pthread_create(&s->t, NULL, spinner_main, s);
    while (!__atomic_load_n(&s->c, __ATOMIC_SEQ_CST)) sched_yield();
}

void spinner_end(struct spinner *s)
{
    __atomic_store_n(&s->stop, 1, __ATOMIC_SEQ_CST);
    ops->ctx_kick(s->c);
    pthread_join(s->t, NULL);
    ops->ctx_free(s->c);
}

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;

    while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
        ops->ctx_kick(w->c);
        usleep(3000);
    }
    return NULL;
}

void watchdog_start(struct watchdog *w, struct platform_ctx *c)
{
    w->c = c;
    w->stop = 0;
    assert_int_equal(pthread_create(&w->t, NULL, watchdog_main, w), 0);
}

void watchdog_end(struct watchdog *w)
{
    __atomic_store_n(&w->stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(w->t, NULL);
}
