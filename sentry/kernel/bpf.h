/*
 * Classic BPF: a program from a guest is verified once and then interpreted, over a struct seccomp_data or over a packet.
 * Verified programs end, read only inside their input and only memory words they have written.
 * Source: Documentation/userspace-api/seccomp_filter.rst, Documentation/networking/filter.rst, bpf_check_classic(),
 * seccomp_check_filter(), bpf_convert_filter() for what the ancillary loads give.
 */
#ifndef SUNDOG_KERNEL_BPF_H
#define SUNDOG_KERNEL_BPF_H

#include "sentry/base/types.h"

#define BPF_MAX_INSNS 4096u

struct bpf_insn { u16 code; u8 jt, jf; u32 k; };
_Static_assert(sizeof(struct bpf_insn) == 8, "struct sock_filter");

struct seccomp_data_k { s32 nr; u32 arch; u64 ip, args[6]; };
_Static_assert(sizeof(struct seccomp_data_k) == 64, "struct seccomp_data");

/* What only packets have: the parts that SKF_LL_OFF and SKF_NET_OFF count from, and the values of SKF_AD_*. */
struct bpf_packet {
    const u8 *frame;               /* whole, from the link-layer header on; borrowed */
    u32 frame_len;
    bool no_link;                  /* it begins with the network header: nothing is at SKF_LL_OFF */
    u32 net;                       /* offset of the network header in it */
    u32 transport;                 /* ...of what follows that */
    u16 proto;                     /* ETH_P_*, host order */
    u8 kind;                       /* PACKET_HOST and so on */
    u16 hatype;
    u32 ifindex, mark;
};

struct bpf_input {
    const u8 *bytes;               /* what offsets from 0 on mean; borrowed */
    u32 len;
    const struct bpf_packet *packet;   /* NULL: seccomp's data, read in the host's byte order */
};

enum bpf_use { BPF_FOR_SECCOMP, BPF_FOR_PACKETS };
int bpf_verify(const struct bpf_insn *prog, unsigned len, enum bpf_use use);   /* 0 or -EINVAL */
/* Verified programs only, with the kind of input they were verified for. A load outside of a packet ends it with 0. */
u32 bpf_run(const struct bpf_insn *prog, const struct bpf_input *in);

#endif
