/* A flattened profile becomes views, rules and limits of a plan. */
#ifndef SUNDOG_RUNTIME_PROFILE_APPLY_H
#define SUNDOG_RUNTIME_PROFILE_APPLY_H

#include "runtime/profile/profile.h"
#include "sentry/base/connrules.h"
#include "sentry/base/pathrules.h"

struct builder;
struct run_options;

/* Ids of rules are their index in p->rules plus one. */
struct compiled {
    struct pathrules *paths;
    struct connrules *nets;
    struct { const char *path; u32 perms, id; } *list; unsigned nlist;   /* what went into paths; text owned by the profile */
    bool has_path_conflict;
};
/*
 * Resolves symlinks in the paths of file rules (they are changed in place), merges [exec] into them, builds the automata.
 * 0, or an exit status after a message: two paths that turn out to be one, with two verdicts.
 */
int profile_compile(struct profile *p, struct compiled *c);
void compiled_fini(struct compiled *c);
/* A rule of [net]; false: it cannot be parsed (it was, when read). r->name is the caller's to free. */
bool prule_connrule(const struct prule *p, u32 id, struct connrule *r);


int profile_apply(struct builder *b, char *cwd /* PATH_MAX, out */, const char *home);
/* Has the profile rules for what is outside the sandbox? Then it gets the host's network, with those rules. */
bool profile_wants_host_net(const struct profile *p);
int profile_apply_net(struct builder *b);         /* PLAN_NET for mode host, the resolver; after profile_apply */
void profile_apply_limits(struct builder *b);
/* [env] in front of what --env says, which counts more. */
void profile_apply_env(const struct profile *p, struct run_options *o);
u64 profile_cpu_share(const struct profile *p);   /* percent of one CPU; likewise */
u64 profile_memory(const struct profile *p);      /* 0: no limit, or no profile */

#endif
