#ifndef _STROPTS_H
#define _STROPTS_H
#include <sys/types.h>
#define I_PUSH 0x5302
#define I_POP 0x5303
#define I_LOOK 0x5304
#define I_FLUSH 0x5305
#define I_STR 0x5308
#define I_FIND 0x530b
#define I_LIST 0x5315
struct strioctl { int ic_cmd, ic_timout, ic_len; char *ic_dp; };
struct strbuf { int maxlen, len; char *buf; };
int getmsg(int, struct strbuf *, struct strbuf *, int *);
int putmsg(int, const struct strbuf *, const struct strbuf *, int);
int isastream(int);
int ioctl(int, int, ...);
#endif
