#include "abi/linux/bpf.h"
#include "sentry/base/alloc.h"
#include <linux/filter.h>
#include <string.h>

#define MEMWORDS 16

/* Is it one of the instructions seccomp allows, with operands in range? */
static bool insn_ok(const struct bpf_insn *i, unsigned pc, unsigned len)
{
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
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
        return false;
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

int bpf_verify(const struct bpf_insn *prog, unsigned len)
{
    if (!len || len > BPF_MAX_INSNS) return -EINVAL;
    for (unsigned pc = 0; pc < len; pc++)
        if (!insn_ok(&prog[pc], pc, len)) return -EINVAL;
    if (BPF_CLASS(prog[len - 1].code) != BPF_RET) return -EINVAL;
    return memory_ok(prog, len) ? 0 : -EINVAL;
}

u32 bpf_run(const struct bpf_insn *pc, const struct seccomp_data_k *data)
{
    u32 a = 0, x = 0, mem[MEMWORDS];

    for (;; pc++) {
        u32 k = pc->k;
        switch (pc->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&a, (const u8 *)data + k, 4); break;
        case BPF_LD | BPF_W | BPF_LEN: a = sizeof(*data); break;
        case BPF_LDX | BPF_W | BPF_LEN: x = sizeof(*data); break;
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
        default: return 0;   /* not verified: kill */
        }
    }
}
