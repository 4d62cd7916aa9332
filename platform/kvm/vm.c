/*
 * The virtual machine: memory slots, the sentry's own pages in it, and what ring 0 consists of (stub, IDT, GDT).
 * Format of tables and descriptors: Intel SDM volume 3, chapters 3, 4 and 6.
 */
#include "platform/kvm/internal.h"
#include "platform/xstate.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

HOSTCALL_ARG(ioctl, "the virtual machine gets a piece of memory more", 1, KVM_SET_USER_MEMORY_REGION);

#define PTE_KERNEL 0x23ULL  /* present, writable, accessed */
#define PTE_DIRTY 0x40ULL
#define PTE_NX (1ULL << 63)
#define PTE_ADDR 0x000ffffffffff000ULL
#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif
/* Freed pages that may wait for a drop of all shadows before they are used again. */
#define DEAD_MAX 2048
/* What a slot of the memory file spans, so that a small sandbox pays (0.5 ms a GiB, and memory) for little; and how many at most. */
#define MEM_SLOT_SIZE (128ULL << 20)
#define MEM_SLOTS_MAX 1024

bool kvm_cpuid_has(const struct platform *p, u32 leaf, char reg, unsigned bit)
{
    for (u32 i = 0; i < p->cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &p->cpuid->entries[i];
        if (e->function != leaf || e->index != 0) continue;
        u32 v = reg == 'a' ? e->eax : reg == 'b' ? e->ebx : reg == 'c' ? e->ecx : e->edx;
        return v >> bit & 1;
    }
    return false;
}

int kvm_slot_set(struct platform *p, u32 id, u64 gpa, u64 size, const u8 *hva)
{
    struct kvm_userspace_memory_region r = { .slot = id, .guest_phys_addr = gpa, .memory_size = size,
                                             .userspace_addr = (u64)(uintptr_t)hva };
    return ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

bool kvm_shadow_zap(struct platform *p, u64 gpa, u64 len)
{
    u8 *hva = gpa >= p->win_gpa ? p->win + (gpa - p->win_gpa) : p->mem + (gpa - MEM_GPA);

    /* KVM learns of it from the kernel's memory management. The contents stay: both are shared mappings. */
    return madvise(hva, len, MADV_DONTNEED) == 0;
}

static bool shadow_drop_locked(struct platform *p)
{
    bool ok = kvm_slot_set(p, p->flush_slot_id, FLUSH_GPA, GPAGE_SIZE, p->sys) == 0 &&
              kvm_slot_set(p, p->flush_slot_id, FLUSH_GPA, 0, p->sys) == 0;

    while (ok && p->sys_dead) {
        u64 gpa = p->sys_dead, *page = kvm_page_ptr(p, gpa);
        p->sys_dead = *page;
        *page = p->sys_free;
        p->sys_free = gpa;
    }
    if (ok) p->ndead = 0;
    return ok;
}

bool kvm_shadow_drop(struct platform *p)
{
    lock(&p->lock);
    bool ok = shadow_drop_locked(p);
    unlock(&p->lock);
    return ok;
}

u64 kvm_page_new(struct platform *p)
{
    u64 gpa = 0;

    lock(&p->lock);
    if (!p->sys_free && (p->ndead >= DEAD_MAX || (p->ndead && p->sys_next == SYS_SIZE))) shadow_drop_locked(p);
    if (p->sys_free) {
        gpa = p->sys_free;
        p->sys_free = *(u64 *)kvm_page_ptr(p, gpa);
    } else {
        if (p->sys_next == p->sys_slots && p->sys_slots < SYS_SIZE &&
            kvm_slot_set(p, (u32)(p->sys_slots / SYS_SLOT_SIZE), SYS_GPA + p->sys_slots, SYS_SLOT_SIZE, p->sys + p->sys_slots) == 0)
            p->sys_slots += SYS_SLOT_SIZE;
        if (p->sys_next < p->sys_slots) {
            gpa = SYS_GPA + p->sys_next;
            p->sys_next += GPAGE_SIZE;
        }
    }
    unlock(&p->lock);
    if (gpa) memset(kvm_page_ptr(p, gpa), 0, GPAGE_SIZE);
    return gpa;
}

void kvm_page_free(struct platform *p, u64 gpa)
{
    u64 *to = p->var.shadow ? &p->sys_dead : &p->sys_free;

    lock(&p->lock);
    *(u64 *)kvm_page_ptr(p, gpa) = *to;
    *to = gpa;
    p->ndead += p->var.shadow;
    unlock(&p->lock);
}

int kvm_mem_slots(struct platform *p, u64 off, u64 len)
{
    u64 size = p->mem_slot_size;
    int rc = 0;

    for (u64 i = off / size; i <= (off + len - 1) / size && !rc; i++) {
        if (likely(__atomic_load_n(&p->mem_slot[i], __ATOMIC_ACQUIRE))) continue;
        lock(&p->lock);
        if (!p->mem_slot[i]) {
            rc = kvm_slot_set(p, p->mem_slot_id + (u32)i, MEM_GPA + i * size, MIN(size, p->cfg.memfile_size - i * size),
                              p->mem + i * size);
            if (!rc) __atomic_store_n(&p->mem_slot[i], 1, __ATOMIC_RELEASE);
        }
        unlock(&p->lock);
    }
    return rc;
}

/* Descriptors are marked as accessed, so that the processor never writes to them. */
static void build_gdt(u64 *gdt)
{
    gdt[SEL_KCS / 8] = 0x00af9b000000ffffULL;
    gdt[SEL_KDS / 8] = 0x00cf93000000ffffULL;
    gdt[SEL_UDS / 8] = 0x00cff3000000ffffULL;
    gdt[SEL_UCS / 8] = 0x00affb000000ffffULL;
}

/* Interrupt gates, all on stack 1; int3 and into may be raised by ring 3. */
static void build_idt(u64 *idt)
{
    for (u64 i = 0; i < 32; i++) {
        u64 to = KVA_TEXT + 16 * i, dpl = i == 3 || i == 4 ? 3 : 0;
        idt[2 * i] = (to & 0xffff) | (u64)SEL_KCS << 16 | 1ULL << 32 | (0x8eULL | dpl << 5) << 40 | (to >> 16 & 0xffff) << 48;
        idt[2 * i + 1] = to >> 32;
    }
}

/* The page table entry of a virtual address of ring 0, all of which lie under one table. */
static u64 *kernel_pte(const struct platform *p, u64 va)
{
    u64 pdpt = p->pt_kernel & ~0xfffULL, pd = *(u64 *)kvm_page_ptr(p, pdpt) & ~0xfffULL;
    u64 pt = *(u64 *)kvm_page_ptr(p, pd) & ~0xfffULL;
    return (u64 *)kvm_page_ptr(p, pt) + (va >> GPAGE_SHIFT & 511);
}

u8 *kvm_vcpu_page(struct platform *p, unsigned id)
{
    u64 *e = kernel_pte(p, KVA_VCPU(id));

    if (!*e) {
        u64 gpa = kvm_page_new(p);
        if (!gpa) return NULL;
        __atomic_store_n(e, gpa | PTE_KERNEL | PTE_DIRTY | PTE_NX, __ATOMIC_SEQ_CST);
    }
    return kvm_page_ptr(p, *e & PTE_ADDR);
}

static int build_kernel(struct platform *p)
{
    u64 page[6];

    for (unsigned i = 0; i < ARRAY_LEN(page); i++)
        if (!(page[i] = kvm_page_new(p))) return -ENOMEM;
    p->pt_kernel = page[0] | PTE_KERNEL;
    *(u64 *)kvm_page_ptr(p, page[0]) = page[1] | PTE_KERNEL;
    *(u64 *)kvm_page_ptr(p, page[1]) = page[2] | PTE_KERNEL;
    memcpy(kvm_page_ptr(p, page[3]), kvm_text_start, GPAGE_SIZE);
    build_idt(kvm_page_ptr(p, page[4]));
    build_gdt(kvm_page_ptr(p, page[5]));
    *kernel_pte(p, KVA_TEXT) = page[3] | (PTE_KERNEL & ~2ULL);
    *kernel_pte(p, KVA_IDT) = page[4] | (PTE_KERNEL & ~2ULL) | PTE_NX;
    *kernel_pte(p, KVA_GDT) = page[5] | (PTE_KERNEL & ~2ULL) | PTE_NX;
    if (!p->var.user_stub) return 0;
    if (!(p->user_text = kvm_page_new(p))) return -ENOMEM;
    if (pipe2(p->peek, O_CLOEXEC)) return -errno;
    memcpy(kvm_page_ptr(p, p->user_text), kvm_user_start, GPAGE_SIZE);
    /* The stub reads the bases of fs and gs. */
    if (p->cfg.ncpus > 1 && getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE && !sched_getaffinity(0, sizeof(p->cpus), &p->cpus))
        p->spin_budget = kvm_session_calibrate();
    return 0;
}

static int read_cpuid(struct platform *p)
{
    u32 n = 256, keep = 0;

    p->cpuid = xzalloc(sizeof(*p->cpuid) + n * sizeof(p->cpuid->entries[0]));
    p->cpuid->nent = n;
    if (ioctl(p->dev, KVM_GET_SUPPORTED_CPUID, p->cpuid)) return -errno;
    for (u32 i = 0; i < p->cpuid->nent; i++) /* guests have no hypervisor to talk to */
        if (p->cpuid->entries[i].function >> 28 != 4) p->cpuid->entries[keep++] = p->cpuid->entries[i];
    p->cpuid->nent = keep;
    for (u32 i = 0; i < keep; i++)
        if (p->cpuid->entries[i].function == 1) p->cpuid->entries[i].ecx &= ~(1u << 31);
    return 0;
}

/* Registers and components that the machine may use: what host and KVM both have; tiles (17, 18) need a permission. */
static int choose_features(struct platform *p, char *why, size_t why_len)
{
    u64 kvm = 0;

    for (u32 i = 0; i < p->cpuid->nent; i++)
        if (p->cpuid->entries[i].function == 0xd && p->cpuid->entries[i].index == 0)
            kvm = p->cpuid->entries[i].eax | (u64)p->cpuid->entries[i].edx << 32;
    p->xcr0 = kvm & platform_xstate_features() & ~(3ULL << 17);
    /* PVM hosts may list the components without the instruction's bit; that they work is tried (probe.c). */
    if ((p->xcr0 & 3) != 3) {
        snprintf(why, why_len, "this host's KVM does not offer XSAVE");
        return -ENOSYS;
    }
    p->cr4 = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 18; /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    if (kvm_cpuid_has(p, 7, 'b', 0)) p->cr4 |= 1 << 16;  /* FSGSBASE */
    if (kvm_cpuid_has(p, 7, 'b', 7)) p->cr4 |= 1 << 20;  /* SMEP */
    if (kvm_cpuid_has(p, 7, 'b', 20)) p->cr4 |= 1 << 21; /* SMAP */
    if (kvm_cpuid_has(p, 7, 'c', 3) && p->xcr0 >> 9 & 1) p->cr4 |= 1 << 22; /* PKE */
    return 0;
}

/* Where memory goes; fails when the processor's physical addresses are too short for it. */
static int lay_out(struct platform *p, char *why, size_t why_len)
{
    u64 gib = 1ULL << 30, bits = 36, top;
    int slots = ioctl(p->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
    u32 nmem;

    for (u32 i = 0; i < p->cpuid->nent; i++)
        if (p->cpuid->entries[i].function == 0x80000008) bits = p->cpuid->entries[i].eax & 0xff;
    top = 1ULL << MIN(bits, (u64)46);
    p->mem_slot_size = MEM_SLOT_SIZE;
    while (p->cfg.memfile_size / p->mem_slot_size >= MEM_SLOTS_MAX) p->mem_slot_size *= 2;
    nmem = (u32)((p->cfg.memfile_size + p->mem_slot_size - 1) / p->mem_slot_size);
    p->mem_slot = xzalloc(nmem);
    p->mem_slot_id = SYS_SIZE / SYS_SLOT_SIZE;
    p->flush_slot_id = p->mem_slot_id + nmem;
    p->win_slot_id = p->flush_slot_id + 1;
    p->win_gpa = (MEM_GPA + p->cfg.memfile_size + gib - 1) & ~(gib - 1);
    if (p->win_gpa + gib > top || slots < (int)p->win_slot_id + 8) {
        snprintf(why, why_len, "guest memory does not fit: the machine can address %llu GiB in %d pieces",
                 (unsigned long long)(top / gib), slots);
        return -E2BIG;
    }
    p->win_size = MIN(WIN_MAX, top - p->win_gpa);
    p->win_size = MIN(p->win_size, ((u64)slots - p->win_slot_id) * WIN_SLOT_SIZE);
    return 0;
}

static int reserve(u8 **out, u64 size, int prot)
{
    void *m = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) return -errno;
    madvise(m, size, MADV_DONTDUMP);
    *out = m;
    return 0;
}

static int start(struct platform *p, char *why, size_t why_len)
{
    struct kvm_enable_cap quirk = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args = { KVM_X86_QUIRK_FIX_HYPERCALL_INSN } };
    int rc, cap;

    if ((rc = read_cpuid(p))) {
        snprintf(why, why_len, "KVM does not tell its CPUID: %s", strerror(-rc));
        return rc;
    }
    if ((rc = choose_features(p, why, why_len)) || (rc = lay_out(p, why, why_len))) return rc;
    p->vm = ioctl(p->dev, KVM_CREATE_VM, 0);
    if (p->vm < 0) {
        rc = -errno;
        snprintf(why, why_len, "KVM makes no virtual machine: %s", strerror(-rc));
        return rc;
    }
    ioctl(p->vm, KVM_SET_TSS_ADDR, KVM_TSS_GPA); /* only some Intel processors need it */
    /* A hypercall instruction of the other vendor is to be refused, not rewritten in the guest's memory. */
    if (ioctl(p->vm, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)
        ioctl(p->vm, KVM_ENABLE_CAP, &quirk);
    cap = ioctl(p->vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    p->vcpu_cap = cap < 1 ? 1 : MIN((unsigned)cap, (unsigned)KVM_VCPUS_MAX);
    p->sys_next = GPAGE_SIZE;
    p->mem = p->cfg.memfile_base;
    if (p->var.shadow) {
        p->mem = mmap(NULL, p->cfg.memfile_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->cfg.memfile_fd, 0);
        if (p->mem == MAP_FAILED) {
            p->mem = NULL;
            snprintf(why, why_len, "a second mapping of the guest memory: %s", strerror(errno));
            return -ENOMEM;
        }
        madvise(p->mem, p->cfg.memfile_size, MADV_DONTDUMP);
    }
    if ((rc = reserve(&p->sys, SYS_SIZE, PROT_READ | PROT_WRITE)) || (rc = reserve(&p->win, p->win_size, PROT_NONE)) ||
        (rc = kvm_slot_set(p, 0, SYS_GPA, SYS_SLOT_SIZE, p->sys))) {
        snprintf(why, why_len, "memory for the virtual machine: %s", strerror(-rc));
        return rc;
    }
    p->sys_slots = SYS_SLOT_SIZE;
    if ((rc = build_kernel(p)) || (rc = kvm_files_start(p))) snprintf(why, why_len, "pages of the virtual machine: %s", strerror(-rc));
    return rc;
}

int kvm_vm_start(const struct platform_config *cfg, const struct kvm_variant *var, struct platform **out, char *why, size_t why_len)
{
    struct platform *p = xnew(struct platform);
    sigset_t set, old;
    int rc;

    _Static_assert(KVM_VCPUS_MAX + 16 <= 512, "one page table holds ring 0");
    platform_xstate_start();
    p->cfg = *cfg;
    p->var = *var;
    p->vm = p->peek[0] = p->peek[1] = -1;
    lock_init(&p->lock, LC_PLATFORM);
    lock_init(&p->pool_lock, LC_PLATFORM);
    p->dev = rc = kvm_open(why, why_len);
    if (rc >= 0) rc = kvm_check_caps(p->dev, why, why_len);
    if (!rc) rc = start(p, why, why_len);
    if (rc) {
        kvm_vm_stop(p);
        return rc;
    }
    /* Blocked everywhere but in guest code: it interrupts nothing else of the sentry. */
    sigemptyset(&set);
    sigaddset(&set, KVM_KICK_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    sigdelset(&old, KVM_KICK_SIGNAL);
    memcpy(&p->signal_mask, &old, sizeof(p->signal_mask));
    *out = p;
    return 0;
}

void kvm_vm_stop(struct platform *p)
{
    kvm_vcpus_stop(p);
    if (p->vm >= 0) close(p->vm);
    if (p->peek[0] >= 0) close(p->peek[0]);
    if (p->peek[1] >= 0) close(p->peek[1]);
    if (p->dev >= 0) close(p->dev);
    if (p->sys) munmap(p->sys, SYS_SIZE);
    if (p->win) munmap(p->win, p->win_size);
    if (p->mem && p->mem != p->cfg.memfile_base) munmap(p->mem, p->cfg.memfile_size);
    if (p->chunk) munmap(p->chunk, gpage_up(p->nchunk * sizeof(*p->chunk)));
    lock_fini(&p->lock);
    lock_fini(&p->pool_lock);
    free(p->mem_slot);
    free(p->cpuid);
    free(p);
}
