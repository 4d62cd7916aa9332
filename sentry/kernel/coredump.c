/* Core files: see coredump.h. */
#include "sentry/kernel/coredump.h"
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/log.h"
#include "sentry/base/strbuf.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ns.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include <stdio.h>
#include <string.h>

static lock_t pattern_lock = LOCK_INIT(LC_LEAF);   /* guards: */
static char pattern[CORE_PATTERN_MAX + 1] = "core";
u32 core_uses_pid;

void core_pattern_get(char out[CORE_PATTERN_MAX + 1])
{
    lock(&pattern_lock);
    memcpy(out, pattern, sizeof(pattern));
    unlock(&pattern_lock);
}

int core_pattern_set(const char *p)
{
    if (strlen(p) > CORE_PATTERN_MAX) return -EINVAL;
    if (*p == '|' || *p == '@') {
        log_info("core_pattern: there is nobody who could run or be told by \"%.*s\"; only paths are taken", 60, p);
        return -EINVAL;
    }
    lock(&pattern_lock);
    strcpy(pattern, p);
    unlock(&pattern_lock);
    return 0;
}

/* --- the name --- */

/* A part that names things: never a path of its own. */
static void add_escaped(struct strbuf *b, const char *s)
{
    size_t at = b->len;

    strbuf_printf(b, "%s", s);
    if (!strcmp(s, ".") || !strcmp(s, "..")) b->s[at] = '!';
    for (char *c = b->s + at; *c; c++)
        if (*c == '/') *c = '!';
}

static void add_exe(struct strbuf *b, struct task *t, bool whole)
{
    AUTO_FREE char *text = xzalloc(KPATH_MAX);
    struct path root;

    fs_get_root(t->fs, &root);
    struct file *exe = t->mm->exe;
    if (!exe || !exe->path.dentry || vfs_path_text(&exe->path, &root, text, KPATH_MAX) < 0) task_get_comm(t, text);
    path_put(&root);
    char *slash = strrchr(text, '/');
    add_escaped(b, whole || !slash ? text : slash + 1);
}

static void add_specifier(struct strbuf *b, char c, const struct core_dump *cd, bool *pid)
{
    struct task *t = current;
    char comm[TASK_COMM_LEN];

    switch (c) {
    case '%': strbuf_printf(b, "%%"); break;
    case 'p':
        *pid = true;
        strbuf_printf(b, "%d", t->tg->vtgid);
        break;
    case 'P': strbuf_printf(b, "%d", t->tg->tgid); break;
    case 'i': strbuf_printf(b, "%d", t->vtid); break;
    case 'I': strbuf_printf(b, "%d", t->tid); break;
    case 'u': strbuf_printf(b, "%u", uid_out(t->cred->uid)); break;
    case 'g': strbuf_printf(b, "%u", gid_out(t->cred->gid)); break;
    case 'd': strbuf_printf(b, "%d", t->mm->dumpable); break;
    case 's': strbuf_printf(b, "%d", cd->info->signo); break;
    case 't': strbuf_printf(b, "%lld", (long long)(clock_real() / NSEC_PER_SEC)); break;
    case 'h': {
        char host[65];
        lock(&kernel.uts_lock);
        snprintf(host, sizeof(host), "%s", uts_nodename());
        unlock(&kernel.uts_lock);
        add_escaped(b, host);
        break;
    }
    case 'e':
        task_get_comm(t, comm);
        add_escaped(b, comm);
        break;
    case 'f': add_exe(b, t, false); break;
    case 'E': add_exe(b, t, true); break;
    case 'c': strbuf_printf(b, "%llu", (unsigned long long)cd->limit); break;
    default: break;
    }
}

/* format_corename() */
static char *make_name(const struct core_dump *cd)
{
    char p[CORE_PATTERN_MAX + 1];
    struct strbuf b = { 0 };
    bool pid = false;

    core_pattern_get(p);
    for (const char *c = p; *c; c++) {
        if (*c != '%') strbuf_add(&b, c, 1);
        else if (!*++c) break;
        else add_specifier(&b, *c, cd, &pid);
    }
    if (atomic_load(&core_uses_pid) && !pid) strbuf_printf(&b, ".%d", current->tg->vtgid);
    return b.s;   /* NULL: an empty pattern */
}

/* --- the file --- */

static struct file *open_core(const struct core_dump *cd)
{
    AUTO_FREE char *name = make_name(cd);
    const struct open_how_k how = { .flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, .mode = 0600 };
    struct file *f;

    if (!name || !*name || strlen(name) >= KPATH_MAX) return NULL;
    (void)vfs_unlink(AT_FDCWD, name, 0);   /* the process's own to remove, or the next step fails */
    int r = vfs_open(AT_FDCWD, name, &how, &f);
    if (r) {
        log_debug("process %d: no core file %s: %s", current->tg->tgid, name, strerror(-r));
        return NULL;
    }
    struct inode *i = f->inode;
    if (S_ISREG(i->mode) && i->uid == current->cred->fsuid && (i->mode & 0677) == 0600) return f;
    file_put(f);
    return NULL;
}

static bool interrupted(void) { return atomic_load(&current->work) & TW_KILL; }

bool core_emit(struct core_dump *c, const void *buf, size_t n)
{
    struct uio u;

    if (n > c->limit - c->written || interrupted()) return false;
    uio_init_kernel(&u, (void *)(uintptr_t)buf, n);
    for (size_t done = 0; done < n;) {
        ssize_t r = vfs_pwrite(c->file, &u, c->pos + done, 0);
        if (r <= 0) return false;
        done += (size_t)r;
    }
    c->pos += n;
    c->written += n;
    return true;
}

bool core_skip(struct core_dump *c, u64 n)
{
    c->pos += n;
    return !interrupted() && (s64)c->pos >= 0;
}

/* --- the threads --- */

static void *own_xstate(struct task *t)
{
    void *x = try_zalloc(1, platform_xstate_size());

    if (x && t->ctx && kernel.pops->ctx_get_xstate(t->ctx, x, platform_xstate_size()) == 0) return x;
    free(x);
    return NULL;
}

void core_gone_shlocked(struct task *t)
{
    struct core_dump *c = t->tg->core;

    if (!c || t == c->dumper || t->in_core) return;
    if (--c->missing == 0) task_wake(c->dumper);
}

void core_participate(struct task *t)
{
    struct tgroup *tg = t->tg;

    if (likely(!atomic_load(&tg->core))) return;
    struct core_thread me = { .t = t, .xstate = own_xstate(t) };
    struct sighand *s = tgroup_lock_sighand(tg);
    struct core_dump *c = tg->core;
    bool wait = c && c->dumper != t && !t->exiting;
    if (wait) {
        TAILQ_INSERT_TAIL(&c->threads, &me, link);
        core_gone_shlocked(t);
        t->in_core = true;
    }
    unlock(&s->lock);
    if (wait) {
        struct waiter w;
        waiter_init_current(&w, 0);
        waitq_add(&tg->core_wait, &w);
        while (atomic_load(&tg->core)) {
            atomic_and(&t->work, ~(u32)TW_FATAL);   /* it is dying as it is */
            (void)task_sleep_uninterruptible(KTIME_NEVER);
        }
        waitq_del(&w);
    }
    free(me.xstate);
}

/* All threads but this one are on their way out and will come by core_participate. False: somebody was first. */
static bool begin(struct core_dump *c, u32 status)
{
    struct tgroup *tg = current->tg;
    struct task *i;
    struct sighand *s = tgroup_lock_sighand(tg);
    bool ok = !tg->group_exit && !tg->exec_in_progress && !tg->core;

    if (ok) {
        TAILQ_FOREACH(i, &tg->tasks, tg_link) c->missing += i != current && !i->exiting;
        atomic_store(&tg->core, c);
        tgroup_kill_shlocked(tg, status);
        atomic_and(&current->work, ~(u32)TW_FATAL);
    }
    unlock(&s->lock);
    return ok;
}

static bool await_threads(struct core_dump *c)
{
    struct tgroup *tg = current->tg;

    for (;;) {
        struct sighand *s = tgroup_lock_sighand(tg);
        bool all = c->missing == 0;
        unlock(&s->lock);
        if (all) return !interrupted();
        /* A kill ends the dump, but the threads have c in hand until they have come in. */
        if (task_sleep_uninterruptible(KTIME_NEVER) == -EINTR) {
            atomic_and(&current->work, ~(u32)TW_FATAL);
            c->limit = 0;
        }
    }
}

static void finish(struct core_dump *c, bool dumped)
{
    struct tgroup *tg = current->tg;
    struct sighand *s = tgroup_lock_sighand(tg);

    if (dumped) tg->group_exit_code |= 0x80;
    atomic_store(&tg->core, (struct core_dump *)NULL);
    unlock(&s->lock);
    waitq_wake_all(&tg->core_wait, 0);
    if (c->file) file_put(c->file);
}

/* Returns when there is nothing to dump; the process is ending then, or not yet. */
static void dump(const struct ksiginfo *info, u32 status)
{
    struct task *t = current;
    struct core_dump c = { .info = info, .dumper = t, .limit = current_rlimit(RLIMIT_CORE) };
    struct core_thread me = { .t = t };
    bool dumped = false;

    TAILQ_INIT(&c.threads);
    if (!t->abi->core || !t->mm || t->mm->dumpable != 1 || c.limit < GPAGE_SIZE) return;
    if (!begin(&c, status)) return;
    TAILQ_INSERT_HEAD(&c.threads, &me, link);
    me.xstate = own_xstate(t);
    if (await_threads(&c) && c.limit && (c.file = open_core(&c))) {
        t->abi->core(&c);
        dumped = true;
    }
    finish(&c, dumped);
    free(me.xstate);
}

void task_die(const struct ksiginfo *info)
{
    struct tgroup *tg = current->tg;
    u32 status = (u32)info->signo & 0x7f;

    lock(&tg->sighand->lock);
    if (!tg->fatal_info_set && !tg->group_exit) {
        tg->fatal_info = *info;
        tg->fatal_info_set = true;
    }
    unlock(&tg->sighand->lock);
    if (signal_default(info->signo) == SIG_DFL_CORE) dump(info, status);
    task_group_exit(status);
}
