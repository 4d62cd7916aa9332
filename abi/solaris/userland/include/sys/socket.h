#ifndef _SYS_SOCKET_H
#define _SYS_SOCKET_H
#include <sys/types.h>
#include <sys/uio.h>
typedef unsigned int socklen_t;
typedef unsigned short sa_family_t;
#define SOCK_DGRAM 1
#define SOCK_STREAM 2
#define SOCK_RAW 4
#define SOCK_RDM 5
#define SOCK_SEQPACKET 6
#define SOCK_CLOEXEC 0x80000
#define SOCK_NONBLOCK 0x100000
#define SOCK_NDELAY 0x200000
#define SOL_SOCKET 0xffff
#define SO_DEBUG 1
#define SO_ACCEPTCONN 2
#define SO_REUSEADDR 4
#define SO_KEEPALIVE 8
#define SO_DONTROUTE 0x10
#define SO_BROADCAST 0x20
#define SO_USELOOPBACK 0x40
#define SO_LINGER 0x80
#define SO_OOBINLINE 0x100
#define SO_DGRAM_ERRIND 0x200
#define SO_RECVUCRED 0x400
#define SO_SNDBUF 0x1001
#define SO_RCVBUF 0x1002
#define SO_SNDLOWAT 0x1003
#define SO_RCVLOWAT 0x1004
#define SO_SNDTIMEO 0x1005
#define SO_RCVTIMEO 0x1006
#define SO_ERROR 0x1007
#define SO_TYPE 0x1008
#define SO_PROTOTYPE 0x1009
#define SO_DOMAIN 0x100c
#define SO_REUSEPORT 0x100e
#define SO_TIMESTAMP 0x1013
#define SO_ALLZONES 0x1014
#define SO_EXCLBIND 0x1015
#define SCM_RIGHTS 0x1010
#define SCM_UCRED 0x1012
#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL 1
#define AF_FILE 1
#define AF_INET 2
#define AF_ROUTE 0x18
#define AF_LINK 0x19
#define AF_INET6 0x1a
#define AF_PACKET 0x20
#define PF_UNSPEC AF_UNSPEC
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_UNIX
#define PF_INET AF_INET
#define PF_INET6 AF_INET6
#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2
#define SOMAXCONN 128
#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_DONTROUTE 4
#define MSG_EOR 8
#define MSG_CTRUNC 0x10
#define MSG_TRUNC 0x20
#define MSG_WAITALL 0x40
#define MSG_DONTWAIT 0x80
#define MSG_NOTIFICATION 0x100
#define MSG_NOSIGNAL 0x200
#define MSG_CMSG_CLOEXEC 0x1000
#define MSG_XPG4_2 0x8000
struct sockaddr { sa_family_t sa_family; char sa_data[14]; };
struct sockaddr_storage { sa_family_t ss_family; char __pad1[6]; double __align; char __pad2[240]; };
struct linger { int l_onoff, l_linger; };
struct msghdr {
    void *msg_name;
    socklen_t msg_namelen;
    struct iovec *msg_iov;
    int msg_iovlen;
    void *msg_control;
    socklen_t msg_controllen;
    int msg_flags;
};
struct cmsghdr { socklen_t cmsg_len; int cmsg_level, cmsg_type; };
#define _CMSG_ALIGN(x) (((size_t)(x) + 3) & ~(size_t)3)
#define CMSG_DATA(c) ((unsigned char *)_CMSG_ALIGN((uintptr_t)((struct cmsghdr *)(c) + 1)))
#define CMSG_FIRSTHDR(m) \
    ((m)->msg_controllen < sizeof(struct cmsghdr) ? (struct cmsghdr *)0 : (struct cmsghdr *)(m)->msg_control)
#define CMSG_NXTHDR(m, c) \
    ((c) == 0 ? CMSG_FIRSTHDR(m) \
     : ((uintptr_t)(c) + _CMSG_ALIGN(((struct cmsghdr *)(c))->cmsg_len) + sizeof(struct cmsghdr) > \
        (uintptr_t)(m)->msg_control + (m)->msg_controllen) ? (struct cmsghdr *)0 \
     : (struct cmsghdr *)((uintptr_t)(c) + _CMSG_ALIGN(((struct cmsghdr *)(c))->cmsg_len)))
#define CMSG_SPACE(l) ((unsigned int)_CMSG_ALIGN(sizeof(struct cmsghdr) + (l)))
#define CMSG_LEN(l) ((unsigned int)(sizeof(struct cmsghdr) + (l)))
int __xnet_socket(int, int, int);
int __xnet_socketpair(int, int, int, int[2]);
int __xnet_bind(int, const struct sockaddr *, socklen_t);
int __xnet_listen(int, int);
int __xnet_connect(int, const struct sockaddr *, socklen_t);
int __xnet_getsockopt(int, int, int, void *, socklen_t *);
ssize_t __xnet_recvmsg(int, struct msghdr *, int);
ssize_t __xnet_sendmsg(int, const struct msghdr *, int);
ssize_t __xnet_sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
int socket(int, int, int);
int socketpair(int, int, int, int[2]);
int bind(int, const struct sockaddr *, socklen_t);
int listen(int, int);
int accept(int, struct sockaddr *, socklen_t *);
int accept4(int, struct sockaddr *, socklen_t *, int);
int connect(int, const struct sockaddr *, socklen_t);
int shutdown(int, int);
ssize_t recv(int, void *, size_t, int);
ssize_t recvfrom(int, void *, size_t, int, struct sockaddr *, socklen_t *);
ssize_t send(int, const void *, size_t, int);
ssize_t sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
int getsockopt(int, int, int, void *, socklen_t *);
int setsockopt(int, int, int, const void *, socklen_t);
int getsockname(int, struct sockaddr *, socklen_t *);
int getpeername(int, struct sockaddr *, socklen_t *);
int sockatmark(int);
/* Programs built with these headers use the X/Open form of struct msghdr, as -D_XPG4_2 does on Solaris. */
#define recvmsg __xnet_recvmsg
#define sendmsg __xnet_sendmsg
#endif
