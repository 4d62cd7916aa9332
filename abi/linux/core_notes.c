/* The notes of a core file. Source: fill_note_info(), write_note_info() of fs/binfmt_elf.c; include/linux/elfcore.h. */
#include "abi/linux/core.h"
#include "abi/linux/uapi_process.h"
#include "abi/linux/uapi_signal.h"
#include "sentry/base/alloc.h"
#include "sentry/vfs/file.h"
#include <elf.h>
#include <string.h>

#define FILE_NOTE_MAX (4u << 20)
#ifndef NT_SIGINFO
#define NT_SIGINFO 0x53494749
#define NT_FILE 0x46494c45
#endif

struct linux_prstatus {
    s32 signo, code, err;
    s16 cursig, pad;
    u64 sigpend, sighold;
    s32 pid, ppid, pgrp, sid;
    struct linux_timeval utime, stime, cutime, cstime;
    struct guest_regs regs;
    s32 fpvalid, pad2;
};
_Static_assert(sizeof(struct linux_prstatus) == 336, "struct elf_prstatus");
_Static_assert(offsetof(struct linux_prstatus, regs) == 112, "pr_reg");

struct linux_prpsinfo {
    s8 state;
    char sname;
    s8 zomb, nice;
    u32 pad;
    u64 flag;
    u32 uid, gid;
    s32 pid, ppid, pgrp, sid;
    char fname[16], args[80];
};
_Static_assert(sizeof(struct linux_prpsinfo) == 136, "struct elf_prpsinfo");

static void add_note(struct strbuf *b, const char *name, u32 type, const void *data, size_t n)
{
    static const char zero[4];
    Elf64_Nhdr h = { .n_namesz = (u32)strlen(name) + 1, .n_descsz = (u32)n, .n_type = type };

    strbuf_add(b, &h, sizeof(h));
    strbuf_add(b, name, h.n_namesz);
    strbuf_add(b, zero, -h.n_namesz & 3);
    strbuf_add(b, data, n);
    strbuf_add(b, zero, -n & 3);
}

static struct linux_timeval from_ns(u64 ns) { return (struct linux_timeval){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) }; }

static void prstatus(struct strbuf *b, const struct core_dump *c, struct task *t)
{
    struct linux_prstatus s = { .signo = c->info->signo, .code = c->info->code, .err = c->info->err, .cursig = (s16)c->info->signo,
                                .pid = t->vtid, .ppid = pid_out(tgroup_ppid(t->tg)), .pgrp = pid_out(tgroup_pgid(t->tg)),
                                .sid = pid_out(tgroup_sid(t->tg)), .regs = t->regs };
    struct rusage_acc kids, own;
    ksigset_t pending, shared;
    u64 u, st;

    signal_get_pending(t, &pending, &shared);
    s.sigpend = pending.w[0];
    s.sighold = t->blocked.w[0];
    task_account(t, &u, &st);
    if (t->tg->leader == t) {   /* the leader answers for the whole process */
        tgroup_rusage(t->tg, &own);
        u = own.utime_ns;
        st = own.stime_ns;
    }
    tgroup_rusage_children(t->tg, &kids);
    s.utime = from_ns(u);
    s.stime = from_ns(st);
    s.cutime = from_ns(kids.utime_ns);
    s.cstime = from_ns(kids.stime_ns);
    s.fpvalid = 1;
    add_note(b, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

static void prpsinfo(struct strbuf *b, struct task *t)
{
    struct mm *mm = t->mm;
    struct linux_prpsinfo p = { .sname = 'R', .nice = (s8)t->nice, .uid = uid_out(t->cred->uid), .gid = gid_out(t->cred->gid), .pid = t->tg->vtgid,
                                .ppid = pid_out(tgroup_ppid(t->tg)), .pgrp = pid_out(tgroup_pgid(t->tg)), .sid = pid_out(tgroup_sid(t->tg)) };
    size_t n = mm->arg_end > mm->arg_start ? MIN(mm->arg_end - mm->arg_start, sizeof(p.args) - 1) : 0;

    task_get_comm(t, p.fname);
    n = mm_copy_in(mm, p.args, mm->arg_start, n);
    for (size_t i = 0; i < n; i++)
        if (!p.args[i]) p.args[i] = ' ';
    add_note(b, "CORE", NT_PRPSINFO, &p, sizeof(p));
}

static void siginfo(struct strbuf *b, const struct core_dump *c)
{
    struct linux_siginfo s;

    memset(&s, 0, sizeof(s));
    linux_siginfo_fill(&s, c->info);
    add_note(b, "CORE", NT_SIGINFO, &s, sizeof(s));
}

/* Which files are mapped where: a table of addresses and page offsets, then the names in the same order. */
static void files(struct strbuf *b, const struct core_vmas *l)
{
    struct strbuf table = { 0 }, names = { 0 };
    AUTO_FREE char *text = xzalloc(KPATH_MAX);
    struct path root;
    u64 head[2] = { 0, GPAGE_SIZE };

    fs_get_root(current->fs, &root);
    for (size_t i = 0; i < l->n; i++) {
        const struct core_vma *v = &l->v[i];
        if (!v->file || !v->file->path.dentry || vfs_path_text(&v->file->path, &root, text, KPATH_MAX) < 0) continue;
        u64 row[3] = { v->start, v->end, v->off / GPAGE_SIZE };
        if (table.len + names.len + strlen(text) > FILE_NOTE_MAX) break;
        strbuf_add(&table, row, sizeof(row));
        strbuf_add(&names, text, strlen(text) + 1);
        head[0]++;
    }
    path_put(&root);
    if (head[0]) {
        struct strbuf all = { 0 };
        strbuf_add(&all, head, sizeof(head));
        strbuf_add(&all, table.s, table.len);
        strbuf_add(&all, names.s, names.len);
        add_note(b, "CORE", NT_FILE, all.s, all.len);
        strbuf_fini(&all);
    }
    strbuf_fini(&table);
    strbuf_fini(&names);
}

static void registers(struct strbuf *b, const struct core_thread *ct)
{
    u64 features = platform_xstate_features();
    u8 *x = ct->xstate;

    if (!x) return;
    add_note(b, "CORE", NT_PRFPREG, x, LINUX_FXSAVE_SIZE);
    /* Debuggers learn from here which registers there are. */
    memcpy(x + LINUX_FPX_SW_OFFSET, &features, sizeof(features));
    add_note(b, "LINUX", NT_X86_XSTATE, x, platform_xstate_size());
}

void linux_core_notes(const struct core_dump *c, const struct core_vmas *l, struct strbuf *out)
{
    struct core_thread *ct;

    TAILQ_FOREACH(ct, &c->threads, link) {
        prstatus(out, c, ct->t);
        if (ct->t == c->dumper) {
            prpsinfo(out, ct->t);
            siginfo(out, c);
            add_note(out, "CORE", NT_AUXV, ct->t->mm->auxv, ct->t->mm->auxv_n * sizeof(u64));
            files(out, l);
        }
        registers(out, ct);
    }
}
