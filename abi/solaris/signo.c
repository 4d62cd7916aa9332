/*
 * Signal numbers, sets and sigaction flags. The kernel's numbers are the host's 1..64; the ones that only Solaris has
 * live above. Source: sys/iso/signal_iso.h, sys/signal.h of illumos.
 */
#include "abi/solaris/solaris.h"

#define KSIG_SOL(n) (64 + (n))   /* 65: the first beyond the host's */
#define SIGNALS(X) \
    X(1, 1, HUP) X(2, 2, INT) X(3, 3, QUIT) X(4, 4, ILL) X(5, 5, TRAP) X(6, 6, ABRT) X(7, KSIG_EMT, EMT) X(8, 8, FPE) X(9, 9, KILL) \
    X(10, 7, BUS) X(11, 11, SEGV) X(12, 31, SYS) X(13, 13, PIPE) X(14, 14, ALRM) X(15, 15, TERM) X(16, 10, USR1) X(17, 12, USR2) \
    X(18, 17, CLD) X(19, 30, PWR) X(20, 28, WINCH) X(21, 23, URG) X(22, 29, POLL) X(23, 19, STOP) X(24, 20, TSTP) X(25, 18, CONT) \
    X(26, 21, TTIN) X(27, 22, TTOU) X(28, 26, VTALRM) X(29, 27, PROF) X(30, 24, XCPU) X(31, 25, XFSZ) X(32, KSIG_SOL(3), WAITING) \
    X(33, KSIG_SOL(4), LWP) X(34, KSIG_SOL(5), FREEZE) X(35, KSIG_SOL(6), THAW) X(36, KSIG_SOL(7), CANCEL) X(37, KSIG_LOST, LOST) \
    X(38, KSIG_SOL(8), XRES) X(39, KSIG_SOL(9), JVM1) X(40, KSIG_SOL(10), JVM2) X(41, KSIG_SOL(11), INFO) \
    X(42, 33, RTMIN) X(43, 34, RTMIN+1) X(44, 35, RTMIN+2) X(45, 36, RTMIN+3) X(46, 37, RTMIN+4) X(47, 38, RTMIN+5) \
    X(48, 39, RTMIN+6) X(49, 40, RTMIN+7) X(50, 41, RTMIN+8) X(51, 42, RTMIN+9) X(52, 43, RTMIN+10) X(53, 44, RTMIN+11) \
    X(54, 45, RTMIN+12) X(55, 46, RTMIN+13) X(56, 47, RTMIN+14) X(57, 48, RTMIN+15) X(58, 49, RTMAX-15) X(59, 50, RTMAX-14) \
    X(60, 51, RTMAX-13) X(61, 52, RTMAX-12) X(62, 53, RTMAX-11) X(63, 54, RTMAX-10) X(64, 55, RTMAX-9) X(65, 56, RTMAX-8) \
    X(66, 57, RTMAX-7) X(67, 58, RTMAX-6) X(68, 59, RTMAX-5) X(69, 60, RTMAX-4) X(70, 61, RTMAX-3) X(71, 62, RTMAX-2) \
    X(72, 63, RTMAX-1) X(73, 64, RTMAX)

#define COUNT(s, k, n) +1
#define SUM(s, k, n) +(s)
_Static_assert(SIGNALS(COUNT) == SOL_NSIG - 1 && SIGNALS(SUM) == 73 * 74 / 2, "signal table: each Solaris signal once");
_Static_assert(KSIG_EMT == KSIG_SOL(1) && KSIG_LOST == KSIG_SOL(2), "kernel numbers of the Solaris-only signals");

static const u8 to_kernel[SOL_NSIG] = {
#define ROW(s, k, n) [s] = k,
    SIGNALS(ROW)
#undef ROW
};

int sol_signo_in(int sol) { return sol > 0 && sol < SOL_NSIG ? to_kernel[sol] : 0; }

int sol_signo_out(int ksig)
{
    switch (ksig) {
#define CASE(s, k, n) case k: return s;
    SIGNALS(CASE)
#undef CASE
    case 0: return 0;
    default: return 15;   /* the host's SIGSTKFLT and 32: nothing here sends them */
    }
}

const char *solaris_signal_name(int sig)
{
    switch (sig) {
#define CASE(s, k, n) case k: return "SIG" #n;
    SIGNALS(CASE)
#undef CASE
    default: return NULL;
    }
}

void sol_sigset_in(ksigset_t *out, const struct sol_sigset *in)
{
    ksigset_empty(out);
    for (unsigned w = 0; w < 3; w++)
        for (u32 bits = in->w[w]; bits; bits &= bits - 1) {
            int k = sol_signo_in((int)(w * 32) + __builtin_ctz(bits) + 1);
            if (k) ksigset_add(out, k);
        }
}

void sol_sigset_out(struct sol_sigset *out, const ksigset_t *in)
{
    memset(out, 0, sizeof(*out));
    for (int s = 1; s < SOL_NSIG; s++)
        if (ksigset_has(in, to_kernel[s])) out->w[(s - 1) >> 5] |= 1u << ((s - 1) & 31);
}

int sol_copy_in_sigset(ksigset_t *out, gaddr_t p)
{
    struct sol_sigset s;

    if (copy_in(&s, p, sizeof(s))) return -EFAULT;
    sol_sigset_in(out, &s);
    return 0;
}

int sol_copy_out_sigset(gaddr_t p, const ksigset_t *k)
{
    struct sol_sigset s;

    sol_sigset_out(&s, k);
    return copy_out(p, &s, sizeof(s));
}

static const struct sol_flag sa_flags[] = {
    { 1, SA_ONSTACK }, { 2, SA_RESETHAND }, { 4, SA_RESTART }, { 8, SA_SIGINFO }, { 16, SA_NODEFER }, { 0x10000, SA_NOCLDWAIT },
    { 0x20000, SA_NOCLDSTOP },
};

u32 sol_flags_in(const struct sol_flag *t, size_t n, u32 v, u32 *unknown)
{
    u32 out = 0;

    for (size_t i = 0; i < n; i++)
        if ((v & t[i].sol) == t[i].sol) {
            out |= t[i].host;
            v &= ~t[i].sol;
        }
    if (unknown) *unknown = v;
    return out;
}

u32 sol_flags_out(const struct sol_flag *t, size_t n, u32 v)
{
    u32 out = 0;

    for (size_t i = 0; i < n; i++)
        if (t[i].host && (v & t[i].host) == t[i].host) {
            out |= t[i].sol;
            v &= ~t[i].host;
        }
    return out;
}

u64 sol_sa_flags_in(u32 f) { return sol_flags_in(sa_flags, ARRAY_LEN(sa_flags), f, NULL); }
u32 sol_sa_flags_out(u64 f) { return sol_flags_out(sa_flags, ARRAY_LEN(sa_flags), (u32)f); }
