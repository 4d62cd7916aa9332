/*
 * Random system calls of the Solaris table, from a static program inside the sandbox: solaris_fuzz [SECONDS [SEED]]. Worker processes
 * make calls with values that are often nearly right and die of whatever they do to themselves; the sandbox must not. The
 * parent kills those that sleep. Ends with 0 after the time; a crash of the sentry ends everything with 125.
 */
#include "../solaris/sys.h"

#define CALLS_PER_WORKER 3000
static u64 rnd_state;
static u64 rnd(void) { return rnd_state ^= rnd_state << 13, rnd_state ^= rnd_state >> 7, rnd_state ^= rnd_state << 17; }
static u64 below(u64 n) { return rnd() % n; }

static u8 arena[1 << 16] __attribute__((aligned(4096)));
static const char *const paths[] = { "/", "/tmp/a", "/tmp/b/c", ".", "", "/dev/null", "/proc/self/psinfo", "/proc/self/status", "/lib/amd64/libc.so.1", "/etc/passwd",
                                     "/tmp", "/dev/fd/3", "/proc/self/as", "/proc/self/path/a.out", "a", "/dev/ptmx", "/dev/poll", "/dev/zero", "/proc/self/lwp/1/lwpstatus" };

static u64 pointer(void)
{
    switch (below(12)) {
    case 0: return 0;
    case 1: return 8;
    case 2: return ~0UL - below(4096);
    case 3: return 0x7ffffffff000UL + below(8192);
    case 4: return 0xfffffd7fffe00000UL;
    case 5: return (u64)arena + sizeof(arena) - below(64);      /* runs into the end */
    default: return (u64)arena + below(sizeof(arena) - 4096);
    }
}

static u64 value(void)
{
    static const u64 odd[] = { 0, 1, 2, 3, 4, 7, 8, 9, 16, 22, 64, 0x80, 0x100, 0xff, 0x800, 0x1000, 0x5401, 0x540d, 0x5308, 0x8004667e, 0x4004667f, 0xc01069a5, 0xc0786975,
                               0xffd19553, 0x7fffffff, 0x80000000, 0xffffffff, ~0UL, 1UL << 63, (1UL << 63) - 1, 0xd001, 4096, 65536 };
    switch (below(8)) {
    case 0: case 1: return pointer();
    case 2: return (u64)paths[below(sizeof(paths) / sizeof(*paths))];
    case 3: return 3 + below(24);                                /* descriptors */
    case 4: return below(16);
    case 5: return below(4096);
    default: return odd[below(sizeof(odd) / sizeof(*odd))];
    }
}

/* Structures that point to things, small numbers, and noise. */
static void fill(void)
{
    u64 *w = (u64 *)(void *)arena;
    for (u64 i = 0; i < 256; i++) w[below(sizeof(arena) / 8)] = below(3) ? value() : rnd();
}

static void worker(u64 seed)
{
    s32 me = (s32)sys(20).r1;

    rnd_state = seed * 0x9e3779b97f4a7c15UL | 1;
    sys(39, 3);                                                  /* a session of its own: kill(0) stays in it */
    for (int i = 0; i < CALLS_PER_WORKER; i++) {
        u32 nr = (u32)below(256);
        u64 a[6];
        struct res r;

        if (!(i & 15)) fill();
        for (int k = 0; k < 6; k++) a[k] = value();
        switch (nr) {
        case 1: continue;
        case 37: case 190: if ((s32)a[0] != 0) a[0] = (u64)(u32)me; break;
        case 108: continue;                                      /* sets of processes that could hold the parent */
        case 62: if (a[0] < 3) a[0] = 3; break;
        case 199: case 29: case 96: case 107: case 183: if (below(4)) continue; break;   /* mostly sleep */
        case 142: case 119:
            r = sys6(nr, nr == 142 ? a[0] % 3 : 0, a[1], 0, 0, 0, 0);
            if (!r.cf && r.r2 == 1) sys(1, 0);
            continue;
        case 117: if (below(8)) continue; break;
        default: break;
        }
        (void)sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    sys(1, 0);
}

static u64 parse(const char *s) { u64 v = 0; while (*s >= '0' && *s <= '9') v = v * 10 + (u64)(*s++ - '0'); return v; }

static void run(void)
{
    u64 argc = initial_sp[0], seconds = argc > 1 ? parse((const char *)initial_sp[2]) : 5, seed = argc > 2 ? parse((const char *)initial_sp[3]) : sys(13).r1;
    u64 end = sys(13).r1 + seconds, n = 0;
    struct ts nap = { 0, 2000000 };

    for (int s = 1; s < 42; s++)
        if (s != 9 && s != 23) set_handler(s, (void *)1, 0);
    put("seed "); put_num((s64)seed); put("\n");
    while (sys(13).r1 < end) {
        struct siginfo si;
        struct res r = sys(142, 0, 1);
        if (r.cf) { CHECK(0); return; }
        if (r.r2 == 1) {
            s32 null = (s32)sys(5, "/dev/null", 2, 0).r1;
            for (int fd = 0; fd < 3; fd++) sys(62, null, 9, fd);
            for (int s = 1; s < 42; s++)
                if (s != 9 && s != 23) set_handler(s, (void *)0, 0);
            worker(seed + n);
        }
        n++;
        memset(&si, 0, sizeof(si));
        for (int tries = 0; tries < 500; tries++) {
            sys(107, 0, r.r1, &si, 1 | 0x40);
            if (si.signo) break;
            sys(199, &nap, 0);
        }
        if (!si.signo) {
            sys(37, r.r1, 9);
            do r = sys(107, 0, r.r1, &si, 1); while (r.cf && (r.r1 == 4 || r.r1 == 91));
        }
        for (int k = 0; k < 16; k++) sys(107, 7, 0, &si, 1 | 0x40);   /* orphans */
    }
    put_num((s64)n); put(" workers of "); put_num(CALLS_PER_WORKER); put(" calls\n");
}
