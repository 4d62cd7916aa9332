/* Mirrors abi/linux/bpf.c. */
#include "abi/linux/bpf.h"
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S(c, k_) { (c), 0, 0, (k_) }
#define J(c, k_, t, f) { (c), (t), (f), (k_) }
static const struct seccomp_data_k data = { .nr = 39, .arch = 0xc000003e, .ip = 0x1122334455667788, .args = { 7, 8, 9 } };

static u32 run(const struct bpf_insn *p, unsigned n)
{
    assert_int_equal(bpf_verify(p, n), 0);
    return bpf_run(p, &data);
}

static void computes(void **s)
{
    const struct bpf_insn a[] = { S(BPF_LD | BPF_W | BPF_ABS, 0), S(BPF_ALU | BPF_MUL | BPF_K, 3), S(BPF_MISC | BPF_TAX, 0),
        S(BPF_LD | BPF_W | BPF_ABS, 16), S(BPF_ALU | BPF_ADD | BPF_X, 0), S(BPF_ST, 5), S(BPF_LD | BPF_IMM, 0),
        S(BPF_LD | BPF_MEM, 5), S(BPF_RET | BPF_A, 0) };
    const struct bpf_insn j[] = { S(BPF_LD | BPF_W | BPF_ABS, 4), J(BPF_JMP | BPF_JEQ | BPF_K, 0xc000003e, 1, 0), S(BPF_RET | BPF_K, 1),
        S(BPF_RET | BPF_K, 2) };
    const struct bpf_insn z[] = { S(BPF_LDX | BPF_IMM, 0), S(BPF_ALU | BPF_DIV | BPF_X, 0), S(BPF_RET | BPF_K, 9) };
    const struct bpf_insn sh[] = { S(BPF_LD | BPF_IMM, 1), S(BPF_LDX | BPF_IMM, 33), S(BPF_ALU | BPF_LSH | BPF_X, 0), S(BPF_RET | BPF_A, 0) };
    (void)s;
    assert_int_equal(run(a, 9), 39 * 3 + 7);
    assert_int_equal(run(j, 4), 2);
    assert_int_equal(run(z, 3), 0);
    assert_int_equal(run(sh, 4), 2);
}

static void refuses(void **s)
{
    const struct bpf_insn bad[][2] = {
        { S(BPF_LD | BPF_W | BPF_ABS, 64), S(BPF_RET | BPF_K, 0) }, { S(BPF_LD | BPF_W | BPF_ABS, 2), S(BPF_RET | BPF_K, 0) },
        { S(BPF_LD | BPF_B | BPF_ABS, 0), S(BPF_RET | BPF_K, 0) }, { S(BPF_LD | BPF_MEM, 0), S(BPF_RET | BPF_K, 0) },
        { S(BPF_ST, 16), S(BPF_RET | BPF_K, 0) }, { S(BPF_ALU | BPF_DIV | BPF_K, 0), S(BPF_RET | BPF_K, 0) },
        { S(BPF_ALU | BPF_LSH | BPF_K, 32), S(BPF_RET | BPF_K, 0) }, { S(BPF_JMP | BPF_JA, 1), S(BPF_RET | BPF_K, 0) },
        { S(BPF_JMP | BPF_JA, 0xffffffff), S(BPF_RET | BPF_K, 0) }, { J(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), S(BPF_RET | BPF_K, 0) },
        { S(BPF_RET | BPF_K, 0), S(BPF_LD | BPF_IMM, 0) }, { S(0xffff, 0), S(BPF_RET | BPF_K, 0) },
        { S(BPF_ALU | 0x90 /* MOD */, 3), S(BPF_RET | BPF_K, 0) },
    };
    struct bpf_insn *big = calloc(BPF_MAX_INSNS + 1, sizeof(*big));
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(bpf_verify(bad[i], 2), -EINVAL);
    assert_int_equal(bpf_verify(bad[0], 0), -EINVAL);
    for (unsigned i = 0; i <= BPF_MAX_INSNS; i++) big[i].code = BPF_RET | BPF_K;
    assert_int_equal(bpf_verify(big, BPF_MAX_INSNS), 0);
    assert_int_equal(bpf_verify(big, BPF_MAX_INSNS + 1), -EINVAL);
    free(big);
}

/* A memory word counts as written only if it is on every way there. */
static void memory_on_every_way(void **s)
{
    const struct bpf_insn one[] = { J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), S(BPF_ST, 1), S(BPF_LD | BPF_MEM, 1), S(BPF_RET | BPF_A, 0) };
    const struct bpf_insn both[] = { J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), S(BPF_ST, 1), S(BPF_JMP | BPF_JA, 1), S(BPF_ST, 1),
        S(BPF_LD | BPF_MEM, 1), S(BPF_RET | BPF_A, 0) };
    (void)s;
    assert_int_equal(bpf_verify(one, 4), -EINVAL);
    assert_int_equal(bpf_verify(both, 6), 0);
}

/* Random programs: what the verifier lets through must run to an end inside its bounds. */
static void random_programs(void **s)
{
    struct bpf_insn p[16];
    unsigned ran = 0;
    (void)s;
    srandom(1);
    for (int round = 0; round < 400000; round++) {
        unsigned n = 1 + (unsigned)random() % 6;
        for (unsigned i = 0; i < n; i++)
            p[i] = (struct bpf_insn){ (u16)(random() % 0xb8), (u8)(random() % 4), (u8)(random() % 4), (u32)random() % 20 };
        p[n - 1].code = BPF_RET | BPF_K;
        if (bpf_verify(p, n)) continue;
        bpf_run(p, &data);
        ran++;
    }
    assert_true(ran > 1000);
}

int main(void)
{
    const struct CMUnitTest t[] = { cmocka_unit_test(computes), cmocka_unit_test(refuses), cmocka_unit_test(memory_on_every_way),
        cmocka_unit_test(random_programs) };
    return cmocka_run_group_tests(t, NULL, NULL);
}
