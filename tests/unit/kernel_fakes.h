/*
 * What sentry/kernel needs of the other parts, as fakes: memory and files are only counted, the platform runs "guest
 * code" that is a C function in this process. A guest function is called as the system call the task just made.
 */
#ifndef SUNDOG_TESTS_KERNEL_FAKES_H
#define SUNDOG_TESTS_KERNEL_FAKES_H

#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/ipc/futex.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/text.h"
#include "sentry/trace/event.h"
#include "sentry/vfs/file.h"
#include <string.h>

typedef void (*guest_fn)(void);
static int live_mm, live_files, live_fs, live_ctx;

struct platform_ctx { u32 kicked; };

static int fake_ctx_new(struct platform *p UNUSED, struct platform_ctx **out)
{
    *out = xnew(struct platform_ctx);
    atomic_add(&live_ctx, 1);
    return 0;
}
static void fake_ctx_free(struct platform_ctx *c)
{
    free(c);
    atomic_add(&live_ctx, -1);
}
static void fake_kick(struct platform_ctx *c)
{
    atomic_store(&c->kicked, 1u);
    host_futex_wake(&c->kicked);
}
/* rax 1: spins in "user mode" until kicked; else a system call. */
static void fake_run(struct platform_ctx *c, struct platform_as *as UNUSED, struct guest_regs *r, struct platform_exit *e)
{
    if (r->rax == 1) {
        while (!atomic_load(&c->kicked)) host_futex_wait(&c->kicked, 0, KTIME_NEVER);
        atomic_store(&c->kicked, 0u);
        e->event = PLATFORM_KICKED;
        return;
    }
    e->event = PLATFORM_SYSCALL;
}
static int fake_get_x(struct platform_ctx *c UNUSED, void *b, size_t n) { memset(b, 0, n); return 0; }
static int fake_set_x(struct platform_ctx *c UNUSED, const void *b UNUSED, size_t n UNUSED) { return 0; }
static const struct platform_ops fake_pops = { .name = "fake", .ctx_new = fake_ctx_new, .ctx_free = fake_ctx_free,
    .ctx_kick = fake_kick, .ctx_run = fake_run, .ctx_get_xstate = fake_get_x, .ctx_set_xstate = fake_set_x };

static void fake_syscall(struct task *t) { ((guest_fn)(uintptr_t)t->regs.rdi)(); }
static int handled[KSIG_MAX + 1];
static void fake_deliver(struct task *t UNUSED)
{
    struct ksiginfo i;
    struct ksigaction a;
    while (signal_dequeue_for_delivery(&i, &a)) {
        atomic_add(&handled[i.signo], 1);
        signal_restore_temp_mask();
    }
}
static int fake_fork(struct task *p UNUSED, struct task *c, u64 f UNUSED)
{
    c->regs.rdi = c->regs.rsi;   /* the child's function */
    c->regs.rax = 0;
    return 0;
}
static const struct abi fake_abi = { .name = "fake", .syscall = fake_syscall, .deliver_signals = fake_deliver, .task_fork = fake_fork };
const struct abi *const abi_all[] = { &fake_abi, NULL };
const struct abi *abi_by_name(const char *name) { return strcmp(name, fake_abi.name) == 0 ? &fake_abi : NULL; }

size_t platform_xstate_size(void) { return 576; }
struct mm *mm_new(void)
{
    struct mm *m = xnew(struct mm);
    ref_init(&m->refs);
    atomic_add(&live_mm, 1);
    return m;
}
void mm_get(struct mm *m) { ref_get(&m->refs); }
void mm_put(struct mm *m)
{
    if (!ref_put(&m->refs)) return;
    free(m);
    atomic_add(&live_mm, -1);
}
int mm_fork(struct mm *p UNUSED, struct mm **out) { *out = mm_new(); return 0; }
void mm_text_hit(struct mm *mm UNUSED, gaddr_t rip UNUSED, u64 nr UNUSED) {}
void mm_text_off(struct mm *mm UNUSED) {}
void mm_text_settle(struct mm *mm UNUSED, struct guest_regs *r UNUSED, struct platform_exit *e UNUSED, u64 gen UNUSED) {}
void mm_fault(struct mm *m UNUSED, gaddr_t a UNUSED, u8 x UNUSED, gaddr_t s UNUSED, u64 g UNUSED, struct mm_fault_result *r) { r->signo = 0; }
size_t mm_copy_out(struct mm *m UNUSED, gaddr_t d, const void *s, size_t n) { memcpy((void *)(uintptr_t)d, s, n); return n; }
int copy_out(gaddr_t d, const void *s, size_t n) { memcpy((void *)(uintptr_t)d, s, n); return 0; }
struct fdtable *fdtable_new(void)
{
    struct fdtable *t = xnew(struct fdtable);
    ref_init(&t->refs);
    atomic_add(&live_files, 1);
    return t;
}
struct fdtable *fdtable_copy(struct fdtable *t UNUSED) { return fdtable_new(); }
void fdtable_get(struct fdtable *t) { ref_get(&t->refs); }
void fdtable_put(struct fdtable *t)
{
    if (!ref_put(&t->refs)) return;
    free(t);
    atomic_add(&live_files, -1);
}
int fdtable_unshare_current(void) { return 0; }
void fdtable_close_on_exec(struct fdtable *t UNUSED) {}
struct fs_context *fs_context_copy(struct fs_context *f UNUSED)
{
    struct fs_context *n = xnew(struct fs_context);
    ref_init(&n->refs);
    atomic_add(&live_fs, 1);
    return n;
}
bool fs_is_chrooted(struct fs_context *f UNUSED) { return false; }
int fs_new_mounts(struct fs_context *f UNUSED, struct user_ns *owner UNUSED) { return 0; }
struct mnt_ns *fs_get_ns(struct fs_context *f UNUSED) { return NULL; }
void fs_context_get(struct fs_context *f) { ref_get(&f->refs); }
void fs_context_put(struct fs_context *f)
{
    if (!ref_put(&f->refs)) return;
    free(f);
    atomic_add(&live_fs, -1);
}
int fd_install(struct file *f UNUSED, bool c UNUSED) { return -EMFILE; }
int fd_close(int fd UNUSED) { return 0; }
void file_get(struct file *f UNUSED) {}
void file_put(struct file *f UNUSED) {}
int pidfd_create_file(struct tgroup *t UNUSED, u32 f UNUSED, struct file **o UNUSED) { return -EMFILE; }
int vfs_open_exec(int d UNUSED, const char *p UNUSED, u32 w UNUSED, struct file **o UNUSED) { return -ENOENT; }
ssize_t vfs_kernel_read(struct file *f UNUSED, void *b UNUSED, size_t n UNUSED, u64 o UNUSED) { return 0; }
int inode_permission(struct inode *i UNUSED, int m UNUSED, const struct cred *c UNUSED) { return 0; }
void ptimers_exec(struct tgroup *t UNUSED) {}
void ptimers_exit(struct tgroup *t UNUSED) {}
void ptimers_fork(struct tgroup *p UNUSED, struct tgroup *c UNUSED) {}
void ptimers_rlimit_cpu(struct tgroup *t UNUSED) {}
int ktimer_service_start(void) { return -EAGAIN; }
void ll_layer_get(struct ll_layer *l UNUSED) {}
void ll_layer_put(struct ll_layer *l UNUSED) {}
void ll_reap(void) {}
void task_die(const struct ksiginfo *info) { task_group_exit((u32)info->signo & 0x7f); }
void core_participate(struct task *t UNUSED) {}
void core_gone_shlocked(struct task *t UNUSED) {}
int ll_trace(const struct ll_layer *who UNUSED, const struct cred *target UNUSED) { return 0; }
int ll_signal(const struct ll_layer *who UNUSED, struct task *t UNUSED) { return 0; }
void ktimer_set(struct ktimer *t UNUSED, ktime_t e UNUSED) {}
void ptimer_signal_taken(struct ptimer *t UNUSED, struct ksiginfo *i UNUSED) {}
void futex_wake_addr(struct mm *m UNUSED, gaddr_t a UNUSED, s32 n UNUSED) {}
void tty_session_exit(struct session *s UNUSED) {}
void event_fatal_signal(struct task *t UNUSED, const struct ksiginfo *i UNUSED) {}
void trace_signal(struct task *t UNUSED, const struct ksiginfo *i UNUSED) {}
void trace_task_exit(struct task *t UNUSED, u32 s UNUSED) {}

#endif
