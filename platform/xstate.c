/* Source: Intel SDM volume 1, chapter 13 (XSAVE), and 10.5.1.2 for the legacy region. */
#include "platform/xstate.h"
#include "platform/platform.h"

#include <cpuid.h>
#include <string.h>

#define XSTATE_SSE 160       /* xmm registers, up to 416 */
#define XSTATE_SW_RESERVED 464 /* filled in by the kernel for signal frames; not part of the processor's state */
#define XSTATE_LEGACY 512
#define XSTATE_HEADER 64
#define XSTATE_BV 512        /* u64: components in use */
#define XSTATE_XCOMP_BV 520  /* u64, then reserved up to 576: zero in standard format */
#define XSTATE_FCW 0
#define XSTATE_MXCSR 24
#define XSTATE_MXCSR_MASK 28
#define XFEATURE_PKRU 9
#define PKRU_LINUX_INIT 0x55555554u /* only key 0 accessible */

static bool have_xsave(void)
{
    u32 a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
}

u64 platform_xstate_features(void)
{
    static u64 features; /* cpuid costs a VM exit on a virtual machine: ask once */
    u32 lo, hi;

    if (features) return features;
    if (have_xsave()) {
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        features = (u64)hi << 32 | lo;
    } else {
        features = 3; /* x87 and SSE, as FXSAVE stores them */
    }
    return features;
}

size_t platform_xstate_size(void)
{
    static size_t size;
    u32 a, b, c, d;

    if (!size) {
        size_t s = XSTATE_LEGACY + XSTATE_HEADER;
        if (have_xsave() && __get_cpuid_count(0xd, 0, &a, &b, &c, &d) && b > s) s = b;
        size = s;
    }
    return size;
}

static u32 mxcsr_mask(void)
{
    static u32 mask;
    if (!mask) {
        u8 fx[512] __attribute__((aligned(16))) = { 0 };
        u32 m;
        __asm__ volatile("fxsave64 %0" : "=m"(fx));
        memcpy(&m, fx + XSTATE_MXCSR_MASK, sizeof(m));
        mask = m ? m : 0xffbf;
    }
    return mask;
}

/* Offset of the PKRU component; 0: the processor has none. */
static u32 pkru_offset(void)
{
    static u32 off = 1;
    u32 a, b, c, d;

    if (off == 1) {
        bool has = platform_xstate_features() >> XFEATURE_PKRU & 1 && __get_cpuid_count(0xd, XFEATURE_PKRU, &a, &b, &c, &d) &&
                   a >= 4 && b + 4 <= platform_xstate_size();
        off = has ? b : 0;
    }
    return off;
}

void platform_xstate_init(void *buf)
{
    u8 *p = buf;
    u16 fcw = 0x37f;
    u32 mxcsr = 0x1f80, mask = mxcsr_mask(), pkru = pkru_offset();

    memset(p, 0, platform_xstate_size());
    memcpy(p + XSTATE_FCW, &fcw, sizeof(fcw));
    memcpy(p + XSTATE_MXCSR, &mxcsr, sizeof(mxcsr));
    memcpy(p + XSTATE_MXCSR_MASK, &mask, sizeof(mask));
    if (pkru) {
        u32 value = PKRU_LINUX_INIT;
        u64 bv = 1ULL << XFEATURE_PKRU;
        memcpy(p + pkru, &value, sizeof(value));
        memcpy(p + XSTATE_BV, &bv, sizeof(bv));
    }
}

int platform_xstate_check(const void *buf, size_t len)
{
    const u8 *p = buf;
    u32 mxcsr;
    u64 bv;

    if (len != platform_xstate_size()) return -EINVAL;
    memcpy(&mxcsr, p + XSTATE_MXCSR, sizeof(mxcsr));
    memcpy(&bv, p + XSTATE_BV, sizeof(bv));
    if (mxcsr & ~mxcsr_mask()) return -EINVAL;
    if (bv & ~platform_xstate_features()) return -EINVAL;
    for (size_t i = XSTATE_XCOMP_BV; i < XSTATE_LEGACY + XSTATE_HEADER; i++)
        if (p[i]) return -EINVAL;
    return 0;
}

static struct { u32 off, size; } component[63]; /* (c) after platform_xstate_start */

void platform_xstate_start(void)
{
    u32 c, d;

    for (unsigned i = 2; i < ARRAY_LEN(component); i++)
        if (platform_xstate_features() >> i & 1) /* cpuid costs a VM exit, so it is asked once */
            __get_cpuid_count(0xd, i, &component[i].size, &component[i].off, &c, &d);
}

/* Memory of a component that is in its initial state is whatever it was; readers expect the initial values. */
static void fill_unused(u8 *buf, u64 bv)
{
    u64 absent = platform_xstate_features() & ~bv;
    u16 fcw = 0x37f;

    if (absent & 1) {
        memset(buf, 0, XSTATE_MXCSR);
        memcpy(buf + XSTATE_FCW, &fcw, sizeof(fcw));
        memset(buf + 32, 0, 128);
    }
    if (absent & 2) memset(buf + XSTATE_SSE, 0, 256);
    for (unsigned i = 2; i < ARRAY_LEN(component); i++) {
        u64 end = (u64)component[i].off + component[i].size;
        if (absent >> i & 1 && component[i].off >= XSTATE_LEGACY + XSTATE_HEADER && end <= platform_xstate_size())
            memset(buf + component[i].off, 0, component[i].size);
    }
}

bool platform_xstate_take(void *to, const void *from)
{
    size_t size = platform_xstate_size();
    u8 *p = to;
    u64 bv;

    memcpy(p, from, size);
    __asm__ volatile("" ::: "memory"); /* from here on the copy, not what a guest thread may be changing */
    memset(p + XSTATE_SW_RESERVED, 0, XSTATE_LEGACY - XSTATE_SW_RESERVED);
    if (platform_xstate_check(p, size)) return false;
    memcpy(&bv, p + XSTATE_BV, sizeof(bv));
    fill_unused(p, bv);
    return true;
}
