#ifndef _SYS_SENDFILE_H
#define _SYS_SENDFILE_H
#include <sys/types.h>
#define SFV_FD_SELF (-2)
typedef struct sendfilevec { int sfv_fd; unsigned int sfv_flag; off_t sfv_off; size_t sfv_len; } sendfilevec_t;
ssize_t sendfile(int, int, off_t *, size_t);
ssize_t sendfilev(int, const struct sendfilevec *, int, size_t *);
#endif
