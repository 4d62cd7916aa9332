#include "runtime/cpu_share.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERIOD 100000u           /* us; the kernel's default */

static bool put(const char *dir, const char *file, const char *text)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

static bool lists_cpu(const char *dir, const char *file)
{
    char text[1024] = "";
    AUTO_FREE char *path = xasprintf("%s/%s", dir, file);
    FILE *f = fopen(path, "re");
    if (f && !fgets(text, sizeof(text), f)) *text = 0;
    if (f) fclose(f);
    for (char *save, *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
        if (!strcmp(w, "cpu")) return true;
    return false;
}

/* This process's group by /proc/self/cgroup: of the version-1 controller cpu, else of version 2. *v1 says which. malloc'ed or NULL */
static char *own_group(bool *v1)
{
    static const char *const places[] = { "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu" };
    char line[PATH_MAX + 256], *found = NULL;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        char *list = strchr(line, ':'), *path = list ? strchr(++list, ':') : NULL;
        if (!path || strstr(path, "/..")) continue;
        *path++ = 0;
        if (!*list && !found) { /* version 2: the last line */
            found = xasprintf("/sys/fs/cgroup%s", strcmp(path, "/") ? path : "");
            *v1 = false;
            continue;
        }
        bool cpu = false;
        for (char *save, *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save)) cpu |= !strcmp(w, "cpu");
        for (size_t i = 0; cpu && i < ARRAY_LEN(places); i++) {
            if (access(places[i], F_OK)) continue;
            free(found);
            found = xasprintf("%s%s", places[i], strcmp(path, "/") ? path : "");
            *v1 = true;
            fclose(f);
            return found;
        }
    }
    if (f) fclose(f);
    return found;
}

/* Where a group beside or below ours has the controller: version 2 gives it to a group whose parent hands it down. */
static char *parent_for(const char *own, bool v1)
{
    if (v1 || lists_cpu(own, "cgroup.subtree_control")) return xstrdup(own);
    AUTO_FREE char *up = xstrdup(own);
    char *slash = strrchr(up, '/');
    if (!strcmp(own, "/sys/fs/cgroup") || !slash) return NULL;
    *slash = 0;
    return lists_cpu(up, "cgroup.subtree_control") ? xstrdup(up) : NULL;
}

bool cpu_share_enter(struct cpu_share *s, u64 percent)
{
    bool v1 = false;
    *s = (struct cpu_share){ 0 };
    char *own = own_group(&v1);
    AUTO_FREE char *parent = own ? parent_for(own, v1) : NULL;
    char *dir = parent ? xasprintf("%s/sundog-%d", parent, getpid()) : NULL;
    if (dir && !mkdir(dir, 0755)) {
        AUTO_FREE char *quota = v1 ? xasprintf("%llu", (unsigned long long)percent * PERIOD / 100) :
                                     xasprintf("%llu %u", (unsigned long long)percent * PERIOD / 100, PERIOD);
        AUTO_FREE char *period = xasprintf("%u", PERIOD);
        if ((!v1 || put(dir, "cpu.cfs_period_us", period)) && put(dir, v1 ? "cpu.cfs_quota_us" : "cpu.max", quota) && put(dir, "cgroup.procs", "0")) {
            s->group = dir;
            s->before = own;
            return true;
        }
        rmdir(dir);
    }
    free(dir);
    free(own);
    return false;
}

void cpu_share_back(struct cpu_share *s)
{
    if (s->before) put(s->before, "cgroup.procs", "0"); /* if not, this process shares the quota; it mostly sleeps */
}

void cpu_share_end(struct cpu_share *s)
{
    for (int i = 0; s->group && rmdir(s->group) && errno == EBUSY && i < 100; i++) usleep(10000); /* the ended are accounted a moment longer */
    free(s->group);
    free(s->before);
    *s = (struct cpu_share){ 0 };
}
