/* Layout of the stub region and numbers shared between stub_text.S and C. Preprocessor constants only. */
#ifndef SUNDOG_STUB_LAYOUT_H
#define SUNDOG_STUB_LAYOUT_H

/* Pages of the region, as offsets from its base. */
#define STUB_TEXT 0x0000    /* r-x: mapper loop, template loop, start of guest threads */
#define STUB_RODATA 0x1000  /* r--, two pages: seccomp programs */
#define STUB_OPS 0x3000     /* r--: orders, written by the sentry through its own mapping */
#define STUB_SCRATCH 0x4000 /* rw-: message headers for recvmsg; nothing read from it is believed */
#define STUB_TRAP 0x5000    /* r-x: signal handlers of guest threads (trap platform) */
#define STUB_SIZE 0x6000
#define STUB_AREAS 0x10000  /* rw-: request pages and handler stacks of guest threads (trap platform), see template.c */

/* Within STUB_RODATA. */
#define STUB_RO_FPROG_TEMPLATE 0
#define STUB_RO_FPROG_MAPPER 16
#define STUB_RO_FPROG_GUEST 32
#define STUB_RO_EMPTY_SIGSET 48
#define STUB_RO_FPROG_TRAP 64
#define STUB_RO_FSGSBASE 80 /* byte: the FSGSBASE instructions work */
#define STUB_RO_INSNS 88
#define STUB_RO_SIZE 0x2000

/* Within STUB_SCRATCH. */
#define STUB_SC_IOV 64
#define STUB_SC_DATA 128
#define STUB_SC_CONTROL 256
#define STUB_SC_CONTROL_LEN 256

/* Descriptors of a stub process; the template also holds the order pages at 2, what it receives lands at 3. */
#define STUB_FD_MEMFILE 0
#define STUB_FD_SOCK 1
#define STUB_FD_RECEIVED 2 /* the first one of a batch */
#define STUB_FD_ORDERS 2
#define STUB_FD_NEWSOCK 3

#define STUB_OP_MAP 0
#define STUB_OP_UNMAP 1
#define STUB_OP_PROTECT 2
#define STUB_OP_THREAD 3
#define STUB_OP_RUNNER 4 /* a thread for the trap platform; addr: its area */

#define STUB_MAX_OPS 64

/* struct stub_ops and struct stub_op */
#define STUB_OPS_N 0
#define STUB_OPS_NFDS 4
#define STUB_OPS_SLOT 8
#define STUB_OPS_STACK 16 /* stack_t for STUB_OP_RUNNER */
#define STUB_OPS_OP 64
#define STUB_OPS_AREAS 2624 /* address of the area of the guest thread with this selector in es; 0: none has */
#define STUB_MAX_SELECTOR 128
#define STUB_OP_SIZE 40
#define STUB_OP_KIND 0
#define STUB_OP_PROT 4
#define STUB_OP_FLAGS 8
#define STUB_OP_FD 12
#define STUB_OP_ADDR 16
#define STUB_OP_LEN 24
#define STUB_OP_OFF 32

/* Length of the message by which a new runner says that it has read its orders; no errno, no byte. */
#define STUB_RUNNER_READY 2048

#define STUB_CLONE_PARENT 0x8000
/* CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM */
#define STUB_CLONE_GUEST 0x50f00
#define STUB_USER_END 0x7ffffffff000

#endif
