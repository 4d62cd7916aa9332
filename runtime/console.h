/* The caller's terminal: raw while the sandbox owns it, restored on every way out. */
#ifndef SUNDOG_RUNTIME_CONSOLE_H
#define SUNDOG_RUNTIME_CONSOLE_H

#include "sentry/base/types.h"

struct console { int fd; u16 rows, cols; u32 guest_mask; };

/* Is stdin a terminal? Then which of 0..2 are that same terminal, and its size. fd is -1 when not. */
void console_detect(struct console *c);
/* Raw mode; remembered, and undone by console_restore (also at exit and on a crash of sundog). */
int console_raw(const struct console *c);
void console_restore(void);
bool console_size(const struct console *c, u16 size[4]);   /* rows cols xpixel ypixel */

#endif
