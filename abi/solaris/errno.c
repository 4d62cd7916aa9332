/*
 * Errors. Inside they are the host's; this closed table names each one of them once. A host errno that Solaris lacks is
 * folded to the nearest that it has. Source: sys/errno.h of illumos, asm-generic/errno.h of Linux.
 */
#include "abi/solaris/solaris.h"

#define SAME(X) \
    X(1, 1, EPERM) X(2, 2, ENOENT) X(3, 3, ESRCH) X(4, 4, EINTR) X(5, 5, EIO) X(6, 6, ENXIO) X(7, 7, E2BIG) X(8, 8, ENOEXEC) \
    X(9, 9, EBADF) X(10, 10, ECHILD) X(11, 11, EAGAIN) X(12, 12, ENOMEM) X(13, 13, EACCES) X(14, 14, EFAULT) X(15, 15, ENOTBLK) \
    X(16, 16, EBUSY) X(17, 17, EEXIST) X(18, 18, EXDEV) X(19, 19, ENODEV) X(20, 20, ENOTDIR) X(21, 21, EISDIR) X(22, 22, EINVAL) \
    X(23, 23, ENFILE) X(24, 24, EMFILE) X(25, 25, ENOTTY) X(26, 26, ETXTBSY) X(27, 27, EFBIG) X(28, 28, ENOSPC) X(29, 29, ESPIPE) \
    X(30, 30, EROFS) X(31, 31, EMLINK) X(32, 32, EPIPE) X(33, 33, EDOM) X(34, 34, ERANGE) X(60, 60, ENOSTR) X(61, 61, ENODATA) \
    X(62, 62, ETIME) X(63, 63, ENOSR) X(64, 64, ENONET) X(65, 65, ENOPKG) X(66, 66, EREMOTE) X(67, 67, ENOLINK) X(68, 68, EADV) \
    X(69, 69, ESRMNT) X(70, 70, ECOMM) X(71, 71, EPROTO)
#define MOVED(X) \
    X(35, 45, EDEADLK) X(36, 78, ENAMETOOLONG) X(37, 46, ENOLCK) X(38, 89, ENOSYS) X(39, 93, ENOTEMPTY) X(40, 90, ELOOP) \
    X(42, 35, ENOMSG) X(43, 36, EIDRM) X(44, 37, ECHRNG) X(45, 38, EL2NSYNC) X(46, 39, EL3HLT) X(47, 40, EL3RST) X(48, 41, ELNRNG) \
    X(49, 42, EUNATCH) X(50, 43, ENOCSI) X(51, 44, EL2HLT) X(52, 50, EBADE) X(53, 51, EBADR) X(54, 52, EXFULL) X(55, 53, ENOANO) \
    X(56, 54, EBADRQC) X(57, 55, EBADSLT) X(59, 57, EBFONT) X(72, 74, EMULTIHOP) X(74, 77, EBADMSG) X(75, 79, EOVERFLOW) \
    X(76, 80, ENOTUNIQ) X(77, 81, EBADFD) X(78, 82, EREMCHG) X(79, 83, ELIBACC) X(80, 84, ELIBBAD) X(81, 85, ELIBSCN) \
    X(82, 86, ELIBMAX) X(83, 87, ELIBEXEC) X(84, 88, EILSEQ) X(85, 91, ERESTART) X(86, 92, ESTRPIPE) X(87, 94, EUSERS) \
    X(88, 95, ENOTSOCK) X(89, 96, EDESTADDRREQ) X(90, 97, EMSGSIZE) X(91, 98, EPROTOTYPE) X(92, 99, ENOPROTOOPT) \
    X(93, 120, EPROTONOSUPPORT) X(94, 121, ESOCKTNOSUPPORT) X(95, 48, ENOTSUP) X(96, 123, EPFNOSUPPORT) X(97, 124, EAFNOSUPPORT) \
    X(98, 125, EADDRINUSE) X(99, 126, EADDRNOTAVAIL) X(100, 127, ENETDOWN) X(101, 128, ENETUNREACH) X(102, 129, ENETRESET) \
    X(103, 130, ECONNABORTED) X(104, 131, ECONNRESET) X(105, 132, ENOBUFS) X(106, 133, EISCONN) X(107, 134, ENOTCONN) \
    X(108, 143, ESHUTDOWN) X(109, 144, ETOOMANYREFS) X(110, 145, ETIMEDOUT) X(111, 146, ECONNREFUSED) X(112, 147, EHOSTDOWN) \
    X(113, 148, EHOSTUNREACH) X(114, 149, EALREADY) X(115, 150, EINPROGRESS) X(116, 151, ESTALE) X(122, 49, EDQUOT) \
    X(125, 47, ECANCELED) X(130, 58, EOWNERDEAD) X(131, 59, ENOTRECOVERABLE)
/* Host only: folded. */
#define FOLDED(X) \
    X(73, 5, EDOTDOT) X(117, 5, EUCLEAN) X(118, 5, ENOTNAM) X(119, 5, ENAVAIL) X(120, 5, EISNAM) X(121, 5, EREMOTEIO) \
    X(123, 6, ENOMEDIUM) X(124, 6, EMEDIUMTYPE) X(126, 13, ENOKEY) X(127, 13, EKEYEXPIRED) X(128, 13, EKEYREVOKED) \
    X(129, 13, EKEYREJECTED) X(132, 5, ERFKILL) X(133, 5, EHWPOISON)
/* Solaris only: reached by SOL_ERR. */
#define SOL_ONLY(X) X(0, 56, EDEADLOCK) X(0, 72, ELOCKUNMAPPED) X(0, 73, ENOTACTIVE) X(0, 76, EUNUSED76) X(0, 122, EOPNOTSUPP)

#define COUNT(h, s, n) +1
#define HOST_SUM(h, s, n) +(h)
/* Every host errno 1..133 but 41 and 58, which no Linux has; twice the same one would be a duplicate case below. */
_Static_assert(SAME(COUNT) MOVED(COUNT) FOLDED(COUNT) == 131, "errno table: one row for each");
_Static_assert(SAME(HOST_SUM) MOVED(HOST_SUM) FOLDED(HOST_SUM) == 133 * 134 / 2 - 41 - 58, "errno table: complete");

u32 sol_errno(int host)
{
    if (host >= 2000 && host < 2256) return (u32)host - 2000;
    switch (host) {
#define CASE(h, s, n) case h: return s;
    SAME(CASE) MOVED(CASE) FOLDED(CASE)
#undef CASE
    default: return 5;
    }
}

const char *solaris_errno_name(int host)
{
    switch (sol_errno(host)) {
#define CASE(h, s, n) case s: return #n;
    SAME(CASE) MOVED(CASE) SOL_ONLY(CASE)
#undef CASE
    default: return NULL;
    }
}
