/* Mirrors sentry/kernel/bpf.c. */
#include "sentry/kernel/bpf.h"
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define S(c, k_) { (c), 0, 0, (k_) }
#define J(c, k_, t, f) { (c), (t), (f), (k_) }
static const struct seccomp_data_k data = { .nr = 39, .arch = 0xc000003e, .ip = 0x1122334455667788, .args = { 7, 8, 9 } };
static const struct bpf_input input = { .bytes = (const u8 *)&data, .len = sizeof data };

static u32 run(const struct bpf_insn *p, unsigned n)
{
    assert_int_equal(bpf_verify(p, n, BPF_FOR_SECCOMP), 0);
    return bpf_run(p, &input);
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
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(bpf_verify(bad[i], 2, BPF_FOR_SECCOMP), -EINVAL);
    assert_int_equal(bpf_verify(bad[0], 0, BPF_FOR_SECCOMP), -EINVAL);
    for (unsigned i = 0; i <= BPF_MAX_INSNS; i++) big[i].code = BPF_RET | BPF_K;
    assert_int_equal(bpf_verify(big, BPF_MAX_INSNS, BPF_FOR_SECCOMP), 0);
    assert_int_equal(bpf_verify(big, BPF_MAX_INSNS + 1, BPF_FOR_SECCOMP), -EINVAL);
    free(big);
}

/* A memory word counts as written only if it is on every way there. */
static void memory_on_every_way(void **s)
{
    const struct bpf_insn one[] = { J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), S(BPF_ST, 1), S(BPF_LD | BPF_MEM, 1), S(BPF_RET | BPF_A, 0) };
    const struct bpf_insn both[] = { J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), S(BPF_ST, 1), S(BPF_JMP | BPF_JA, 1), S(BPF_ST, 1),
        S(BPF_LD | BPF_MEM, 1), S(BPF_RET | BPF_A, 0) };
    (void)s;
    assert_int_equal(bpf_verify(one, 4, BPF_FOR_SECCOMP), -EINVAL);
    assert_int_equal(bpf_verify(both, 6, BPF_FOR_SECCOMP), 0);
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
        if (bpf_verify(p, n, BPF_FOR_SECCOMP)) continue;
        bpf_run(p, &input);
        ran++;
    }
    assert_true(ran > 1000);
}

/* A packet: what lies outside of it ends a program with 0, whatever the offsets. */
static void packets(void **s)
{
    static const u8 frame[] = { 0, 1, 2, 3, 0x45, 0xff, 0x12, 0x34, 0xab };
    const struct bpf_packet p = { .frame = frame, .frame_len = sizeof frame, .net = 4, .transport = 6, .proto = 0x800, .kind = 4, .ifindex = 1, .mark = 77 };
    struct bpf_input in = { .bytes = frame + 4, .len = 5, .packet = &p };
    const struct { u16 code; u32 k, want; } one[] = {
        { BPF_LD | BPF_W | BPF_ABS, 0, 0x45ff1234 }, { BPF_LD | BPF_W | BPF_ABS, 1, 0xff1234ab }, { BPF_LD | BPF_W | BPF_ABS, 2, 0 },
        { BPF_LD | BPF_H | BPF_ABS, 3, 0x34ab }, { BPF_LD | BPF_B | BPF_ABS, 4, 0xab }, { BPF_LD | BPF_B | BPF_ABS, 5, 0 },
        { BPF_LD | BPF_H | BPF_ABS, (u32)SKF_NET_OFF + 1, 0xff12 }, { BPF_LD | BPF_W | BPF_ABS, (u32)SKF_LL_OFF, 0x00010203 },
        { BPF_LD | BPF_B | BPF_ABS, (u32)SKF_LL_OFF + 9, 0 }, { BPF_LD | BPF_W | BPF_ABS, 0x7fffffff, 0 }, { BPF_LD | BPF_B | BPF_ABS, 0x80000000, 0 },
        { BPF_LD | BPF_H | BPF_IND, 2, 0x34ab }, { BPF_LD | BPF_W | BPF_IND, ~0u, 0x45ff1234 }, { BPF_LD | BPF_W | BPF_LEN, 0, 5 },
        { BPF_LD | BPF_W | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_PROTOCOL), 0x800 }, { BPF_LD | BPF_B | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_PKTTYPE), 4 },
        { BPF_LD | BPF_W | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_MARK), 77 }, { BPF_LD | BPF_W | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_ALU_XOR_X), 1 },
        { BPF_LD | BPF_W | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_PAY_OFFSET), 6 }, { BPF_ALU | BPF_MOD | BPF_K, 3, 0 },
    };
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(one); i++) {
        const struct bpf_insn prog[] = { S(BPF_LDX | BPF_IMM, 1), { one[i].code, 0, 0, one[i].k }, S(BPF_RET | BPF_A, 0) };
        assert_int_equal(bpf_verify(prog, 3, BPF_FOR_PACKETS), 0);
        assert_int_equal(bpf_run(prog, &in), one[i].want);
    }
    const struct bpf_insn msh[] = { S(BPF_LDX | BPF_B | BPF_MSH, 0), S(BPF_MISC | BPF_TXA, 0), S(BPF_RET | BPF_A, 0) };
    assert_int_equal(bpf_verify(msh, 3, BPF_FOR_PACKETS), 0);
    assert_int_equal(bpf_run(msh, &in), 20);
    const struct bpf_insn unknown[] = { S(BPF_LD | BPF_W | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_MAX)), S(BPF_RET | BPF_A, 0) };
    assert_int_equal(bpf_verify(unknown, 2, BPF_FOR_PACKETS), -EINVAL);
    assert_int_equal(bpf_verify(msh, 3, BPF_FOR_SECCOMP), -EINVAL);
}

/* Netlink attributes: lengths that lie do not lead out of the message. */
static void attributes(void **s)
{
    static const u8 m[] = { 8, 0, 1, 0, 9, 9, 9, 9, 12, 0, 2, 0, 8, 0, 5, 0, 7, 7, 7, 7, 200, 0, 3, 0 };
    const struct bpf_packet p = { .frame = m, .frame_len = sizeof m };
    const struct bpf_input in = { .bytes = m, .len = sizeof m, .packet = &p };
    const struct { u32 a, x, what, want; } t[] = { { 0, 1, SKF_AD_NLATTR, 0 }, { 0, 2, SKF_AD_NLATTR, 8 }, { 0, 3, SKF_AD_NLATTR, 0 },
        { 8, 5, SKF_AD_NLATTR_NEST, 12 }, { 20, 5, SKF_AD_NLATTR_NEST, 0 }, { 23, 1, SKF_AD_NLATTR, 0 }, { ~0u, 1, SKF_AD_NLATTR, 0 } };
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        const struct bpf_insn prog[] = { S(BPF_LD | BPF_IMM, t[i].a), S(BPF_LDX | BPF_IMM, t[i].x),
            S(BPF_LD | BPF_W | BPF_ABS, (u32)SKF_AD_OFF + t[i].what), S(BPF_RET | BPF_A, 0) };
        assert_int_equal(bpf_verify(prog, 4, BPF_FOR_PACKETS), 0);
        assert_int_equal(bpf_run(prog, &in), t[i].want);
    }
}

static void random_packet_programs(void **s)
{
    static const u32 bases[] = { 0, 0, (u32)SKF_NET_OFF, (u32)SKF_LL_OFF, (u32)SKF_AD_OFF, 0x7ffffff0, ~15u };
    u8 *frame = calloc(1, 40);     /* exact, so that a sanitizer sees the first byte beyond */
    const struct bpf_packet p = { .frame = frame, .frame_len = 40, .net = 14, .transport = 34 };
    const struct bpf_input in = { .bytes = frame + 14, .len = 26, .packet = &p };
    struct bpf_insn prog[16];
    unsigned ran = 0;
    (void)s;
    srandom(2);
    for (int i = 0; i < 40; i++) frame[i] = (u8)random();
    for (int round = 0; round < 400000; round++) {
        unsigned n = 1 + (unsigned)random() % 6;
        for (unsigned i = 0; i < n; i++)
            prog[i] = (struct bpf_insn){ (u16)(random() % 0xb8), (u8)(random() % 4), (u8)(random() % 4), bases[(size_t)random() % ARRAY_LEN(bases)] + (u32)random() % 64 };
        prog[n - 1].code = BPF_RET | BPF_K;
        if (bpf_verify(prog, n, BPF_FOR_PACKETS)) continue;
        bpf_run(prog, &in);
        ran++;
    }
    assert_true(ran > 1000);
    free(frame);
}

/* Random values tell nothing of the sentry: two copies of a process, equal in all that could go into one, get different ones. */
static void random_values(void **state)
{
    const struct bpf_insn p[] = { S(BPF_LD | BPF_W | BPF_ABS, (u32)(SKF_AD_OFF + SKF_AD_RANDOM)), S(BPF_RET | BPF_A, 0) };
    u8 byte = 0;
    const struct bpf_packet packet = { .frame = &byte, .frame_len = 1 };
    const struct bpf_input in = { .bytes = &byte, .len = 1, .packet = &packet };
    u32 v[2][2];
    (void)state;
    assert_int_equal(bpf_verify(p, 2, BPF_FOR_PACKETS), 0);
    for (int i = 0; i < 2; i++) {
        int ends[2], status;
        assert_int_equal(pipe(ends), 0);
        pid_t c = fork();
        if (c == 0) {
            u32 mine[2] = { bpf_run(p, &in), bpf_run(p, &in) };
            _exit(write(ends[1], mine, sizeof mine) == sizeof mine ? 0 : 1);
        }
        assert_int_equal(read(ends[0], v[i], sizeof v[i]), sizeof v[i]);
        assert_int_equal(waitpid(c, &status, 0), c);
        assert_int_equal(status, 0);
        close(ends[0]), close(ends[1]);
    }
    assert_memory_not_equal(v[0], v[1], sizeof v[0]);
}

int main(void)
{
    const struct CMUnitTest t[] = { cmocka_unit_test(computes), cmocka_unit_test(refuses), cmocka_unit_test(memory_on_every_way),
        cmocka_unit_test(random_programs), cmocka_unit_test(packets), cmocka_unit_test(attributes), cmocka_unit_test(random_packet_programs), cmocka_unit_test(random_values) };
    return cmocka_run_group_tests(t, NULL, NULL);
}
