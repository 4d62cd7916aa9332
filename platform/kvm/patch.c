/*
 * Trampolines of patched call sites (user_stub only): from the guest's text to the stub without `syscall`, which PVM makes an exit to
 * the host's kernel, of more than a microsecond. The stub and the request page lie at the same place in every address space
 * and for every vCPU, so a jump is all.
 */
#include "platform/kvm/internal.h"

#include <string.h>

size_t kvm_as_call_site(struct platform_as *as, gaddr_t at, gaddr_t ret, const u8 *insns, size_t n, u8 *out, size_t room)
{
    static const u8 lea_rcx[] = { 0x48, 0x8d, 0x0d };            /* lea ret(%rip), %rcx */
    static const u8 jmp[] = { 0xff, 0x25 };                      /* jmp *pad(%rip) */
    u64 entry = USER_TEXT(patched);
    size_t end = n + sizeof(lea_rcx) + 4 + sizeof(jmp) + 4;
    s32 pad = (s32)(-(at + end) & 7); /* aligned: the guest's flags may ask for that */
    size_t len = end + (size_t)pad + sizeof(entry);
    s64 d = (s64)(ret - (at + n + sizeof(lea_rcx) + 4));
    s32 d32 = (s32)d;
    u8 *to = out;

    if (!as->p->spin_budget || room < len || d != d32) return 0;
    to = (u8 *)memcpy(to, insns, n) + n;
    to = (u8 *)memcpy(to, lea_rcx, sizeof(lea_rcx)) + sizeof(lea_rcx);
    to = (u8 *)memcpy(to, &d32, sizeof(d32)) + sizeof(d32);
    to = (u8 *)memcpy(to, jmp, sizeof(jmp)) + sizeof(jmp);
    to = (u8 *)memcpy(to, &pad, sizeof(pad)) + sizeof(pad);
    to = (u8 *)memset(to, 0xcc, (size_t)pad) + pad;
    memcpy(to, &entry, sizeof(entry));
    return len;
}
