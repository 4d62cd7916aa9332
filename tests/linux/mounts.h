/* For tests of mounts: a user namespace with mounts of its own where need be, and lines of mountinfo. */
#ifndef SUNDOG_TESTS_LINUX_MOUNTS_H
#define SUNDOG_TESTS_LINUX_MOUNTS_H

#include "tmpdir.h"
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static inline void put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* Mounts of our own, private all, a fresh tmpfs as the working directory. As root also a user namespace, if asked for. */
static inline void own_mounts_in(bool user)
{
    char text[64];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK(unshare((uid || user ? CLONE_NEWUSER : 0) | CLONE_NEWNS) == 0);
    if (uid || user) {
        put_text("/proc/self/setgroups", "deny");
        snprintf(text, sizeof text, "0 %u 1", uid);
        put_text("/proc/self/uid_map", text);
        snprintf(text, sizeof text, "0 %u 1", gid);
        put_text("/proc/self/gid_map", text);
    }
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("work", tmpdir_path, "tmpfs", 0, "mode=755") == 0 && chdir(tmpdir_path) == 0);
}
static inline void own_mounts(void) { own_mounts_in(false); }

/* The topmost mount at `at` below the working directory, from /proc/self/mountinfo; NULL: none. */
static inline const char *mount_line(const char *at)
{
    static char line[8192];
    char found[8192] = "", want[PATH_MAX + 64], place[PATH_MAX];
    if (*at == '/') snprintf(want, sizeof want, "%s", at);
    else snprintf(want, sizeof want, "%s%s%s", tmpdir_path, *at ? "/" : "", at);
    FILE *f = fopen("/proc/self/mountinfo", "r");
    CHECK(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*s %*s %*s %*s %4095s", place) == 1 && !strcmp(place, want)) memcpy(found, line, sizeof line);
    }
    fclose(f);
    memcpy(line, found, sizeof line);
    return *line ? line : NULL;
}

/* The number behind "tag:" among the optional fields of the mount at `at`; 0: it has no such field. */
static inline unsigned mount_tag(const char *at, const char *tag)
{
    const char *l = mount_line(at);
    char pat[64];
    CHECK(l);
    snprintf(pat, sizeof pat, " %s:", tag);
    const char *p = strstr(l, pat), *end = strstr(l, " - ");
    return p && p < end ? (unsigned)strtoul(p + strlen(pat), NULL, 10) : 0;
}
static inline bool is_unbindable(const char *at)
{
    const char *l = mount_line(at);
    CHECK(l);
    return strstr(l, " unbindable - ");
}
/* The device column, by which mounts of the tests are told apart. */
static inline bool shows(const char *at, const char *source)
{
    const char *l = mount_line(at), *p;
    char type[64], dev[256];
    if (!l) return !source;
    p = strstr(l, " - ");
    CHECK(p && sscanf(p + 3, "%63s %255s", type, dev) == 2);
    return source && !strcmp(dev, source);
}

static inline void dirs(const char *const *names)
{
    for (; *names; names++) CHECK(mkdir(*names, 0755) == 0);
}
#define DIRS(...) dirs((const char *const[]){ __VA_ARGS__, NULL })
static inline void tmpfs_at(const char *source, const char *at) { CHECK(mount(source, at, "tmpfs", 0, "mode=755") == 0); }
static inline void bind_at(const char *from, const char *at, unsigned long more) { CHECK(mount(from, at, NULL, MS_BIND | more, NULL) == 0); }
static inline void make(const char *at, unsigned long kind) { CHECK(mount(NULL, at, NULL, kind, NULL) == 0); }

#endif
