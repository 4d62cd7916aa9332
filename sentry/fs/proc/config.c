/*
 * /proc/config.gz: the kernel options whose behaviour this kernel has, for programs that ask there before they try
 * (test suites, container engines). What is not listed is not there. One stored block, RFC 1951 and 1952: the text is
 * short and read once.
 */
#include "abi/abi.h"
#include "sentry/fs/proc/proc.h"

#include <string.h>

static const char options[] =
    "#\n# Linux/x86 " KERNEL_RELEASE " Kernel Configuration\n#\n"
    "CONFIG_64BIT=y\nCONFIG_X86_64=y\nCONFIG_X86=y\nCONFIG_MMU=y\nCONFIG_SMP=y\nCONFIG_PROC_FS=y\nCONFIG_PROC_SYSCTL=y\n"
    "CONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_TMPFS_XATTR=y\nCONFIG_TMPFS_POSIX_ACL=y\nCONFIG_FS_POSIX_ACL=y\nCONFIG_SHMEM=y\nCONFIG_DEVPTS_FS=y\nCONFIG_UNIX98_PTYS=y\nCONFIG_OVERLAY_FS=y\n"
    "CONFIG_FUTEX=y\nCONFIG_FUTEX_PI=y\nCONFIG_EPOLL=y\nCONFIG_EVENTFD=y\nCONFIG_SIGNALFD=y\nCONFIG_TIMERFD=y\nCONFIG_INOTIFY_USER=y\n"
    "CONFIG_DNOTIFY=y\nCONFIG_FILE_LOCKING=y\nCONFIG_FSNOTIFY=y\nCONFIG_POSIX_TIMERS=y\nCONFIG_HIGH_RES_TIMERS=y\nCONFIG_POSIX_MQUEUE=y\n"
    "CONFIG_SYSVIPC=y\nCONFIG_MEMFD_CREATE=y\nCONFIG_MULTIUSER=y\nCONFIG_BINFMT_ELF=y\nCONFIG_BINFMT_SCRIPT=y\nCONFIG_PRINTK=y\n"
    "CONFIG_SECCOMP=y\nCONFIG_SECCOMP_FILTER=y\nCONFIG_ADVISE_SYSCALLS=y\nCONFIG_CROSS_MEMORY_ATTACH=y\nCONFIG_NET=y\nCONFIG_UNIX=y\n"
    "CONFIG_INET=y\nCONFIG_IPV6=y\nCONFIG_VDSO=y\n"
    "CONFIG_AIO=y\nCONFIG_NAMESPACES=y\nCONFIG_UTS_NS=y\nCONFIG_IPC_NS=y\nCONFIG_USER_NS=y\nCONFIG_PID_NS=y\nCONFIG_NET_NS=y\nCONFIG_CHECKPOINT_RESTORE=y\nCONFIG_NUMA=y\nCONFIG_KEYS=y\nCONFIG_PERSISTENT_KEYRINGS=y\nCONFIG_BIG_KEYS=y\n"
    "# CONFIG_IO_URING is not set\n# CONFIG_USERFAULTFD is not set\n# CONFIG_FANOTIFY is not set\n"
    "# CONFIG_SWAP is not set\n# CONFIG_MODULES is not set\n# CONFIG_HUGETLBFS is not set\n"
    "# CONFIG_TIME_NS is not set\n# CONFIG_QUOTA is not set\n# CONFIG_MEMORY_FAILURE is not set\n"
    "# CONFIG_BSD_PROCESS_ACCT is not set\n# CONFIG_BPF_SYSCALL is not set\nCONFIG_BLK_DEV=y\nCONFIG_BLK_DEV_LOOP=y\n";
_Static_assert(sizeof(options) - 1 < 65536, "one stored block");

static u32 crc32_of(const char *p, size_t n)
{
    u32 c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= (u8)p[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    }
    return ~c;
}

static void put_le(char *p, u32 v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (char)(v >> 8 * i);
}

int proc_show_config(struct synth_node *n UNUSED, struct strbuf *b)
{
    const u32 len = sizeof(options) - 1;
    char head[15] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 /* Unix */, 1 /* last block, stored */ }, tail[8];

    put_le(head + 11, len, 2);
    put_le(head + 13, ~len & 0xffff, 2);
    put_le(tail, crc32_of(options, len), 4);
    put_le(tail + 4, len, 4);
    strbuf_add(b, head, sizeof(head));
    strbuf_add(b, options, len);
    strbuf_add(b, tail, sizeof(tail));
    return 0;
}
