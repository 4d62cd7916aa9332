#include "sentry/kernel/bpf.h"
#include "sentry/base/alloc.h"
#include "sentry/base/lock.h"
#include <linux/filter.h>
#include <string.h>
#include <sys/random.h>

#define MEMWORDS 16

/* Ancillary values that there are: every one of Linux, linux/filter.h. */
static bool ancillary_ok(u32 k)
{
    u32 what = k - (u32)SKF_AD_OFF;
    return k < (u32)SKF_AD_OFF || (what < SKF_AD_MAX && !(what & 3));
}

/* What packets allow beyond seccomp: loads of all sizes, anywhere (they are checked when they happen), and remainders. */
static bool packet_insn_ok(const struct bpf_insn *i)
{
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
        return ancillary_ok(i->k);
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
    case BPF_LDX | BPF_B | BPF_MSH:
    case BPF_ALU | BPF_MOD | BPF_X:
        return true;
    case BPF_ALU | BPF_MOD | BPF_K:
        return i->k != 0;
    default:
        return false;
    }
}

/* Is it one of the instructions that both allow, with operands in range? */
static bool insn_ok(const struct bpf_insn *i, unsigned pc, unsigned len, enum bpf_use use)
{
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        if (use == BPF_FOR_PACKETS) return packet_insn_ok(i);
        return i->k < sizeof(struct seccomp_data_k) && !(i->k & 3);
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_ALU | BPF_ADD | BPF_K: case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K: case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_K: case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K: case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K: case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_K: case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_DIV | BPF_X:
    case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
    case BPF_ALU | BPF_NEG:
        return true;
    case BPF_ALU | BPF_DIV | BPF_K:
        return i->k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
        return i->k < 32;
    case BPF_LD | BPF_MEM: case BPF_LDX | BPF_MEM: case BPF_ST: case BPF_STX:
        return i->k < MEMWORDS;
    case BPF_JMP | BPF_JA:
        return i->k < len - pc - 1;
    case BPF_JMP | BPF_JEQ | BPF_K: case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K: case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K: case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K: case BPF_JMP | BPF_JSET | BPF_X:
        return pc + i->jt + 1 < len && pc + i->jf + 1 < len;
    default:
        return use == BPF_FOR_PACKETS && packet_insn_ok(i);
    }
}

/* Jumps go forward only, so one pass sees every way to an instruction before the instruction itself. */
static bool memory_ok(const struct bpf_insn *prog, unsigned len)
{
    AUTO_FREE u16 *reach = xzalloc(len * sizeof(u16));   /* words surely written on every way here */
    u16 valid = 0;
    bool ok = true;

    memset(reach, 0xff, len * sizeof(u16));
    for (unsigned pc = 0; pc < len && ok; pc++) {
        const struct bpf_insn *i = &prog[pc];
        valid &= reach[pc];
        switch (i->code) {
        case BPF_ST:
        case BPF_STX:
            valid |= (u16)(1u << i->k);
            break;
        case BPF_LD | BPF_MEM:
        case BPF_LDX | BPF_MEM:
            ok = valid >> i->k & 1;
            break;
        case BPF_JMP | BPF_JA:
            reach[pc + 1 + i->k] &= valid;
            valid = 0xffff;
            break;
        default:
            if (BPF_CLASS(i->code) != BPF_JMP) break;
            reach[pc + 1 + i->jt] &= valid;
            reach[pc + 1 + i->jf] &= valid;
            valid = 0xffff;
            break;
        }
    }
    return ok;
}

int bpf_verify(const struct bpf_insn *prog, unsigned len, enum bpf_use use)
{
    if (!len || len > BPF_MAX_INSNS) return -EINVAL;
    for (unsigned pc = 0; pc < len; pc++)
        if (!insn_ok(&prog[pc], pc, len, use)) return -EINVAL;
    if (BPF_CLASS(prog[len - 1].code) != BPF_RET) return -EINVAL;
    return memory_ok(prog, len) ? 0 : -EINVAL;
}

/* --- loads from packets --- */

/* n bytes (1, 2, 4) at off, big-endian; offsets from SKF_NET_OFF and SKF_LL_OFF on count from those headers. */
static bool load(const struct bpf_input *in, u32 off, u32 n, u32 *out)
{
    const struct bpf_packet *p = in->packet;
    const u8 *from = in->bytes;
    u32 len = in->len;

    if ((s32)off < 0) {
        bool net = off >= (u32)SKF_NET_OFF;
        if (off < (u32)SKF_LL_OFF || (!net && p->no_link)) return false;
        from = p->frame + (net ? p->net : 0);
        len = p->frame_len - (net ? p->net : 0);
        off -= net ? (u32)SKF_NET_OFF : (u32)SKF_LL_OFF;
    }
    if (off > len || n > len - off) return false;
    u32 v = 0;
    for (u32 i = 0; i < n; i++) v = v << 8 | from[off + i];
    *out = v;
    return true;
}

/* Offset of the netlink attribute of type x from a on, 0: none; nested: inside of the one at a. lib/nlattr.c */
static u32 find_nlattr(const struct bpf_input *in, u32 a, u32 x, bool nested)
{
    struct { u16 len, type; } h;
    u32 end = in->len;

    if (in->len < sizeof h || a > in->len - sizeof h) return 0;
    if (nested) {
        memcpy(&h, in->bytes + a, sizeof h);
        if (h.len < sizeof h || h.len > in->len - a) return 0;
        end = a + h.len;
        a += sizeof h;
    }
    while (end - a >= sizeof h) {
        memcpy(&h, in->bytes + a, sizeof h);
        if (h.len < sizeof h || h.len > end - a) return 0;
        if ((h.type & 0x3fff) == x) return a;
        a += MIN((h.len + 3u) & ~3u, end - a);
    }
    return 0;
}

/* False: the program ends. */
static bool ancillary(const struct bpf_input *in, u32 what, u32 *a, u32 x)
{
    const struct bpf_packet *p = in->packet;

    switch (what) {
    case SKF_AD_PROTOCOL: *a = p->proto; break;
    case SKF_AD_PKTTYPE: *a = p->kind; break;
    case SKF_AD_IFINDEX:
        if (!p->ifindex) return false;
        *a = p->ifindex;
        break;
    case SKF_AD_HATYPE:
        if (!p->ifindex) return false;
        *a = p->hatype;
        break;
    case SKF_AD_MARK: *a = p->mark; break;
    case SKF_AD_NLATTR: *a = find_nlattr(in, *a, x, false); break;
    case SKF_AD_NLATTR_NEST: *a = find_nlattr(in, *a, x, true); break;
    case SKF_AD_ALU_XOR_X: *a ^= x; break;
    case SKF_AD_PAY_OFFSET: *a = p->transport; break;
    case SKF_AD_RANDOM:
        if (getrandom(a, sizeof *a, 0) != sizeof *a) *a = 0;
        break;
    default: *a = 0; break;        /* queue, hash, processor and VLAN tags: there are none */
    }
    return true;
}

static bool packet_load(const struct bpf_input *in, const struct bpf_insn *i, u32 *a, u32 *x)
{
    u32 n = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1, v;

    switch (BPF_MODE(i->code)) {
    case BPF_ABS: return i->k >= (u32)SKF_AD_OFF ? ancillary(in, i->k - (u32)SKF_AD_OFF, a, *x) : load(in, i->k, n, a);
    case BPF_IND: return load(in, *x + i->k, n, a);
    case BPF_MSH:
        if (!load(in, i->k, 1, &v)) return false;
        *x = (v & 15) * 4;
        return true;
    default: return false;
    }
}

u32 bpf_run(const struct bpf_insn *pc, const struct bpf_input *in)
{
    u32 a = 0, x = 0, mem[MEMWORDS];

    for (;; pc++) {
        u32 k = pc->k;
        switch (pc->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (!in->packet) memcpy(&a, in->bytes + k, 4);
            else if (!packet_load(in, pc, &a, &x)) return 0;
            break;
        case BPF_LD | BPF_W | BPF_LEN: a = in->len; break;
        case BPF_LDX | BPF_W | BPF_LEN: x = in->len; break;
        case BPF_LD | BPF_IMM: a = k; break;
        case BPF_LDX | BPF_IMM: x = k; break;
        case BPF_LD | BPF_MEM: a = mem[k]; break;
        case BPF_LDX | BPF_MEM: x = mem[k]; break;
        case BPF_ST: mem[k] = a; break;
        case BPF_STX: mem[k] = x; break;
        case BPF_MISC | BPF_TAX: x = a; break;
        case BPF_MISC | BPF_TXA: a = x; break;
        case BPF_RET | BPF_K: return k;
        case BPF_RET | BPF_A: return a;
        case BPF_ALU | BPF_ADD | BPF_K: a += k; break;
        case BPF_ALU | BPF_ADD | BPF_X: a += x; break;
        case BPF_ALU | BPF_SUB | BPF_K: a -= k; break;
        case BPF_ALU | BPF_SUB | BPF_X: a -= x; break;
        case BPF_ALU | BPF_MUL | BPF_K: a *= k; break;
        case BPF_ALU | BPF_MUL | BPF_X: a *= x; break;
        case BPF_ALU | BPF_DIV | BPF_K: a /= k; break;
        case BPF_ALU | BPF_DIV | BPF_X:
            if (!x) return 0;
            a /= x;
            break;
        case BPF_ALU | BPF_MOD | BPF_K: a %= k; break;
        case BPF_ALU | BPF_MOD | BPF_X:
            if (!x) return 0;
            a %= x;
            break;
        case BPF_ALU | BPF_AND | BPF_K: a &= k; break;
        case BPF_ALU | BPF_AND | BPF_X: a &= x; break;
        case BPF_ALU | BPF_OR | BPF_K: a |= k; break;
        case BPF_ALU | BPF_OR | BPF_X: a |= x; break;
        case BPF_ALU | BPF_XOR | BPF_K: a ^= k; break;
        case BPF_ALU | BPF_XOR | BPF_X: a ^= x; break;
        case BPF_ALU | BPF_LSH | BPF_K: a <<= k; break;
        case BPF_ALU | BPF_LSH | BPF_X: a <<= x & 31; break;
        case BPF_ALU | BPF_RSH | BPF_K: a >>= k; break;
        case BPF_ALU | BPF_RSH | BPF_X: a >>= x & 31; break;
        case BPF_ALU | BPF_NEG: a = -a; break;
        case BPF_JMP | BPF_JA: pc += k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: pc += a == k ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JEQ | BPF_X: pc += a == x ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: pc += a >= k ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JGE | BPF_X: pc += a >= x ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: pc += a > k ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JGT | BPF_X: pc += a > x ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: pc += a & k ? pc->jt : pc->jf; break;
        case BPF_JMP | BPF_JSET | BPF_X: pc += a & x ? pc->jt : pc->jf; break;
        default:
            if (!in->packet || !packet_load(in, pc, &a, &x)) return 0;   /* or not verified: kill */
            break;
        }
    }
}
