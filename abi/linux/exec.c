/* execve(2), execveat(2): reading the strings and naming the file. The rest is sentry/kernel/exec.c. */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/base/alloc.h"
#include <stdio.h>
#include <string.h>

/* Source: execve(2) "Limits on size of arguments and environment"; MAX_ARG_STRLEN, bprm_stack_limits(). */
#define MAX_STRLEN (32 * GPAGE_SIZE)
#define MIN_TOTAL (128ULL << 10)
#define MAX_TOTAL (6ULL << 20)

struct strings { char **v; int n, cap; };

static void strings_fini(struct strings *s)
{
    for (int i = 0; i < s->n; i++) free(s->v[i]);
    free(s->v);
}

static void strings_add(struct strings *s, char *str)
{
    if (s->n + 1 >= s->cap) s->v = xrealloc(s->v, (size_t)(s->cap = s->cap * 2 + 16) * sizeof(char *));
    s->v[s->n++] = str;
    s->v[s->n] = NULL;
}

/* Reads a NULL-terminated guest array of strings. *room: bytes left for strings and pointers together. */
static int copy_in_strings(struct strings *s, gaddr_t array, u64 *room, char *tmp)
{
    strings_add(s, NULL);
    s->n = 0;
    for (; array; array += 8) {
        gaddr_t p;
        ssize_t len;

        if (copy_in(&p, array, sizeof(p))) return -EFAULT;
        if (!p) break;
        len = copy_in_str(tmp, p, MAX_STRLEN);
        if (len == -ENAMETOOLONG) return -E2BIG;
        if (len < 0) return (int)len;
        if (*room < (u64)len + 1 + 8) return -E2BIG;
        *room -= (u64)len + 1 + 8;
        strings_add(s, xstrndup(tmp, (size_t)len));
    }
    return 0;
}

static sysret_t do_exec(int dirfd, const char *path, gaddr_t argv, gaddr_t envp, int at_flags)
{
    struct strings args = { 0 }, env = { 0 };
    AUTO_FREE char *tmp = xzalloc(MAX_STRLEN);
    AUTO_FREE char *fdname = NULL;
    u64 quarter = current_rlimit(RLIMIT_STACK) / 4, room = quarter > MAX_TOTAL ? MAX_TOTAL : MAX(quarter, MIN_TOTAL);
    struct exec_req req = { 0 };
    u32 walk = (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
    sysret_t r;

    if ((r = vfs_open_exec(dirfd, path, walk, &req.file))) return r;
    if (dirfd != AT_FDCWD && path[0] != '/') {
        fdname = path[0] ? xasprintf("/dev/fd/%d/%s", dirfd, path) : xasprintf("/dev/fd/%d", dirfd);
        req.interp_path = fdname;
        req.fd_cloexec_script = fd_get_cloexec(dirfd) == 1;
    }
    req.filename = fdname ? fdname : (char *)path;
    if ((r = copy_in_strings(&args, argv, &room, tmp)) || (r = copy_in_strings(&env, envp, &room, tmp))) {
        file_put(req.file);
        goto out;
    }
    /* Since Linux 5.18 a program always has an argv[0]. */
    if (!args.n) strings_add(&args, xstrdup(""));
    req.argv = args.v;
    req.argc = args.n;
    req.envp = env.v;
    req.envc = env.n;
    r = task_exec(&req);
out:
    strings_fini(&args);
    strings_fini(&env);
    return r;
}

sysret_t linux_execve(const struct syscall_args *a)
{
    PATH_ARG(path, a->a[0]);
    return do_exec(AT_FDCWD, path, a->a[1], a->a[2], 0);
}

sysret_t linux_execveat(const struct syscall_args *a)
{
    int flags = ARG_INT(4);

    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return -EINVAL;
    PATH_ARG(path, a->a[1]);
    return do_exec(ARG_INT(0), path, a->a[2], a->a[3], flags);
}
