/*
 * The request page: how a guest thread of a stub and the sentry thread that drives it talk. Each guest thread has an
 * *area* of shared memory: the request page at its start, above it the stack its signal handlers use.
 *
 *   guest thread: writes what happened and its registers, increases `seq`, waits until ack == seq
 *   sentry:       waits until seq changes, copies the page once, acts, writes registers, sets ack = seq
 *
 * A patched call site (platform/trap/patch.c) gets there without a signal: it leaves the extended registers and the bases
 * where they are, in the processor, and the page says so by `live`.
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
/* Room for extended state where no signal frame comes, between the request page's fields and the stack; else it lies on that. */
#define REQ_ROOM 0x400
#define REQ_ROOM_SIZE (REQ_STACK - REQ_ROOM)
/* Room a handler's frames need below the saved extended state of the frame before. */
#define REQ_FRAME_GAP 1024

/* What came without a signal: a call from a patched site; extended state was written where the sentry asked for it. */
#define REQ_PATCHED_CALL 100
#define REQ_SAVED 101

/* Signal a kick arrives as. */
#define REQ_KICK_SIGNAL 23 /* SIGURG */

/* Line 0, written by the guest thread. */
#define REQ_SEQ 0
#define REQ_SIGNO 4
#define REQ_CODE 8
#define REQ_SLEEPS 12
#define REQ_KICKED 16
#define REQ_RESTORE 20
#define REQ_LIVE 24
/* Line 1, written by the sentry. */
#define REQ_ACK 64
#define REQ_SENTRY_SLEEPS 68
#define REQ_SPIN 72
#define REQ_ORDERS 76
#define REQ_QUICK 80
#define REQ_SELECTOR 84
#define REQ_STATE 88
#define REQ_SAVE_TO 96
#define REQ_EAGER 104
/* Values of live: in the processor; there, and saved too. */
#define REQ_LIVE_ONLY 1
#define REQ_LIVE_SAVED 2
/* Orders. The first two only where the FSGSBASE instructions are missing. */
#define REQ_SET_FS 1
#define REQ_SET_GS 2
#define REQ_SAVE_STATE 4
#define REQ_LOAD_STATE 8 /* kvm only, where extended state is kept on the request page itself: */
#define REQ_LEAVE 16     /* the answer takes its time: leave the machine */
#define REQ_KVM_STATE 512
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
    u32 live;       /* extended registers and bases are the guest's still; REQ_LIVE_* */
    u32 pad0[9];
    u32 ack;
    u32 sentry_sleeps;
    u32 spin;       /* how long to look at ack before sleeping */
    u32 orders;     /* REQ_SET_*, REQ_SAVE_STATE: to be done before anything else */
    u32 quick;      /* live, and rip is in rcx: go back by a jump */
    u32 selector;   /* of its own, to load into es; 0: none */
    u64 state;      /* (c) end of the stack while live */
    u64 save_to;    /* where extended state is saved on order */
    u32 eager;      /* the next call from a patched site saves them too: they will be wanted */
    u32 pad1[5];
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
REQ_IS(orders, REQ_ORDERS);
REQ_IS(quick, REQ_QUICK);
REQ_IS(selector, REQ_SELECTOR);
REQ_IS(state, REQ_STATE);
REQ_IS(save_to, REQ_SAVE_TO);
REQ_IS(eager, REQ_EAGER);
REQ_IS(live, REQ_LIVE);
REQ_IS(regs, REQ_REGS);
REQ_IS(regs.rdi, REQ_RDI);
REQ_IS(regs.rip, REQ_RIP);
REQ_IS(regs.gs_base, REQ_GS_BASE);
REQ_IS(addr, REQ_ADDR);
REQ_IS(call_nr, REQ_CALL);
REQ_IS(error, REQ_ERROR);
REQ_IS(frame, REQ_FRAME);
_Static_assert(sizeof(struct request_page) == REQ_END && REQ_END <= REQ_ROOM, "trap_text.S");
#endif
#endif
