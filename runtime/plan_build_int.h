/* What the builders of plans share: the default view and command line (plan_build.c), profiles (profile/apply.c). */
#ifndef SUNDOG_RUNTIME_PLAN_BUILD_INT_H
#define SUNDOG_RUNTIME_PLAN_BUILD_INT_H

#include "runtime/plan_build.h"
#include "sentry/vfs/mount_flags.h"

#define MAX_MOUNTS 512

struct mount_entry { struct plan_mount m; char *at, *source; unsigned depth; };

struct builder {
    struct spawn_plan *p;
    const struct run_options *o;
    struct mount_entry mounts[MAX_MOUNTS]; unsigned nmounts;
    unsigned nroots;
};

struct mount_entry *builder_mount(struct builder *b, enum plan_mount_type type, const char *at, const char *source, u32 flags);
/* A host path handed to the gofer as a root and mounted at `at`. 0, or an exit status after a message. */
int builder_host(struct builder *b, const char *host, const char *at, bool overlay, u32 flags);
u32 builder_layer_root(struct builder *b, int fd);    /* the upper of an overlay; takes the descriptor; index of the root */
void builder_sentry_fd(struct builder *b, int fd);    /* stays open in the sentry; closed here with the plan */
void builder_broker_fd(struct builder *b, int fd);     /* likewise, in the network broker */
void builder_dir(struct builder *b, const char *path, u32 mode);
void builder_symlink(struct builder *b, const char *target, const char *path);
/* /proc, /sys, /dev and what is in it. */
void builder_kernel_mounts(struct builder *b);
/* The empty places of a root of ours: /home, /var/tmp, the user's home, a private /tmp. */
void builder_empty_places(struct builder *b, const char *home);

#endif
