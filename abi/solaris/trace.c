/* How Solaris arguments read in a trace: the decoder names of syscalls.tbl that begin with sol_. */
#include "abi/solaris/solaris.h"
#include "sentry/base/strbuf.h"

struct name { const char *s; u32 v; };
#define N(x, v) { #x, v }

static const struct name open_bits[] = {
    N(O_NDELAY, 4), N(O_APPEND, 8), N(O_SYNC, 0x10), N(O_DSYNC, 0x40), N(O_NONBLOCK, 0x80), N(O_CREAT, 0x100), N(O_TRUNC, 0x200), N(O_EXCL, 0x400),
    N(O_NOCTTY, 0x800), N(O_LARGEFILE, 0x2000), N(O_XATTR, 0x4000), N(O_RSYNC, 0x8000), N(O_NOFOLLOW, 0x20000), N(O_NOLINKS, 0x40000),
    N(O_SEARCH, 0x200000), N(O_EXEC, 0x400000), N(O_CLOEXEC, 0x800000), N(O_DIRECTORY, 0x1000000), N(O_DIRECT, 0x2000000),
};
static const struct name map_bits[] = {
    N(MAP_SHARED, 1), N(MAP_PRIVATE, 2), N(MAP_FIXED, 0x10), N(MAP_RENAME, 0x20), N(MAP_NORESERVE, 0x40), N(MAP_32BIT, 0x80), N(MAP_ANON, 0x100),
    N(MAP_ALIGN, 0x200), N(MAP_TEXT, 0x400), N(MAP_INITDATA, 0x800), N(_MAP_NEW, 0x80000000),
};
static const struct name at_bits[] = { N(AT_SYMLINK_NOFOLLOW, 0x1000), N(AT_SYMLINK_FOLLOW, 0x2000), N(AT_REMOVEDIR, 1), N(AT_EACCESS, 4) };
static const struct name wait_bits[] = {
    N(WEXITED, 1), N(WTRAPPED, 2), N(WSTOPPED, 4), N(WCONTINUED, 8), N(WNOHANG, 0x40), N(WNOWAIT, 0x80),
};
static const struct name lwp_bits[] = { N(LWP_DAEMON, 0x20), N(LWP_DETACHED, 0x40), N(LWP_SUSPENDED, 0x80) };
static const struct name fork_bits[] = { N(FORK_NOSIGCHLD, 1), N(FORK_WAITPID, 2) };

static const struct name fcntls[] = {
    N(F_DUPFD, 0), N(F_GETFD, 1), N(F_SETFD, 2), N(F_GETFL, 3), N(F_SETFL, 4), N(F_SETLK, 6), N(F_SETLKW, 7), N(F_DUP2FD, 9), N(F_ALLOCSP, 10),
    N(F_FREESP, 11), N(F_ISSTREAM, 13), N(F_GETLK, 14), N(F_GETOWN, 23), N(F_SETOWN, 24), N(F_DUP2FD_CLOEXEC, 36), N(F_DUPFD_CLOEXEC, 37),
    N(F_GETXFL, 45), N(F_OFD_GETLK, 47), N(F_OFD_SETLK, 48), N(F_OFD_SETLKW, 49), N(F_FLOCK, 53), N(F_FLOCKW, 54),
};
static const struct name ioctls[] = {
    N(TCGETA, 0x5401), N(TCSETA, 0x5402), N(TCSETAW, 0x5403), N(TCSETAF, 0x5404), N(TCSBRK, 0x5405), N(TCXONC, 0x5406), N(TCFLSH, 0x5407),
    N(TCGETS, 0x540d), N(TCSETS, 0x540e), N(TCSETSW, 0x540f), N(TCSETSF, 0x5410), N(TIOCGWINSZ, 0x5468), N(TIOCSWINSZ, 0x5467),
    N(TIOCGPGRP, 0x7414), N(TIOCSPGRP, 0x7415), N(TIOCGSID, 0x7416), N(FIONREAD, 0x4004667f), N(FIONBIO, 0x8004667e), N(FIOCLEX, 0x20006601),
    N(FIONCLEX, 0x20006602), N(I_PUSH, 0x5302), N(I_POP, 0x5303), N(I_LOOK, 0x5304), N(I_STR, 0x5308), N(I_FIND, 0x530b),
};
static const struct name contexts[] = { N(GETCONTEXT, 0), N(SETCONTEXT, 1), N(GETUSTACK, 2), N(SETUSTACK, 3) };
static const struct name masks[] = { N(SIG_BLOCK, 1), N(SIG_UNBLOCK, 2), N(SIG_SETMASK, 3) };
static const struct name idtypes[] = { N(P_PID, 0), N(P_PPID, 1), N(P_PGID, 2), N(P_SID, 3), N(P_ALL, 7), N(P_LWPID, 8) };
static const struct name forks[] = { N(forkx, 0), N(forkallx, 1), N(vforkx, 2) };
static const struct name parks[] = { N(park, 0), N(unpark, 1), N(unpark_all, 2), N(unpark_cancel, 3), N(set_park, 4) };
static const struct name ports[] = {
    N(PORT_CREATE, 0x100), N(PORT_CREATE, 0), N(PORT_ASSOCIATE, 1), N(PORT_DISSOCIATE, 2), N(PORT_SEND, 3), N(PORT_SENDN, 0x104), N(PORT_GET, 5), N(PORT_GETN, 6),
    N(PORT_ALERT, 7), N(PORT_DISPATCH, 8),
};
static const struct name pgrps[] = { N(getpgrp, 0), N(setpgrp, 1), N(getsid, 2), N(setsid, 3), N(getpgid, 4), N(setpgid, 5) };
static const struct name clocks[] = {
    N(CLOCK_VIRTUAL, 1), N(CLOCK_THREAD_CPUTIME_ID, 2), N(CLOCK_REALTIME, 3), N(CLOCK_HIGHRES, 4), N(CLOCK_PROCESS_CPUTIME_ID, 5),
};
static const struct name memcntls[] = {
    N(MC_SYNC, 1), N(MC_LOCK, 2), N(MC_UNLOCK, 3), N(MC_ADVISE, 4), N(MC_LOCKAS, 5), N(MC_UNLOCKAS, 6), N(MC_HAT_ADVISE, 7), N(MC_INHERIT_ZERO, 8),
};
static const struct name families[] = { N(AF_UNSPEC, 0), N(AF_UNIX, 1), N(AF_INET, 2), N(AF_INET6, 26) };
static const struct name socktypes[] = { N(SOCK_DGRAM, 1), N(SOCK_STREAM, 2), N(SOCK_RAW, 4), N(SOCK_RDM, 5), N(SOCK_SEQPACKET, 6) };

/* bits: names of single bits; else of whole values. */
static const struct { const char *name; bool bits; const struct name *t; size_t n; } decoders[] = {
#define D(name, bits, t) { name, bits, t, ARRAY_LEN(t) }
    D("sol_open", true, open_bits), D("sol_mmap", true, map_bits), D("sol_at", true, at_bits), D("sol_wait", true, wait_bits),
    D("sol_lwp", true, lwp_bits), D("sol_forkflags", true, fork_bits), D("sol_fcntl", false, fcntls), D("sol_ioctl", false, ioctls),
    D("sol_context", false, contexts), D("sol_how", false, masks), D("sol_idtype", false, idtypes), D("sol_fork", false, forks),
    D("sol_park", false, parks), D("sol_port", false, ports), D("sol_pgrp", false, pgrps), D("sol_clock", false, clocks),
    D("sol_memcntl", false, memcntls), D("sol_af", false, families), D("sol_socktype", false, socktypes),
};

bool solaris_decode(const char *name, u64 value, struct strbuf *out)
{
    u32 v = (u32)value;
    bool any = false;

    if (!strcmp(name, "sol_sig")) {
        const char *s = sol_signo_in((int)v) ? solaris_signal_name(sol_signo_in((int)v)) : NULL;
        if (s) strbuf_printf(out, "%s", s);
        else strbuf_printf(out, "%d", (int)v);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(decoders); i++) {
        if (strcmp(decoders[i].name, name)) continue;
        if (decoders[i].t == open_bits) {
            static const char *const acc[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "3" };
            strbuf_printf(out, "%s", acc[v & 3]);
            v &= ~3u;
            any = true;
        }
        for (size_t k = 0; k < decoders[i].n; k++) {
            const struct name *n = &decoders[i].t[k];
            if (!decoders[i].bits && n->v == v) {
                strbuf_printf(out, "%s", n->s);
                return true;
            }
            if (decoders[i].bits && (v & n->v)) {
                strbuf_printf(out, "%s%s", any ? "|" : "", n->s);
                v &= ~n->v;
                any = true;
            }
        }
        if (v || !any) strbuf_printf(out, "%s%#x", any ? "|" : "", v);
        return true;
    }
    return false;
}
