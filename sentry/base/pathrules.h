/*
 * Rules on paths, compiled to an automaton that walks one component at a time. Shared by the sentry (each dentry carries
 * a state), the gofer (each node carries one: a broken sentry is held to the same rules) and the command line (explain).
 *
 * A rule is an absolute pattern and what it grants. A component may be a glob (* ? [...]); it never matches a slash. A
 * rule covers the path and all beneath it; the deepest rule on the way to a path decides, at equal depth the one with
 * more literal components. Where two still tie, only what both grant is granted (the profile compiler refuses such).
 *
 * States are small numbers, made when first reached, never freed, the same for all threads. 0 is no policy at all:
 * everything is granted. When the table is full a step gives the state that grants nothing.
 */
#ifndef SUNDOG_BASE_PATHRULES_H
#define SUNDOG_BASE_PATHRULES_H

#include "sentry/base/types.h"

#define PR_READ 1u
#define PR_WRITE 2u
#define PR_EXEC 4u
#define PR_ALL 7u
#define PR_OVERLAY 8u             /* the writes go to a layer above, never to the host's file */

#define PATHRULES_MAX 16384u      /* rules */
#define PATHRULES_STATES 65536u
#define PATHRULES_ACTIVE 64u      /* patterns followed at the same time */

struct pathrules;
struct pathrules *pathrules_new(void);
void pathrules_free(struct pathrules *p);
/* id: what a verdict names, not 0 (0: no rule at all). -EINVAL malformed pattern, -EEXIST the pattern is there, -E2BIG */
int pathrules_add(struct pathrules *p, const char *pattern, u32 perms, u32 id);
/* After the last add: start is the state of "/". */
u32 pathrules_start(struct pathrules *p);
u32 pathrules_step(struct pathrules *p, u32 state, const char *name, size_t len);
u32 pathrules_walk(struct pathrules *p, u32 state, const char *path);   /* components of a text; "." and "" are skipped */

u32 pathrules_perms(const struct pathrules *p, u32 state);   /* PR_*, 0: denied */
u32 pathrules_rule(const struct pathrules *p, u32 state);
bool pathrules_below(const struct pathrules *p, u32 state);  /* further rules may match beneath */
bool pathrules_passable(const struct pathrules *p, u32 state);   /* granted, or something beneath may be */
/* May an object change its place from one state to the other without gaining or losing rights, now or beneath it? */
bool pathrules_same(const struct pathrules *p, u32 a, u32 b, bool is_dir);
/* 0, or -EINVAL with a reason: not absolute, "..", "**", an empty or overlong component */
int pathrules_pattern_check(const char *pattern, const char **why);
/* Could one path match both patterns (of equal depth)? */
bool pathrules_patterns_meet(const char *a, const char *b);
unsigned pathrules_pattern_depth(const char *pattern, unsigned *literal);

#endif
