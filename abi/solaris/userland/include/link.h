#ifndef _LINK_H
#define _LINK_H
#include <sys/types.h>
#include <dlfcn.h>
#include <elf.h>
typedef struct link_map Link_map;
struct link_map {
    unsigned long l_addr;
    char *l_name;
    Elf64_Dyn *l_ld;
    Link_map *l_next, *l_prev;
    char *l_refname;
};
struct dl_phdr_info {
    Elf64_Addr dlpi_addr;
    const char *dlpi_name;
    const Elf64_Phdr *dlpi_phdr;
    Elf64_Half dlpi_phnum;
    unsigned long long dlpi_adds, dlpi_subs;
    size_t dlpi_tls_modid;
    void *dlpi_tls_data;
};
int dl_iterate_phdr(int (*)(struct dl_phdr_info *, size_t, void *), void *);
struct r_debug {
    int r_version;
    Link_map *r_map;
    unsigned long r_brk;
    enum { RT_CONSISTENT, RT_ADD, RT_DELETE } r_state;
    unsigned long r_ldbase;
};
#endif
