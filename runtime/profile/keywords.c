/* The words of the profile language. Order is the order of sundog-profile(5). Data only: the generator links it alone. */
#include "runtime/profile/profile.h"

#include <string.h>

const char *const profile_sections[PS_N] = { "", "files", "exec", "net", "ipc", "sys", "limit", "env" };

const struct pkeyword profile_keywords[] = {
    { PS_HEAD, PK_PROFILE, "profile", "1 NAME", "first line: version of the language, and the profile's name" },
    { PS_HEAD, PK_INHERIT, "inherit", "NAME", "start from another profile; what is said here about the same object counts" },
    { PS_HEAD, PK_INCLUDE, "include", "NAME", "insert a fragment: fragments/NAME beside the installed profiles, or a path beside this file" },
    { PS_HEAD, PK_PARAM, "param", "NAME = VALUE", "a variable with a default, used as ${NAME}; --param NAME=VALUE sets it" },
    { PS_HEAD, PK_LOCKED, "locked", "", "what follows in this file may be tightened by stronger layers, not loosened" },
    { PS_FILES, PK_RO, "ro", "PATH", "read; nothing there can be executed" },
    { PS_FILES, PK_ROX, "rox", "PATH", "read and execute" },
    { PS_FILES, PK_RW, "rw", "PATH", "read and write; nothing there can be executed" },
    { PS_FILES, PK_RWX, "rwx", "PATH", "read, write and execute" },
    { PS_FILES, PK_DENY, "deny", "PATH", "no access, also where a wider rule grants it" },
    { PS_FILES, PK_OVERLAY, "overlay", "PATH", "read and execute; changes go to a layer and not to the host" },
    { PS_EXEC, PK_ALLOW, "allow", "PATH", "may be executed, where [files] shows it" },
    { PS_EXEC, PK_DENY, "deny", "PATH", "may not be executed, though [files] would let it" },
    { PS_NET, PK_CONNECT, "connect", "HOST:PORT [tcp|udp]", "connections out, or datagrams sent" },
    { PS_NET, PK_LISTEN, "listen", "ADDRESS:PORT [tcp|udp]", "bind to it" },
    { PS_NET, PK_DENY, "deny", "HOST:PORT [tcp|udp]", "no connection, though a wider rule grants it" },
    { PS_IPC, PK_ALLOW, "allow", "sysv|mqueue", "shared memory, semaphores and queues of System V; POSIX message queues" },
    { PS_IPC, PK_DENY, "deny", "sysv|mqueue", "those calls fail with EPERM" },
    { PS_SYS, PK_DENY, "deny", "@GROUP|CALL", "system calls fail with EPERM" },
    { PS_SYS, PK_ALLOW, "allow", "CALL", "not this one, though its group is denied" },
    { PS_LIMIT, PK_MEMORY, "memory", "SIZE", "memory of all programs together" },
    { PS_LIMIT, PK_PROCESSES, "processes", "N", "processes and threads of the whole sandbox" },
    { PS_LIMIT, PK_OPEN_FILES, "open-files", "N", "open descriptors of each process" },
    { PS_LIMIT, PK_CPU_TIME, "cpu-time", "DURATION", "CPU time of each process: 90s, 10m, 2h" },
    { PS_LIMIT, PK_CPU_SHARE, "cpu-share", "PERCENT", "CPU time of all programs together, as a share of one CPU: 50%, 150%" },
    { PS_LIMIT, PK_FILE_SIZE, "file-size", "SIZE", "size of each file that is written" },
    { PS_ENV, PK_PASS, "pass", "NAME...", "the caller's variables; NAME may end in *" },
    { PS_ENV, PK_SET, "set", "NAME=VALUE", "a variable" },
};
const unsigned profile_nkeywords = ARRAY_LEN(profile_keywords);

const struct pkeyword *profile_keyword(enum psection s, enum pkey k)
{
    for (unsigned i = 0; i < profile_nkeywords; i++)
        if (profile_keywords[i].section == s && profile_keywords[i].key == k) return &profile_keywords[i];
    return NULL;
}

const char *const profile_groups[] = { "@debug", "@keyring", "@mount", "@module", "@clock", "@sysv", "@mqueue", "@inotify", "@trace",
                                       "@io-uring", "@privileged", "@numa", "@resources", NULL };

const char *const *profile_call_group(const char *name)
{
    static const char *const debug[] = { "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", NULL };
    static const char *const keyring[] = { "add_key", "request_key", "keyctl", NULL };
    static const char *const mount[] = { "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount",
                                         "open_tree", "mount_setattr", NULL };
    static const char *const module[] = { "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", NULL };
    static const char *const clock[] = { "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", NULL };
    static const char *const sysv[] = { "shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd",
                                        "msgrcv", "msgctl", "shmsys", "semsys", "msgsys", NULL };
    static const char *const mqueue[] = { "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr", NULL };
    static const char *const inotify[] = { "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init", "fanotify_mark", NULL };
    static const char *const trace[] = { "perf_event_open", "bpf", "lookup_dcookie", "userfaultfd", NULL };
    static const char *const io_uring[] = { "io_uring_setup", "io_uring_enter", "io_uring_register", NULL };
    static const char *const privileged[] = { "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "iopl", "ioperm", "vhangup",
                                              "sethostname", "setdomainname", "syslog", NULL };
    static const char *const numa[] = { "mbind", "set_mempolicy", "get_mempolicy", "migrate_pages", "move_pages", "set_mempolicy_home_node", NULL };
    static const char *const resources[] = { "setrlimit", "prlimit64", "setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam",
                                             "sched_setattr", "sched_setaffinity", NULL };
    static const struct { const char *name; const char *const *calls; } groups[] = {
        { "@debug", debug }, { "@keyring", keyring }, { "@mount", mount }, { "@module", module }, { "@clock", clock }, { "@sysv", sysv },
        { "@mqueue", mqueue }, { "@inotify", inotify }, { "@trace", trace }, { "@io-uring", io_uring }, { "@privileged", privileged },
        { "@numa", numa }, { "@resources", resources },
    };
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (!strcmp(groups[i].name, name)) return groups[i].calls;
    return NULL;
}
