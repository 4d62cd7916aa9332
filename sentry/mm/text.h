/*
 * Patched call sites. A program's `syscall` instructions that are executed often, and whose surroundings are known, are
 * reached by a jump to the platform instead of a trap (platform_ops.as_call_site). The change lives in a copy of the page
 * that only the platform maps: the page table, and so every read by the sentry (files, ptrace, /proc/PID/mem, core), shows the
 * original. Like all the platform has mapped it is a cache: whatever maps the page anew undoes it.
 *
 * Not visible to the program in any way but one: its own loads from its text show the jump. `--no-patch` turns it off.
 *
 * All under mm->lock for writing unless said otherwise; mm->text is set once and stays.
 */
#ifndef SUNDOG_MM_TEXT_H
#define SUNDOG_MM_TEXT_H

#include "platform/platform.h"

struct mm;
struct mm_update;
struct text;

/* System call nr came by a trap, from the instruction before rip. Counts, and patches the site in the end. Takes the lock. */
void mm_text_hit(struct mm *mm, gaddr_t rip, u64 nr);
/*
 * After every event but calls of a context that ran in mm, if mm->text: a thread interrupted inside of a trampoline is sent
 * back to its site. Takes the lock, if it must.
 */
void mm_text_settle(struct mm *mm, struct guest_regs *regs, struct platform_exit *e, u64 gen_at_entry);
/* Undoes all patches and makes no more in this address space (a debugger came). Takes the lock. */
void mm_text_off(struct mm *mm);

/* For the rest of sentry/mm. */
bool text_patched(const struct mm *mm, gaddr_t va);
/* The platform's mapping of [start, end) is replaced or removed by an operation collected just now (u NULL: is gone). */
void text_forget(struct mm *mm, gaddr_t start, gaddr_t end, struct mm_update *u);
/* A VMA came to cover [start, end); mm->text is there. */
void text_covered(struct mm *mm, gaddr_t start, gaddr_t end);
/* Before a flush: gives way to such a VMA; mm->text is there. */
void text_give_way(struct mm *mm);
void text_free(struct mm *mm);   /* last user gone, platform space too */

#endif
