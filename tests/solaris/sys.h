/*
 * For static Solaris programs without any library: raw system calls and a little text. Build:
 *   clang --target=x86_64-pc-solaris2.11 -O1 -ffreestanding -fno-stack-protector -nostdlib -static -fuse-ld=lld NAME_test.c
 * A test prints one line for each wrong expectation and exits with 1 then. Expectations name their source.
 */
#ifndef SOLARIS_TEST_SYS_H
#define SOLARIS_TEST_SYS_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef short s16;
typedef int s32;
typedef long s64;
#define NULL ((void *)0)

/* What a call left: both result registers and the carry flag. */
struct res { u64 r1, r2; int cf; };

static inline struct res sys6(u32 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    struct res r;
    u8 cf;
    register u64 r10 __asm__("r10") = d;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    u64 dx = c;

    __asm__ volatile("syscall; setc %2" : "=a"(r.r1), "+d"(dx), "=r"(cf) : "0"((u64)nr), "D"(a), "S"(b), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    r.r2 = dx;
    r.cf = cf;
    return r;
}
#define SYS_SELECT(_0, _1, _2, _3, _4, _5, _6, NAME, ...) NAME
#define SYS0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define SYS1(n, a) sys6(n, (u64)(a), 0, 0, 0, 0, 0)
#define SYS2(n, a, b) sys6(n, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define SYS3(n, a, b, c) sys6(n, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define SYS4(n, a, b, c, d) sys6(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define SYS5(n, a, b, c, d, e) sys6(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), 0)
#define SYS6(n, a, b, c, d, e, f) sys6(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))
#define sys(...) SYS_SELECT(__VA_ARGS__, SYS6, SYS5, SYS4, SYS3, SYS2, SYS1, SYS0)(__VA_ARGS__)

void *memset(void *p, int c, u64 n) { u8 *d = p; while (n--) *d++ = (u8)c; return p; }
void *memcpy(void *p, const void *q, u64 n) { u8 *d = p; const u8 *s = q; while (n--) *d++ = *s++; return p; }
static inline int same(const void *p, const void *q, u64 n) { const u8 *a = p, *b = q; while (n--) if (*a++ != *b++) return 0; return 1; }
static inline u64 len(const char *s) { u64 n = 0; while (s[n]) n++; return n; }
static inline void put(const char *s) { sys(4, 1, s, len(s)); }
static inline void put_num(s64 v)
{
    char b[24];
    int i = 24, neg = v < 0;
    u64 u = neg ? -(u64)v : (u64)v;
    do b[--i] = (char)('0' + u % 10); while (u /= 10);
    if (neg) b[--i] = '-';
    sys(4, 1, b + i, 24 - i);
}

static int failures;
static inline void fail_at(const char *what, int line, s64 got, s64 want)
{
    failures++;
    put("line "); put_num(line); put(": "); put(what); put(": got "); put_num(got); put(", want "); put_num(want); put("\n");
}
/* Success with this first result. */
#define EXPECT(want, ...) do { struct res r_ = sys(__VA_ARGS__); if (r_.cf) fail_at(#__VA_ARGS__ " failed", __LINE__, (s64)r_.r1, (s64)(want)); \
    else if ((s64)r_.r1 != (s64)(want)) fail_at(#__VA_ARGS__, __LINE__, (s64)r_.r1, (s64)(want)); } while (0)
#define EXPECT_OK(...) do { struct res r_ = sys(__VA_ARGS__); if (r_.cf) fail_at(#__VA_ARGS__ " failed", __LINE__, (s64)r_.r1, 0); } while (0)
/* Failure with this errno. */
#define EXPECT_ERR(err, ...) do { struct res r_ = sys(__VA_ARGS__); if (!r_.cf) fail_at(#__VA_ARGS__ " succeeded", __LINE__, (s64)r_.r1, err); \
    else if ((s64)r_.r1 != (err)) fail_at(#__VA_ARGS__ " errno", __LINE__, (s64)r_.r1, err); } while (0)
#define CHECK(c) do { if (!(c)) fail_at(#c, __LINE__, 0, 1); } while (0)
#define CHECK_EQ(a, b) do { s64 a_ = (s64)(a), b_ = (s64)(b); if (a_ != b_) fail_at(#a " == " #b, __LINE__, a_, b_); } while (0)

struct ts { s64 sec, nsec; };
struct sigset { u32 w[4]; };
struct sigact { s32 flags, pad; void *handler; struct sigset mask; };
struct stk { u64 sp, size; s32 flags, pad; };
struct ucontext { u64 flags, link; struct sigset mask; struct stk stack; u64 pad; u64 g[28]; u8 fp[528]; u64 fill[6]; } __attribute__((aligned(16)));
struct siginfo { s32 signo, code, err, pad; u64 body[30]; };
enum { R15, R14, R13, R12, R11, R10, R9, R8, RDI, RSI, RBP, RBX, RDX, RCX, RAX, TRAPNO, ERRC, RIP, CS, RFL, RSP, SS, FS, GS, ES, DS, FSBASE, GSBASE };

/* A handler is entered as by a call, ends with setcontext: handlers are C functions and call back() at their end. */
static inline void back(struct ucontext *uc) { sys(100, 1, uc); }
static inline int set_handler(int sig, void *h, int flags)
{
    struct sigact a;
    memset(&a, 0, sizeof(a));
    a.handler = h;
    a.flags = flags | 8;
    return sys(98, sig, &a, 0).cf;
}

static void run(void);
static u64 *initial_sp;
__attribute__((used)) static void start_c(u64 *sp)
{
    initial_sp = sp;
    run();
    if (!failures) put("ok\n");
    sys(1, failures != 0);
}
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call start_c\n");
#endif
