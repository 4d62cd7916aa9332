#ifndef _SYS_TERMIOS_H
#define _SYS_TERMIOS_H
#define TCGETA 0x5401
#define TCSETA 0x5402
#define TCSBRK 0x5405
#define TCXONC 0x5406
#define TCFLSH 0x5407
#define TCGETS 0x540d
#define TCSETS 0x540e
#define TCSETSW 0x540f
#define TCSETSF 0x5410
#define TIOCGWINSZ 0x5468
#define TIOCSWINSZ 0x5467
#define TIOCGPGRP 0x7414
#define TIOCSPGRP 0x7415
#define TIOCGSID 0x7416
#define TIOCSCTTY 0x7484
#define TIOCNOTTY 0x7471
#define TIOCOUTQ 0x7473
#define TIOCEXCL 0x740d
#define TIOCNXCL 0x740e
struct winsize { unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel; };
#endif
