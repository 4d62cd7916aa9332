/* The calls that syscall_fuzz throws, with what each argument should look like most of the time. */
#ifndef TESTS_FUZZ_SYSCALL_FUZZ_H
#define TESTS_FUZZ_SYSCALL_FUZZ_H
#include <sys/syscall.h>

struct fuzz_call {
    int nr;
    const char *name;
    const char *args; /* one letter an argument, see fuzz_arg() */
};

/*
 * f fd, d directory fd, p pointer to random bytes, s path, n size, g flags, i small integer, o offset, P process of ours,
 * S signal, t timespec, v iovec, a socket address, l pointer to a length, m address of a mapping, h msghdr, c clock,
 * I ioctl request, L sockopt level, O sockopt name, F fcntl command, M mode, R mmap protection, G mmap flags,
 * D domain, T socket type, x pointer or NULL, N fresh fd number (dup2), u futex word, U futex operation, A argv,
 * X uid, E ptrace request, k AIO context, J pointers to AIO requests, z zero.
 */
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define C(name, args) { SYS_##name, #name, args },
static const struct fuzz_call fuzz_calls[] = {
    C(read, "fpn") C(write, "fpn") C(open, "sgM") C(close, "f") C(stat, "sp") C(fstat, "fp") C(lstat, "sp") C(poll, "pii")
    C(lseek, "foi") C(mmap, "mnRGfo") C(mprotect, "mnR") C(munmap, "mn") C(mseal, "mnz") C(brk, "m") C(rt_sigaction, "Sxxn")
    C(rt_sigprocmask, "ixxn") C(ioctl, "fIp") C(ioctl, "fIi") C(ioctl, "fIp") C(pread64, "fpno") C(pwrite64, "fpno")
    C(readv, "fvi") C(writev, "fvi") C(access, "sM") C(pipe, "p") C(select, "ixxxt") C(sched_yield, "") C(mremap, "mnngm")
    C(msync, "mng") C(mincore, "mnp") C(madvise, "mni") C(shmget, "inM") C(shmat, "img") C(shmctl, "iip") C(dup, "f")
    C(dup2, "fN") C(nanosleep, "tx") C(getitimer, "ip") C(alarm, "i") C(setitimer, "ixx") C(getpid, "") C(sendfile, "ffxn")
    C(socket, "DTi") C(connect, "fai") C(accept, "fal") C(sendto, "fpngai") C(recvfrom, "fpngal") C(sendmsg, "fhg")
    C(recvmsg, "fhg") C(shutdown, "fi") C(bind, "fai") C(listen, "fi") C(getsockname, "fal") C(getpeername, "fal")
    C(socketpair, "DTip") C(setsockopt, "fLOpi") C(setsockopt, "fLOpi") C(getsockopt, "fLOpl") C(clone, "gzppp") C(fork, "")
    C(vfork, "") C(execve, "sAA") C(wait4, "Pxgx") C(kill, "PS") C(uname, "p") C(semget, "iiM") C(semop, "ipi") C(semctl, "iiip")
    C(shmdt, "m") C(msgget, "iM") C(msgsnd, "ipng") C(msgrcv, "ipnig") C(msgctl, "iip") C(fcntl, "fFi") C(fcntl, "fFp")
    C(fcntl, "fFf") C(flock, "fi") C(fsync, "f") C(fdatasync, "f") C(truncate, "so") C(ftruncate, "fo") C(getdents, "dpn")
    C(getcwd, "pn") C(chdir, "s") C(fchdir, "d") C(rename, "ss") C(mkdir, "sM") C(rmdir, "s") C(creat, "sM") C(link, "ss")
    C(unlink, "s") C(symlink, "ss") C(readlink, "spn") C(chmod, "sM") C(fchmod, "fM") C(chown, "sXX") C(fchown, "fXX")
    C(lchown, "sXX") C(umask, "M") C(gettimeofday, "xx") C(getrlimit, "ip") C(getrusage, "ip") C(sysinfo, "p") C(times, "x")
    C(ptrace, "EPpp") C(ptrace, "EPpi") C(getuid, "") C(syslog, "ipn") C(setpgid, "PP") C(getppid, "") C(setsid, "")
    C(setreuid, "XX") C(setregid, "XX") C(getgroups, "ip") C(setgroups, "ip") C(setresuid, "XXX") C(getresuid, "ppp")
    C(setresgid, "XXX") C(getpgid, "P") C(setfsuid, "X") C(getsid, "P") C(capget, "px") C(capset, "px") C(rt_sigpending, "pn")
    C(rt_sigtimedwait, "pxtn") C(rt_sigqueueinfo, "PSp") C(rt_sigsuspend, "pn") C(sigaltstack, "xx") C(utime, "sx")
    C(mknod, "sMi") C(personality, "i") C(ustat, "ip") C(statfs, "sp") C(fstatfs, "fp") C(sysfs, "ipp") C(getpriority, "iP")
    C(setpriority, "iPi") C(sched_setparam, "Pp") C(sched_getparam, "Pp") C(sched_setscheduler, "Pip")
    C(sched_getscheduler, "P") C(sched_get_priority_max, "i") C(sched_rr_get_interval, "Pp") C(mlock, "mn") C(munlock, "mn")
    C(mlockall, "i") C(munlockall, "") C(vhangup, "") C(modify_ldt, "ipn") C(prctl, "ippii") C(prctl, "iiiii") C(prctl, "imnpi")
    C(arch_prctl, "ip") C(adjtimex, "p") C(setrlimit, "ip") C(chroot, "s") C(sync, "") C(acct, "s") C(mount, "sspgx")
    C(umount2, "sg") C(sethostname, "pn") C(iopl, "i") C(ioperm, "iii") C(gettid, "") C(readahead, "fon")
    C(setxattr, "sppng") C(lsetxattr, "sppng") C(fsetxattr, "fppng") C(getxattr, "sppn") C(fgetxattr, "fppn")
    C(listxattr, "spn") C(flistxattr, "fpn") C(removexattr, "sp") C(fremovexattr, "fp") C(tkill, "PS") C(time, "x")
    C(futex, "uUitui") C(futex, "uUitui") C(sched_setaffinity, "Pnp") C(sched_getaffinity, "Pnp") C(io_setup, "ip")
    C(io_destroy, "k") C(io_submit, "kiJ") C(io_submit, "kiJ") C(io_getevents, "kiipt") C(io_cancel, "kpp") C(io_pgetevents, "kiiptx") C(epoll_create, "i")
    C(remap_file_pages, "mnion") C(getdents64, "dpn") C(set_tid_address, "p") C(semtimedop, "ipit") C(fadvise64, "foni")
    C(timer_create, "cxp") C(timer_settime, "igpx") C(timer_gettime, "ip") C(timer_getoverrun, "i") C(timer_delete, "i")
    C(clock_settime, "cp") C(clock_gettime, "cp") C(clock_getres, "cx") C(clock_nanosleep, "cgtx") C(epoll_wait, "fpii")
    C(epoll_ctl, "fifp") C(epoll_ctl, "fifp") C(tgkill, "PPS") C(utimes, "sx") C(mbind, "mnipig") C(set_mempolicy, "ipi")
    C(get_mempolicy, "xximg") C(mq_open, "pgMx") C(mq_unlink, "p") C(mq_timedsend, "fpnit") C(mq_timedreceive, "fpnxt")
    C(mq_notify, "fx") C(mq_getsetattr, "fxx") C(waitid, "iPxgx") C(ioprio_set, "iPi") C(ioprio_get, "iP") C(inotify_init, "")
    C(inotify_add_watch, "fsg") C(inotify_rm_watch, "fi") C(migrate_pages, "Pipp") C(openat, "dsgM") C(openat, "dsgM")
    C(mkdirat, "dsM") C(mknodat, "dsMi") C(fchownat, "dsXXg") C(futimesat, "dsx") C(newfstatat, "dspg") C(unlinkat, "dsg")
    C(renameat, "dsds") C(linkat, "dsdsg") C(symlinkat, "sds") C(readlinkat, "dspn") C(fchmodat, "dsM") C(faccessat, "dsM")
    C(pselect6, "ixxxtx") C(ppoll, "pitxn") C(unshare, "g") C(set_robust_list, "pn") C(get_robust_list, "Ppp")
    C(splice, "fxfxng") C(splice, "fxfxng") C(tee, "ffng") C(sync_file_range, "fong") C(vmsplice, "fvig") C(move_pages, "Pipppg")
    C(utimensat, "dsxg") C(epoll_pwait, "fpiixn") C(signalfd, "fpn") C(timerfd_create, "cg") C(eventfd, "i")
    C(fallocate, "fioo") C(timerfd_settime, "fgpx") C(timerfd_gettime, "fp") C(accept4, "falg") C(signalfd4, "fpng")
    C(eventfd2, "ig") C(epoll_create1, "g") C(dup3, "fNg") C(pipe2, "pg") C(inotify_init1, "g") C(preadv, "fvioi")
    C(pwritev, "fvioi") C(rt_tgsigqueueinfo, "PPSp") C(perf_event_open, "pPifg") C(recvmmsg, "fhigt") C(fanotify_init, "gg")
    C(fanotify_mark, "fggds") C(prlimit64, "Pixx") C(name_to_handle_at, "dsppg") C(open_by_handle_at, "dpg") C(syncfs, "f")
    C(sendmmsg, "fhig") C(setns, "fg") C(getcpu, "xxx") C(process_vm_readv, "Pvivig") C(process_vm_writev, "Pvivig")
    C(kcmp, "PPiff") C(sched_setattr, "Ppg") C(sched_getattr, "Ppng") C(renameat2, "dsdsg") C(seccomp, "igp")
    C(getrandom, "png") C(memfd_create, "pg") C(bpf, "ipn") C(execveat, "dsAAg") C(userfaultfd, "g") C(membarrier, "igi")
    C(mlock2, "mng") C(copy_file_range, "fxfxng") C(preadv2, "fvioig") C(pwritev2, "fvioig") C(pkey_mprotect, "mnRi")
    C(pkey_alloc, "gi") C(pkey_free, "i") C(statx, "dsggp") C(rseq, "pngi") C(pidfd_send_signal, "fSxg") C(io_uring_setup, "ip")
    C(open_tree, "dsg") C(move_mount, "dsdsg") C(fsopen, "pg") C(fsconfig, "fippi") C(fsmount, "fgg") C(fspick, "dsg")
    C(pidfd_open, "Pg") C(clone3, "pn") C(close_range, "Nig") C(openat2, "dspn") C(pidfd_getfd, "fig") C(faccessat2, "dsMg")
    C(process_madvise, "fviig") C(epoll_pwait2, "fpitxn") C(mount_setattr, "dsgpn") C(landlock_create_ruleset, "png")
    C(landlock_add_rule, "fipg") C(landlock_restrict_self, "fg") C(memfd_secret, "g") C(pause, "") C(exit, "i")
    C(restart_syscall, "") C(rt_sigreturn, "")
};
#undef C

#endif
