/*
 * execve(2). The new image is built beside the old one (abi->load fills a fresh mm), so that whatever is wrong with the
 * file is an errno to the caller; only then do the other threads go and the old image with them.
 */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/kernel/exec_script.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/timers.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include <string.h>
#include <sys/personality.h>

void keys_exec(void) __attribute__((weak));
void policy_process_execed(s32 pid, const char *file, char **argv) __attribute__((weak));

#define MAX_REWRITES 5               /* interpreters of interpreters: exec_binprm() */
#define CLEAR_ON_SETID (READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO)

static int read_head(struct file *f, struct exec_image *img)
{
    memset(img->head, 0, sizeof img->head);
    ssize_t n = vfs_kernel_read(f, img->head, sizeof img->head, 0);
    if (n < 0) return (int)n;
    img->head_len = (size_t)n;
    return 0;
}

static const struct abi *preferred_abi;   /* (c) after start-up */

void exec_prefer_abi(const char *name) { preferred_abi = name ? abi_by_name(name) : NULL; }

static const struct abi *choose_abi(const struct exec_image *img)
{
    const struct abi *best = NULL;
    int best_score = 0;

    for (const struct abi *const *a = abi_all; *a; a++) {
        int score = (*a)->recognise(img->head, img->head_len);
        /* Evidence in the image is stronger than the user's wish, which only decides what says nothing. */
        if (score && *a == preferred_abi) score += 15;
        if (score > best_score) {
            best_score = score;
            best = *a;
        }
    }
    return best;
}

/* Follows scripts to the program that is to run. img->file, argv, argc may change; *owned is what was made for it. */
static int resolve_interpreters(struct exec_req *r, struct exec_image *img, char ***owned)
{
    const char *script = r->interp_path ? r->interp_path : r->filename;
    struct script_line line;
    char name[SCRIPT_LINE_MAX + 1];
    int e;

    for (int depth = 0;; depth++) {
        if (depth > MAX_REWRITES) return -ELOOP;
        if ((e = read_head(img->file, img)) < 0) return e;
        if ((img->abi = choose_abi(img))) return 0;
        if ((e = script_parse(img->head, img->head_len, &line)) < 0) return e;
        if (depth == 0 && r->fd_cloexec_script) return -ENOENT;   /* /dev/fd/N will not be there for the interpreter */

        char **argv = script_argv(img->argv, img->argc, &line, script, &img->argc);
        script_argv_free(*owned);
        *owned = img->argv = argv;
        struct file *f;
        if ((e = vfs_open_exec(AT_FDCWD, line.interp, WALK_FOLLOW, &f)) < 0) return e;
        file_put(img->file);
        img->file = f;
        memcpy(name, line.interp, sizeof name);
        script = name;
    }
}

/* abi->load runs with the credentials, registers and ABI state of the new image; all of it is undone if it fails. */
static int load_image(struct exec_image *img, struct exec_creds *creds)
{
    struct task *t = current;
    struct guest_regs regs = t->regs;
    struct cred *old_cred = t->cred;
    u32 old_personality = t->personality;
    const struct abi *old_abi = t->abi;
    void *old_data = t->abi_data, *new_data;
    int r;

    if (creds->clear_personality) t->personality &= ~(u32)CLEAR_ON_SETID;
    if (img->abi != old_abi) t->abi_data = NULL;
    lock(&t->lock);
    t->cred = creds->cred;
    unlock(&t->lock);
    t->abi = img->abi;
    memset(&t->regs, 0, sizeof t->regs);
    r = img->abi->load(img);
    lock(&t->lock);
    t->cred = old_cred;
    unlock(&t->lock);
    new_data = t->abi_data;
    if (r < 0) {
        if (img->abi != old_abi) {
            if (new_data && img->abi->task_free) img->abi->task_free(t);
            t->abi_data = old_data;
        }
        t->abi = old_abi;
        t->regs = regs;
        t->personality = old_personality;
        return r;
    }
    t->regs.rip = img->entry;
    t->regs.rsp = img->sp;
    /* The old ABI has to see its own state once more before the old image goes. */
    struct guest_regs fresh = t->regs;
    t->abi = old_abi;
    if (img->abi != old_abi) t->abi_data = old_data;
    t->regs = regs;
    img->mm->dumpable = creds->dumpable ? 1 : 0;

    if ((r = t->host_tid ? exec_dethread() : 0) < 0) {
        if (img->abi != old_abi) {
            t->abi = img->abi;
            t->abi_data = new_data;
            if (new_data && img->abi->task_free) img->abi->task_free(t);
            t->abi_data = old_data;
            t->abi = old_abi;
        }
        t->personality = old_personality;
        return r;
    }

    /* Point of no return. */
    exit_mm_release(t);
    if (img->abi != old_abi) {
        if (old_abi && old_abi->task_free) old_abi->task_free(t);
        t->abi_data = new_data;
    }
    t->abi = img->abi;
    t->regs = fresh;
    return 0;
}

int task_reset_xstate(struct task *t)
{
    size_t len = platform_xstate_size();
    AUTO_FREE u8 *x = xzalloc(len);

    x[0] = 0x7f;                /* FCW 0x037f */
    x[1] = 0x03;
    x[24] = 0x80;               /* MXCSR 0x1f80 */
    x[25] = 0x1f;
    if (len >= 520) x[512] = 3; /* XSTATE_BV: x87 and SSE are in this area */
    return kernel.pops->ctx_set_xstate(t->ctx, x, len);
}

static void reset_xstate(struct task *t)
{
    free(t->init_xstate);
    t->init_xstate = NULL;
    if (!t->host_tid) return;   /* its context is new */
    if (task_reset_xstate(t) < 0) log_warn("task %d: extended registers were not reset", t->tid);
}

static void set_name(struct task *t, const char *filename)
{
    const char *slash = strrchr(filename, '/');

    task_set_comm(t, slash ? slash + 1 : filename);
}

/* What the old program had asked of the kernel and the new one must not inherit. */
static void reset_task(struct task *t, bool secure)
{
    struct tgroup *tg = t->tg;

    signal_flush_handlers(t, false);
    t->altstack_sp = 0;
    t->altstack_size = 0;
    t->altstack_flags = SS_DISABLE;
    t->robust_list = 0;
    t->robust_len = 0;
    t->rseq_addr = 0;
    t->rseq_len = t->rseq_sig = 0;
    t->clear_child_tid = 0;
    t->restart_fn = NULL;
    t->signal_in_restart = false;
    t->has_saved_mask = false;
    if (secure) t->pdeath_signal = 0;
    if (t->host_tid) ptimers_exec(tg);
    lock(&kernel.tasklist);
    tg->exit_signal = SIGCHLD;
    t->exit_signal = SIGCHLD;
    if (tg->parent) tg->did_exec = true;
    unlock(&kernel.tasklist);
    if (secure) {
        /* A privileged program does not get an unbounded stack from its caller. */
        lock(&tg->rlim_lock);
        if (tg->rlim[RLIMIT_STACK].rlim_cur > (8u << 20)) tg->rlim[RLIMIT_STACK].rlim_cur = 8u << 20;
        unlock(&tg->rlim_lock);
    }
}

/*
 * Here the old image is still there, where Linux has nothing left to return to (bprm_execve(): force_fatal_sig). Dying is no
 * signal that a handler could take.
 */
static void die_late(struct task *t)
{
    struct ksiginfo info = { .signo = SIGSEGV, .code = SI_KERNEL };
    const struct ksigaction dfl = { 0 };

    (void)signal_action(SIGSEGV, &dfl, NULL);
    signal_force(t, &info);
}

sysret_t task_exec(struct exec_req *r)
{
    struct task *t = current;
    struct exec_image *img = xnew(struct exec_image);
    struct exec_creds creds = { .cred = NULL };
    char **owned = NULL;
    struct mm *old_mm;
    s32 old_tid = t->tid;
    int e;

    img->file = r->file;
    img->argv = r->argv;
    img->argc = r->argc;
    img->envp = r->envp;
    img->envc = r->envc;
    img->execfn = r->interp_path ? r->interp_path : r->filename;

    if ((e = resolve_interpreters(r, img, &owned)) < 0) goto out;
    if ((e = exec_compute_creds(img->file, &creds)) < 0) goto out;
    img->secure = creds.secure;
    e = -ENOMEM;
    if (!(img->mm = mm_new())) goto out;
    if ((e = load_image(img, &creds)) < 0) goto out;

    /* From here on nothing fails. */
    lock(&t->lock);
    old_mm = t->mm;
    t->mm = img->mm;
    unlock(&t->lock);
    img->mm = NULL;
    if (!t->mm->exe) {
        file_get(img->file);
        t->mm->exe = img->file;
    }
    reset_xstate(t);
    task_vfork_release(t);
    if (old_mm) {
        t->mm->core_filter = atomic_load(&old_mm->core_filter);
        t->tg->dead.maxrss_kb = MAX(t->tg->dead.maxrss_kb, atomic_load(&old_mm->rss_hwm) * (GPAGE_SIZE / 1024));
        mm_put(old_mm);
    }
    reset_task(t, creds.secure);
    int dumpable = t->mm->dumpable;
    task_set_cred(creds.cred);
    creds.cred = NULL;
    t->mm->dumpable = dumpable;
    if (keys_exec && (t->thread_keyring || t->tg->process_keyring)) keys_exec();
    /* Too late for the old image to hear of it: so the process ends, as in Linux. */
    if (fdtable_unshare_current()) tgroup_kill(t->tg, SIGKILL);
    else fdtable_close_on_exec(t->files);
    set_name(t, r->filename);
    if (policy_process_execed) policy_process_execed(t->tg->tgid, r->filename, img->argv);
    if (unlikely(t->ptrace)) ptrace_exec(old_tid);
    e = 0;
out:
    if (e < 0 && img->late && t->host_tid) die_late(t);
    if (img->mm) mm_put(img->mm);
    if (creds.cred) cred_put(creds.cred);
    script_argv_free(owned);
    file_put(img->file);
    free(img);
    return e;
}
