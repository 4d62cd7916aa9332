/*
 * Classic BPF as seccomp uses it: a program from a guest is verified once and then interpreted over a struct
 * seccomp_data. Verified programs end, read only inside the data and only memory words they have written.
 * Source: Documentation/userspace-api/seccomp_filter.rst, bpf_check_classic(), seccomp_check_filter().
 */
#ifndef SUNDOG_LINUX_BPF_H
#define SUNDOG_LINUX_BPF_H

#include "sentry/base/types.h"

#define BPF_MAX_INSNS 4096u

struct bpf_insn { u16 code; u8 jt, jf; u32 k; };
_Static_assert(sizeof(struct bpf_insn) == 8, "struct sock_filter");

struct seccomp_data_k { s32 nr; u32 arch; u64 ip, args[6]; };
_Static_assert(sizeof(struct seccomp_data_k) == 64, "struct seccomp_data");

int bpf_verify(const struct bpf_insn *prog, unsigned len);                     /* 0 or -EINVAL */
u32 bpf_run(const struct bpf_insn *prog, const struct seccomp_data_k *data);   /* verified programs only */

#endif
