/* /proc/cpuinfo from the processor itself (CPUID), for as many CPUs as the sandbox has. */
#include "sentry/fs/proc/proc.h"

#include <cpuid.h>
#include <string.h>

struct feature { u32 leaf, sub; u8 reg; /* 0 eax .. 3 edx */ u8 bit; const char *name; };

/* Names as in the Linux kernel's cpufeatures.h. */
static const struct feature features[] = {
#define D1(b, n) { 1, 0, 3, b, n }
#define C1(b, n) { 1, 0, 2, b, n }
    D1(0, "fpu"), D1(1, "vme"), D1(2, "de"), D1(3, "pse"), D1(4, "tsc"), D1(5, "msr"), D1(6, "pae"), D1(7, "mce"), D1(8, "cx8"), D1(9, "apic"),
    D1(11, "sep"), D1(12, "mtrr"), D1(13, "pge"), D1(14, "mca"), D1(15, "cmov"), D1(16, "pat"), D1(17, "pse36"), D1(19, "clflush"),
    D1(23, "mmx"), D1(24, "fxsr"), D1(25, "sse"), D1(26, "sse2"), D1(27, "ss"), D1(28, "ht"),
    { 0x80000001, 0, 3, 11, "syscall" }, { 0x80000001, 0, 3, 20, "nx" }, { 0x80000001, 0, 3, 22, "mmxext" }, { 0x80000001, 0, 3, 25, "fxsr_opt" },
    { 0x80000001, 0, 3, 26, "pdpe1gb" }, { 0x80000001, 0, 3, 27, "rdtscp" }, { 0x80000001, 0, 3, 29, "lm" },
    C1(0, "pni"), C1(1, "pclmulqdq"), C1(9, "ssse3"), C1(12, "fma"), C1(13, "cx16"), C1(17, "pcid"), C1(19, "sse4_1"), C1(20, "sse4_2"),
    C1(21, "x2apic"), C1(22, "movbe"), C1(23, "popcnt"), C1(24, "tsc_deadline_timer"), C1(25, "aes"), C1(26, "xsave"), C1(28, "avx"),
    C1(29, "f16c"), C1(30, "rdrand"), C1(31, "hypervisor"),
    { 0x80000001, 0, 2, 0, "lahf_lm" }, { 0x80000001, 0, 2, 1, "cmp_legacy" }, { 0x80000001, 0, 2, 4, "cr8_legacy" }, { 0x80000001, 0, 2, 5, "abm" },
    { 0x80000001, 0, 2, 6, "sse4a" }, { 0x80000001, 0, 2, 7, "misalignsse" }, { 0x80000001, 0, 2, 8, "3dnowprefetch" },
    { 0x80000001, 0, 2, 9, "osvw" }, { 0x80000001, 0, 2, 22, "topoext" },
#define B7(b, n) { 7, 0, 1, b, n }
#define C7(b, n) { 7, 0, 2, b, n }
#define D7(b, n) { 7, 0, 3, b, n }
    B7(0, "fsgsbase"), B7(1, "tsc_adjust"), B7(3, "bmi1"), B7(5, "avx2"), B7(7, "smep"), B7(8, "bmi2"), B7(9, "erms"), B7(10, "invpcid"),
    B7(16, "avx512f"), B7(17, "avx512dq"), B7(18, "rdseed"), B7(19, "adx"), B7(20, "smap"), B7(21, "avx512ifma"), B7(23, "clflushopt"),
    B7(24, "clwb"), B7(28, "avx512cd"), B7(29, "sha_ni"), B7(30, "avx512bw"), B7(31, "avx512vl"),
    { 0xd, 1, 0, 0, "xsaveopt" }, { 0xd, 1, 0, 1, "xsavec" }, { 0xd, 1, 0, 2, "xgetbv1" }, { 0xd, 1, 0, 3, "xsaves" },
    { 7, 1, 0, 4, "avx_vnni" }, { 7, 1, 0, 5, "avx512_bf16" }, { 0x80000008, 0, 1, 0, "clzero" }, { 0x80000008, 0, 1, 2, "xsaveerptr" },
    C7(1, "avx512vbmi"), C7(2, "umip"), C7(6, "avx512_vbmi2"), C7(8, "gfni"), C7(9, "vaes"), C7(10, "vpclmulqdq"), C7(11, "avx512_vnni"),
    C7(12, "avx512_bitalg"), C7(14, "avx512_vpopcntdq"), C7(22, "rdpid"), D7(4, "fsrm"), D7(8, "avx512_vp2intersect"),
};

static bool has(const struct feature *f)
{
    u32 r[4];
    if (__get_cpuid_max(f->leaf & 0x80000000, NULL) < f->leaf) return false;
    __cpuid_count(f->leaf, f->sub, r[0], r[1], r[2], r[3]);
    return r[f->reg] >> f->bit & 1;
}

int proc_show_cpuinfo(struct synth_node *n UNUSED, struct strbuf *b)
{
    u32 a, bx, c, d, max, v[3];
    char vendor[13] = "", brand[49] = "";
    __cpuid(0, max, v[0], v[2], v[1]);
    memcpy(vendor, v, 12);
    __cpuid(1, a, bx, c, d);
    unsigned family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 255 : 0), model = (a >> 4 & 15) | (a >> 12 & 0xf0);
    if (__get_cpuid_max(0x80000000, NULL) >= 0x80000004)
        for (u32 i = 0; i < 3; i++) {
            u32 q[4];
            __cpuid(0x80000002 + i, q[0], q[1], q[2], q[3]);
            memcpy(brand + i * 16, q, 16);
        }
    for (unsigned cpu = 0; cpu < kernel_ncpus(); cpu++) {
        strbuf_printf(b, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", cpu, vendor, family,
                      model, brand[0] ? brand : "unknown", a & 15);
        strbuf_printf(b, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\nfpu\t\t: yes\n"
                         "fpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", kernel_ncpus(), cpu, kernel_ncpus(), cpu, max);
        for (size_t i = 0; i < ARRAY_LEN(features); i++)
            if (has(&features[i])) strbuf_printf(b, " %s", features[i].name);
        strbuf_printf(b, "\nbugs\t\t:\nclflush size\t: %u\ncache_alignment\t: 64\naddress sizes\t: 48 bits physical, 48 bits virtual\n\n",
                      (bx >> 8 & 255) * 8);
    }
    return 0;
}
