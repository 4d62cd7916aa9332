#ifndef _SYS_FILIO_H
#define _SYS_FILIO_H
#define FIOCLEX 0x20006601
#define FIONCLEX 0x20006602
#define FIONREAD 0x4004667f
#define FIONBIO ((int)0x8004667e)
#define FIOASYNC ((int)0x8004667d)
#define FIOSETOWN ((int)0x8004667c)
#define FIOGETOWN 0x4004667b
#endif
