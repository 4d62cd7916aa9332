#ifndef _NET_IF_H
#define _NET_IF_H
#include <sys/socket.h>
#define IF_NAMESIZE 32
#define IFNAMSIZ 16
#define LIFNAMSIZ 32
struct if_nameindex { unsigned int if_index; char *if_name; };
unsigned int if_nametoindex(const char *);
char *if_indextoname(unsigned int, char *);
struct ifreq { char ifr_name[IFNAMSIZ]; union { struct sockaddr ifru_addr; int ifru_flags; } ifr_ifru; };
struct lifnum { sa_family_t lifn_family; int lifn_flags, lifn_count; };
struct lifconf { sa_family_t lifc_family; int lifc_flags, lifc_len; char *lifc_buf; };
struct lifreq {
    char lifr_name[LIFNAMSIZ];
    int lifr_addrlen, lifr_type;
    union { struct sockaddr_storage lifru_addr; uint64_t lifru_flags; int lifru_index; char __pad[336]; } lifr_lifru;
};
#define lifr_addr lifr_lifru.lifru_addr
#define lifr_flags lifr_lifru.lifru_flags
#define lifr_index lifr_lifru.lifru_index
#endif
