/* A process that comes in from outside, beside the first one: `exec` of a container engine. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/init.h"
#include "sentry/kernel/init_internal.h"
#include "sentry/vfs/file.h"

#include <stdio.h>
#include <string.h>

struct task *init_exec(const u8 *plan, size_t len, int *fds, unsigned nfds, int *status, char *why, size_t why_size)
{
    static int none[1];
    struct init in = { .plan = plan, .len = len, .container = true, .fds = fds ? fds : none, .nfds = nfds, .why = why, .why_size = why_size };
    struct task *t = NULL, *first = tgroup_leader_get(kernel.init);
    struct fs_context *fs = first ? task_get_fs(first) : NULL;
    why[0] = 0;
    *status = SANDBOX_FAILED;
    if (!fs) {
        snprintf(why, why_size, "the container's first process has ended");
    } else if (!init_take_program(&in)) {
        struct fs_context *own = fs_context_copy(fs);
        own->umask = in.cred.umask & 0777;
        t = current = task_new_process(NULL, own, fdtable_new(), cred_new(0, 0, ~0ULL));
        if (!t) snprintf(why, why_size, "the first process is ending, or the host refuses memory");
    }
    if (t) {
        struct path root;
        fs_get_root(current->fs, &root);
        bool ok = !fs_set_cwd(&root) && !init_set_process(&in) && !init_container_process(&in) && !init_chdir(&in);
        path_put(&root);
        if (ok) {
            init_set_cred(&in);
            ok = !init_seccomp(&in) && !init_load_program(&in);
        }
        if (!ok) {
            task_discard(t);
            t = NULL;
        }
        current = NULL;
    }
    if (!t) *status = in.status ? in.status : SANDBOX_FAILED;
    if (fs) fs_context_put(fs);
    if (first) task_put(first);
    init_fini(&in);
    return t;
}
