/*
 * The request page: how a guest thread of a stub and the sentry thread that drives it talk. Each guest thread has an
 * *area* of shared memory: the request page at its start, above it the stack its signal handlers use.
 *
 *   guest thread: writes what happened and its registers, increases `seq`, waits until ack == seq
 *   sentry:       waits until seq changes, copies the page once, acts, writes registers, sets ack = seq
 *
 * Either side sleeps by futex on the other's word and says so beforehand in its own *_sleeps word. The page can be written
 * by every thread of the guest process at any time: nothing in it is a pointer the sentry follows, and all of it is
 * checked after it was copied.
 */
#ifndef SUNDOG_STUB_REQUEST_H
#define SUNDOG_STUB_REQUEST_H

/* An area: a power of two, aligned to itself, so that the handler finds the page from its stack pointer. */
#define REQ_AREA_SIZE 0x8000
#define REQ_AREA_SHIFT 15
#define REQ_STACK 0x1000 /* lowest byte of the handlers' stack */
/* Room a handler's frames need below the saved extended state of the frame before. */
#define REQ_FRAME_GAP 1024

/* Signal a kick arrives as. */
#define REQ_KICK_SIGNAL 23 /* SIGURG */

/* Line 0, written by the guest thread. */
#define REQ_SEQ 0
#define REQ_SIGNO 4
#define REQ_CODE 8
#define REQ_SLEEPS 12
#define REQ_KICKED 16
#define REQ_RESTORE 20
/* Line 1, written by the sentry. */
#define REQ_ACK 64
#define REQ_SENTRY_SLEEPS 68
#define REQ_SPIN 72
#define REQ_BASES 76
#define REQ_SET_FS 1
#define REQ_SET_GS 2
/* Registers, struct guest_regs. */
#define REQ_REGS 128
#define REQ_R15 (REQ_REGS + 0)
#define REQ_R14 (REQ_REGS + 8)
#define REQ_R13 (REQ_REGS + 16)
#define REQ_R12 (REQ_REGS + 24)
#define REQ_RBP (REQ_REGS + 32)
#define REQ_RBX (REQ_REGS + 40)
#define REQ_R11 (REQ_REGS + 48)
#define REQ_R10 (REQ_REGS + 56)
#define REQ_R9 (REQ_REGS + 64)
#define REQ_R8 (REQ_REGS + 72)
#define REQ_RAX (REQ_REGS + 80)
#define REQ_RCX (REQ_REGS + 88)
#define REQ_RDX (REQ_REGS + 96)
#define REQ_RSI (REQ_REGS + 104)
#define REQ_RDI (REQ_REGS + 112)
#define REQ_RIP (REQ_REGS + 128)
#define REQ_CS (REQ_REGS + 136)
#define REQ_EFLAGS (REQ_REGS + 144)
#define REQ_RSP (REQ_REGS + 152)
#define REQ_SS (REQ_REGS + 160)
#define REQ_FS_BASE (REQ_REGS + 168)
#define REQ_GS_BASE (REQ_REGS + 176)
#define REQ_ADDR 344
#define REQ_CALL 352 /* si_syscall, si_arch */
#define REQ_TRAPNO 360
#define REQ_ERROR 368
#define REQ_XSTATE 376 /* address in the stub of the state to load */
#define REQ_FRAME 384  /* stack pointer to use while loading */
#define REQ_END 392

#ifndef __ASSEMBLER__
#include "platform/platform.h"

#include <stddef.h>

struct request_page {
    u32 seq;
    u32 signo;      /* signal it came by; REQ_KICK_SIGNAL: kicked */
    s32 code;
    u32 sleeps;
    u32 kicked;     /* the thread's own note: a kick came while it was outside of guest code */
    u32 restore;    /* the signal hit while guest registers were being loaded: regs are those of before */
    u32 pad0[10];
    u32 ack;
    u32 sentry_sleeps;
    u32 spin;       /* how long to look at ack before sleeping */
    u32 bases;      /* REQ_SET_*: have the host set these from regs; only where instructions cannot (no FSGSBASE) */
    u32 pad1[12];
    struct guest_regs regs;
    u64 addr;
    u32 call_nr, call_arch;
    u64 trapno, error;
    u64 xstate, frame;
};
#define REQ_IS(field, off) _Static_assert(offsetof(struct request_page, field) == (off), "trap_text.S")
REQ_IS(seq, REQ_SEQ);
REQ_IS(restore, REQ_RESTORE);
REQ_IS(ack, REQ_ACK);
REQ_IS(spin, REQ_SPIN);
REQ_IS(bases, REQ_BASES);
REQ_IS(regs, REQ_REGS);
REQ_IS(regs.rdi, REQ_RDI);
REQ_IS(regs.rip, REQ_RIP);
REQ_IS(regs.gs_base, REQ_GS_BASE);
REQ_IS(addr, REQ_ADDR);
REQ_IS(call_nr, REQ_CALL);
REQ_IS(error, REQ_ERROR);
REQ_IS(frame, REQ_FRAME);
_Static_assert(sizeof(struct request_page) == REQ_END, "trap_text.S");
#endif
#endif
