/*
 * Trampolines of patched call sites: from the guest's text to the stub's handlers without a signal. A call through the
 * signal costs 1.5 to 2 us, a jump and the saving of the general registers almost nothing.
 *
 * `syscall` leaves three registers free: rax (the result), rcx and r11, and no flag. So the thread's request page must be found
 * with rcx and r11 alone, without flags, without the stack (a red zone lies below it), and without fs and gs, which are the
 * guest's. What is left is es: 64-bit code has no use for it, and the kernel keeps it for each thread. Each of the first
 * guest threads of a process has its own value there (find_selectors in stub/runner.c) as index to a table of areas on the
 * page of orders, which is read-only in the stub. A thread without one, or a guest that loaded es itself, finds 0 or the
 * area of a sibling: the former takes the way of the signal, the latter hurts its own process only.
 */
#include "platform/trap/internal.h"
#include "platform/stub/stub_layout.h"

#include <string.h>

struct code {
    u8 *at;
    size_t n;
};

static void put(struct code *c, const void *bytes, size_t n)
{
    memcpy(c->at + c->n, bytes, n);
    c->n += n;
}

#define PUT(c, ...) put(c, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* A displacement from the end of this field to a guest address; false: out of reach. */
static bool put_rel32(struct code *c, gaddr_t here, gaddr_t target)
{
    s64 d = (s64)(target - (here + c->n + 4));
    s32 d32 = (s32)d;

    put(c, &d32, 4);
    return d == d32;
}

size_t trap_as_call_site(struct platform_as *as, gaddr_t at, gaddr_t ret, const u8 *insns, size_t n, u8 *out, size_t room)
{
    struct code c = { .at = out };
    u64 base = as->p->stubs.base, table = base + STUB_OPS + STUB_OPS_AREAS;
    u64 entry = base + STUB_TRAP + (u64)(trap_text_patched - trap_text_start);

    if (!as->p->stubs.nselectors || room < n + 44) return 0;
    put(&c, insns, n);
    PUT(&c, 0x8c, 0xc1);                /* mov %es, %ecx */
    PUT(&c, 0x49, 0xbb);                /* movabs $table, %r11 */
    put(&c, &table, 8);
    PUT(&c, 0x49, 0x8b, 0x0c, 0xcb);    /* mov (%r11,%rcx,8), %rcx */
    PUT(&c, 0xe3, 13);                  /* jrcxz: over the next two */
    PUT(&c, 0x4c, 0x8d, 0x1d);          /* lea ret(%rip), %r11 */
    if (!put_rel32(&c, at, ret)) return 0;
    PUT(&c, 0xff, 0x25, 5, 0, 0, 0);    /* jmp *5(%rip) */
    PUT(&c, 0xe9);                      /* jmp to the syscall instruction */
    if (!put_rel32(&c, at, ret - 2)) return 0;
    put(&c, &entry, 8);
    return c.n;
}
