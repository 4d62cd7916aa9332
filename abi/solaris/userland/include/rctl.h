#ifndef _RCTL_H
#define _RCTL_H
#include <sys/types.h>
typedef struct rctlblk rctlblk_t;
typedef uint64_t rctl_qty_t;
typedef int rctl_priv_t;
#define RCTL_FIRST 0
#define RCTL_NEXT 1
#define RCTL_USAGE 2
int getrctl(const char *, rctlblk_t *, rctlblk_t *, int);
int setrctl(const char *, rctlblk_t *, rctlblk_t *, int);
size_t rctlblk_size(void);
rctl_qty_t rctlblk_get_value(rctlblk_t *);
unsigned int rctlblk_get_local_action(rctlblk_t *, int *);
unsigned int rctlblk_get_local_flags(rctlblk_t *);
unsigned int rctlblk_get_global_flags(rctlblk_t *);
rctl_priv_t rctlblk_get_privilege(rctlblk_t *);
#endif
