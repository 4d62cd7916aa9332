/* sundog-gofer --plan-fd N --sock-fd M [--sock-fd ...] [--debug]: serves the roots of its plan until the sentry is gone. */
#include "gofer/gofer.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/base/plan.h"
#include "sentry/hostjail/hostjail.h"
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int read_plan(int fd, struct gofer_root *roots, u32 *n)
{
    u8 *buf;
    size_t len;
    int err = plan_read_fd(fd, &buf, &len);
    if (err) return err;
    struct plan_reader rd = { .buf = buf, .len = len };
    struct plan_record rec;
    const u8 *data;
    *n = 0;
    struct plan_path_rule pr;
    const char *text;
    while ((err = plan_next(&rd, &rec, &data)) == 1) {
        if (rec.kind == PLAN_PATH_RULE) {
            if (!gofer_rules) gofer_rules = pathrules_new();
            text = rec.len >= sizeof pr ? plan_string(data, rec.len, sizeof pr, 0) : NULL;
            if (text) memcpy(&pr, data, sizeof pr);
            err = text ? pathrules_add(gofer_rules, text, pr.perms, pr.id) : -EINVAL;
            if (err) break;
        }
        if (rec.kind != PLAN_ROOT) continue;
        struct plan_root r;
        if (rec.len < sizeof r || *n == GOFER_ROOTS_MAX) {
            err = -EINVAL;
            break;
        }
        memcpy(&r, data, sizeof r);
        /* the rules come before the roots */
        text = gofer_rules ? plan_string(data, rec.len, sizeof r, 0) : NULL;
        u32 state = text ? pathrules_walk(gofer_rules, pathrules_start(gofer_rules), text) : 0;
        roots[(*n)++] = (struct gofer_root){ r.fd, r.flags, state };
    }
    free(buf);
    return err;
}

static void NORETURN fail(const char *what, int err)
{
    log_error("%s: %s", what, strerror(-err));
    exit(1);
}

int main(int argc, char **argv)
{
    static struct gofer_root roots[GOFER_ROOTS_MAX];
    struct rpc_server_args args;
    int err = rpc_server_args("sundog-gofer", argc, argv, &args);
    if (err) return err;
    u32 nroots;
    err = read_plan(args.plan_fd, roots, &nroots);
    if (err) fail("plan", err);
    close(args.plan_fd);
    for (u32 i = 0; i < nroots; i++) {
        struct stat st;
        if (fstat(roots[i].fd, &st)) fail("root descriptor", -errno);
        fcntl(roots[i].fd, F_SETFD, FD_CLOEXEC);
    }

    /* Before the view is lost: nodes are reopened through this directory. */
    int proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0) fail("/proc/self/fd", -errno);
    umask(0); /* the sentry applies the guest's */
    if ((err = watch_init())) fail("generation page", err);
    u64 caps = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID;
    static struct hostjail_tree trees[GOFER_ROOTS_MAX];
    for (u32 i = 0; i < nroots; i++) trees[i] = (struct hostjail_tree){ roots[i].fd, !(roots[i].flags & PLAN_ROOT_RO) };
    struct hostjail_opts jail = { .name = "sundog-gofer", .keep_caps = caps, .empty_root = true,
                                  .trees = trees, .ntrees = nroots, .trap = args.debug };
    if ((err = hostjail_enter(&jail))) fail("cannot isolate itself", err);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    u32 max_nodes = rl.rlim_cur > 1024 ? (u32)MIN(rl.rlim_cur, (rlim_t)1 << 20) - 256 : (u32)rl.rlim_cur / 2;
    /* the jail changed the working directory; gofer_init makes proc_fd the one */
    if ((err = gofer_init(roots, nroots, proc_fd, max_nodes))) fail("start", err);
    if ((err = hostjail_load_filter(&jail))) fail("seccomp filter", err);
    watch_start(WATCH_UNWATCHED);
    if ((err = gofer_serve(args.socks, args.nsocks))) fail("serve", err);
    return 0;
}
