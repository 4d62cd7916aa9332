/*
 * How arguments read in a trace, by the decoder names of the system-call tables. Flag values are the host Linux's, in
 * which the tables of all ABIs are written down; structures decoded here are those that LP64 ABIs share.
 */
#include "abi/abi.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usercopy.h"
#include "sentry/trace/event.h"
#include "sentry/vfs/file.h"

#include <arpa/inet.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

struct name_value { const char *name; u64 v; };
#define F(x) { #x, (u64)(x) }

static const struct name_value open_flags[] = {
    F(O_CREAT), F(O_EXCL), F(O_NOCTTY), F(O_TRUNC), F(O_APPEND), F(O_NONBLOCK), F(O_SYNC), F(O_DSYNC), F(O_ASYNC), F(O_DIRECT),
    F(O_TMPFILE), F(O_DIRECTORY), F(O_NOFOLLOW), F(O_NOATIME), F(O_CLOEXEC), F(O_PATH), { "O_LARGEFILE", 0100000 },
};
static const struct name_value at_flags[] = {
    F(AT_SYMLINK_NOFOLLOW), F(AT_SYMLINK_FOLLOW), F(AT_REMOVEDIR), F(AT_NO_AUTOMOUNT), F(AT_EMPTY_PATH), F(AT_STATX_FORCE_SYNC), F(AT_STATX_DONT_SYNC),
};
static const struct name_value clone_flags[] = {
    F(CLONE_VM), F(CLONE_FS), F(CLONE_FILES), F(CLONE_SIGHAND), F(CLONE_PIDFD), F(CLONE_PTRACE), F(CLONE_VFORK), F(CLONE_PARENT),
    F(CLONE_THREAD), F(CLONE_NEWNS), F(CLONE_SYSVSEM), F(CLONE_SETTLS), F(CLONE_PARENT_SETTID), F(CLONE_CHILD_CLEARTID),
    F(CLONE_DETACHED), F(CLONE_UNTRACED), F(CLONE_CHILD_SETTID), F(CLONE_NEWCGROUP), F(CLONE_NEWUTS), F(CLONE_NEWIPC),
    F(CLONE_NEWUSER), F(CLONE_NEWPID), F(CLONE_NEWNET), F(CLONE_IO),
};
static const struct name_value prot_flags[] = { F(PROT_READ), F(PROT_WRITE), F(PROT_EXEC), F(PROT_GROWSDOWN), F(PROT_GROWSUP) };
static const struct name_value map_flags[] = {
    F(MAP_SHARED_VALIDATE), F(MAP_SHARED), F(MAP_PRIVATE), F(MAP_FIXED), F(MAP_ANONYMOUS), F(MAP_32BIT), F(MAP_GROWSDOWN), F(MAP_DENYWRITE),
    F(MAP_EXECUTABLE), F(MAP_LOCKED), F(MAP_NORESERVE), F(MAP_POPULATE), F(MAP_NONBLOCK), F(MAP_STACK), F(MAP_HUGETLB), F(MAP_SYNC),
    F(MAP_FIXED_NOREPLACE),
};
static const struct name_value mremap_flags[] = { F(MREMAP_MAYMOVE), F(MREMAP_FIXED), { "MREMAP_DONTUNMAP", 4 } };
static const struct name_value msg_flags[] = {
    F(MSG_OOB), F(MSG_PEEK), F(MSG_DONTROUTE), F(MSG_CTRUNC), F(MSG_TRUNC), F(MSG_DONTWAIT), F(MSG_EOR), F(MSG_WAITALL), F(MSG_NOSIGNAL),
    F(MSG_MORE), F(MSG_WAITFORONE), F(MSG_CMSG_CLOEXEC),
};
static const struct name_value msync_flags[] = { F(MS_ASYNC), F(MS_INVALIDATE), F(MS_SYNC) };
static const struct name_value sock_flags[] = { F(SOCK_NONBLOCK), F(SOCK_CLOEXEC) };
static const struct name_value umount_flags[] = { F(MNT_FORCE), F(MNT_DETACH), F(MNT_EXPIRE), F(UMOUNT_NOFOLLOW) };
static const struct name_value wait_flags[] = {
    F(WNOHANG), F(WUNTRACED), F(WEXITED), F(WCONTINUED), F(WNOWAIT), F(__WNOTHREAD), F(__WALL), F(__WCLONE),
};
static const struct name_value futex_flags[] = { F(FUTEX_PRIVATE_FLAG), F(FUTEX_CLOCK_REALTIME) };

static const struct name_value acc_modes[] = { F(O_RDONLY), F(O_WRONLY), F(O_RDWR), { "O_ACCMODE", 3 } };
static const struct name_value clock_ids[] = {
    F(CLOCK_REALTIME), F(CLOCK_MONOTONIC), F(CLOCK_PROCESS_CPUTIME_ID), F(CLOCK_THREAD_CPUTIME_ID), F(CLOCK_MONOTONIC_RAW),
    F(CLOCK_REALTIME_COARSE), F(CLOCK_MONOTONIC_COARSE), F(CLOCK_BOOTTIME), F(CLOCK_REALTIME_ALARM), F(CLOCK_BOOTTIME_ALARM), F(CLOCK_TAI),
};
static const struct name_value futex_ops[] = {
    F(FUTEX_WAIT), F(FUTEX_WAKE), F(FUTEX_FD), F(FUTEX_REQUEUE), F(FUTEX_CMP_REQUEUE), F(FUTEX_WAKE_OP), F(FUTEX_LOCK_PI), F(FUTEX_UNLOCK_PI),
    F(FUTEX_TRYLOCK_PI), F(FUTEX_WAIT_BITSET), F(FUTEX_WAKE_BITSET), F(FUTEX_WAIT_REQUEUE_PI), F(FUTEX_CMP_REQUEUE_PI), { "FUTEX_LOCK_PI2", 13 },
};
static const struct name_value prctl_ops[] = {
    F(PR_SET_PDEATHSIG), F(PR_GET_PDEATHSIG), F(PR_GET_DUMPABLE), F(PR_SET_DUMPABLE), F(PR_GET_KEEPCAPS), F(PR_SET_KEEPCAPS), F(PR_SET_NAME),
    F(PR_GET_NAME), F(PR_GET_SECCOMP), F(PR_SET_SECCOMP), F(PR_CAPBSET_READ), F(PR_CAPBSET_DROP), F(PR_GET_TSC), F(PR_SET_TSC),
    F(PR_GET_SECUREBITS), F(PR_SET_SECUREBITS), F(PR_SET_TIMERSLACK), F(PR_GET_TIMERSLACK), F(PR_SET_MM), F(PR_SET_PTRACER),
    F(PR_SET_CHILD_SUBREAPER), F(PR_GET_CHILD_SUBREAPER), F(PR_SET_NO_NEW_PRIVS), F(PR_GET_NO_NEW_PRIVS), F(PR_GET_TID_ADDRESS),
    F(PR_SET_THP_DISABLE), F(PR_GET_THP_DISABLE), F(PR_CAP_AMBIENT), F(PR_GET_SPECULATION_CTRL), F(PR_SET_SPECULATION_CTRL),
    { "PR_SET_VMA", 0x53564d41 },
};

/* base: the bits of base_mask name one of a list; the rest are flags. */
static const struct decoder {
    const char *name;
    const struct name_value *base; unsigned nbase; u64 base_mask;
    const struct name_value *flags; unsigned nflags;
    const char *zero;
    bool low_signal;          /* clone: the low byte is a signal */
} decoders[] = {
#define LIST(l) l, ARRAY_LEN(l)
    { "open", LIST(acc_modes), 3, LIST(open_flags), NULL, false },
    { "fdflags", NULL, 0, 0, LIST(open_flags), "0", false }, /* "open" in calls without an access mode: pipe2, dup3 */
    { "at", NULL, 0, 0, LIST(at_flags), "0", false },
    { "clone", NULL, 0, 0xff, LIST(clone_flags), "0", true },
    { "mmap_prot", NULL, 0, 0, LIST(prot_flags), "PROT_NONE", false },
    { "mmap", NULL, 0, 0, LIST(map_flags), "0", false },
    { "mremap", NULL, 0, 0, LIST(mremap_flags), "0", false },
    { "msg", NULL, 0, 0, LIST(msg_flags), "0", false },
    { "msync", NULL, 0, 0, LIST(msync_flags), "0", false },
    { "sock", NULL, 0, 0, LIST(sock_flags), "0", false },
    { "umount", NULL, 0, 0, LIST(umount_flags), "0", false },
    { "wait", NULL, 0, 0, LIST(wait_flags), "0", false },
    { "clockid", LIST(clock_ids), ~0ULL, NULL, 0, NULL, false },
    { "prctl", LIST(prctl_ops), ~0ULL, NULL, 0, NULL, false },
    { "futex", LIST(futex_ops), 127, LIST(futex_flags), NULL, false },
};

static void add_name(struct strbuf *out, const char *name, bool *any)
{
    strbuf_printf(out, "%s%s", *any ? "|" : "", name);
    *any = true;
}

bool decode_flags(const char *name, u64 v, struct strbuf *out)
{
    const struct decoder *d = NULL;
    for (size_t i = 0; name && i < ARRAY_LEN(decoders); i++)
        if (!strcmp(decoders[i].name, name)) d = &decoders[i];
    if (!d) return name && current->abi->decode && current->abi->decode(name, v, out);
    bool any = false;
    v &= d->base_mask == ~0ULL ? 0xffffffffu : ~0ULL;
    u64 base = v & d->base_mask;
    v &= ~d->base_mask;
    for (unsigned i = 0; i < d->nbase; i++)
        if (d->base[i].v == base) {
            add_name(out, d->base[i].name, &any);
            base = 0;
            break;
        }
    for (unsigned i = 0; i < d->nflags; i++)
        if ((v & d->flags[i].v) == d->flags[i].v && d->flags[i].v) {
            add_name(out, d->flags[i].name, &any);
            v &= ~d->flags[i].v;
        }
    if (d->low_signal && base) {
        const char *sig = current->abi->signal_name ? current->abi->signal_name((int)base) : NULL;
        if (sig) {
            add_name(out, sig, &any);
            base = 0;
        }
    }
    v |= base;
    if (v) strbuf_printf(out, "%s%#llx", any ? "|" : "", (unsigned long long)v);
    else if (!any) strbuf_printf(out, "%s", d->zero ? d->zero : "0");
    return true;
}

void decode_quoted(struct strbuf *out, const u8 *s, size_t n, bool cut)
{
    strbuf_add(out, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        u8 c = s[i];
        const char *esc = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
        bool digit_next = i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '7';
        if (esc) strbuf_add(out, esc, 2);
        else if (c >= 0x20 && c < 0x7f) strbuf_add(out, &c, 1);
        else strbuf_printf(out, digit_next ? "\\%03o" : "\\%o", c);
    }
    strbuf_printf(out, "\"%s", cut ? "..." : "");
}

void decode_string(struct strbuf *out, gaddr_t p, size_t max)
{
    char buf[KPATH_MAX + 1];
    if (!p) {
        strbuf_printf(out, "NULL");
        return;
    }
    max = MIN(max, sizeof(buf) - 1);
    ssize_t n = copy_in_str(buf, p, max + 1);
    if (n == -ENAMETOOLONG && !copy_in(buf, p, max)) decode_quoted(out, (u8 *)buf, max, true);
    else if (n < 0) strbuf_printf(out, "%#llx", (unsigned long long)p);
    else decode_quoted(out, (u8 *)buf, (size_t)n, false);
}

static bool decode_strv(gaddr_t p, struct strbuf *out)
{
    strbuf_add(out, "[", 1);
    for (unsigned i = 0; i < 16; i++, p += sizeof(u64)) {
        u64 s;
        if (copy_in(&s, p, sizeof(s))) break;
        if (!s) {
            strbuf_add(out, "]", 1);
            return true;
        }
        if (i) strbuf_add(out, ", ", 2);
        decode_string(out, s, 64);
    }
    strbuf_printf(out, ", ...]");
    return true;
}

static bool decode_sockaddr(gaddr_t p, struct strbuf *out)
{
    union { struct sockaddr sa; struct sockaddr_in in; struct sockaddr_un un; u8 bytes[sizeof(struct sockaddr_un)]; } a = { 0 };
    if (copy_in(&a, p, sizeof(a.sa))) return false;
    char ip[INET_ADDRSTRLEN];
    switch (a.sa.sa_family) {
    case AF_INET:
        strbuf_printf(out, "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%s\")}", ntohs(a.in.sin_port),
                      inet_ntop(AF_INET, &a.in.sin_addr, ip, sizeof(ip)));
        return true;
    case AF_UNIX:
        strbuf_printf(out, "{sa_family=AF_UNIX, sun_path=");
        decode_string(out, p + offsetof(struct sockaddr_un, sun_path), sizeof(a.un.sun_path));
        strbuf_add(out, "}", 1);
        return true;
    }
    strbuf_printf(out, "{sa_family=%u, ...}", a.sa.sa_family);
    return true;
}

bool decode_struct(const char *name, gaddr_t p, struct strbuf *out)
{
    if (!name) return false;
    if (!p) {
        strbuf_printf(out, "NULL");
        return true;
    }
    s64 w[2];
    if (!strcmp(name, "strv")) return decode_strv(p, out);
    if (!strcmp(name, "sockaddr")) return decode_sockaddr(p, out);
    if (!strcmp(name, "timespec") || !strcmp(name, "timeval")) {
        if (copy_in(w, p, sizeof(w))) return false;
        const char *pre = name[4] == 's' ? "tv_nsec" : "tv_usec";
        strbuf_printf(out, "{tv_sec=%lld, %s=%lld}", (long long)w[0], pre, (long long)w[1]);
        return true;
    }
    if (!strcmp(name, "sigset")) {
        u64 set;
        if (copy_in(&set, p, sizeof(set))) return false;
        strbuf_add(out, "[", 1);
        bool any = false;
        for (int s = 1; s <= 64; s++) {
            if (!(set >> (s - 1) & 1)) continue;
            const char *n = current->abi->signal_name ? current->abi->signal_name(s) : NULL;
            strbuf_printf(out, n ? "%s%s" : "%s%.0s%d", any ? " " : "", n ? n : "", s);
            any = true;
        }
        strbuf_add(out, "]", 1);
        return true;
    }
    return false;
}
