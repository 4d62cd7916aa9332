/* What init.c, init_program.c, init_container.c and init_exec.c share. Nobody else includes this. */
#ifndef SUNDOG_KERNEL_INIT_INTERNAL_H
#define SUNDOG_KERNEL_INIT_INTERNAL_H

#include "sentry/base/plan.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

#define SANDBOX_FAILED 125
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127

struct init {
    const u8 *plan; size_t len;
    struct gofer_client *gofer;
    struct plan_cred cred; const u8 *groups;
    char **argv, **envp; int argc, envc;
    char *home;                        /* owned: HOME=..., looked up */
    const char *cwd, *abi;
    bool container;                    /* PLAN_OPT_CONTAINER */
    /* exec: descriptors that came along (host_fd is an index; -1 once taken), and where a failure goes */
    int *fds; unsigned nfds;
    char *why; size_t why_size; int status;
};

/* Calls fn on every record of one kind until it returns nonzero; that value, or 0. */
int init_each(struct init *in, enum plan_kind kind, int (*fn)(struct init *, const u8 *data, u32 len));
/* Why it cannot be done: to sundog, or into in->why. */
void init_failed(struct init *in, int status, const char *fmt, ...) PRINTF(3, 4);
int init_malformed(struct init *in, const char *what);              /* -EINVAL */
const char *init_err_text(int err);
int init_take_program(struct init *in);  /* arguments, environment, working directory, credentials, ABI: read only */
int init_set_names(struct init *in);
int init_set_process(struct init *in);   /* limits, descriptors, console */
void init_set_cred(struct init *in);
int init_chdir(struct init *in);
int init_load_program(struct init *in);
void init_fini(struct init *in);

/* Containers: nodes, links, masks, sysctls, after the mounts. */
int init_container(struct init *in);
int init_copy_up(struct init *in, const char *at, const struct path *below);   /* what lay at `at` into the tmpfs there */
int init_container_process(struct init *in);                           /* scheduling, personality; before the credentials */
int init_seccomp(struct init *in);                                     /* last, before the image is loaded */

#endif
