#include "runtime/oci/state.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dirs(const char *path)
{
    AUTO_FREE char *copy = xstrdup(path);
    for (char *s = copy + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            if (mkdir(copy, 0711) && errno != EEXIST) return -errno;
            *s = '/';
        }
    return mkdir(copy, 0711) && errno != EEXIST ? -errno : 0;
}

int state_dir_make(const char *id, int *dirfd)
{
    int r = make_dirs(oci.root);
    if (r) return oci_fail("the state directory %s cannot be made: %s", oci.root, strerror(-r));
    AUTO_FREE char *path = xasprintf("%s/%s", oci.root, id);
    if (mkdir(path, 0711)) {
        if (errno == EEXIST) return oci_fail("container with given ID already exists: %s", id);
        return oci_fail("mkdir %s: %s", path, strerror(errno));
    }
    *dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dirfd < 0) {
        r = errno;
        rmdir(path);
        return oci_fail("open %s: %s", path, strerror(r));
    }
    return 0;
}

int state_dir_open(const char *id, int *dirfd)
{
    AUTO_FREE char *path = xasprintf("%s/%s", oci.root, id);
    *dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dirfd >= 0) return 0;
    return errno == ENOENT ? oci_fail("container \"%s\" does not exist", id) : oci_fail("open %s: %s", path, strerror(errno));
}

void state_dir_remove(const char *id)
{
    AUTO_FREE char *path = xasprintf("%s/%s", oci.root, id);
    DIR *d = opendir(path);
    struct dirent *e;
    if (!d) return;
    while ((e = readdir(d)))
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(path);
}

int file_write_atomic(int dirfd, const char *name, const char *text, size_t len, mode_t mode)
{
    char tmp[NAME_MAX];
    snprintf(tmp, sizeof(tmp), ".%.200s.%d", name, getpid());
    int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    int r = fd < 0 ? -errno : 0;
    for (size_t done = 0; !r && done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) r = n < 0 ? -errno : -EIO;
        else done += (size_t)n;
    }
    if (fd >= 0) close(fd);
    if (!r && renameat(dirfd, tmp, dirfd, name)) r = -errno;
    if (r && fd >= 0) unlinkat(dirfd, tmp, 0);
    return r;
}

static void put_str(json_object *o, const char *key, const char *s)
{
    if (s) json_object_object_add(o, key, json_object_new_string(s));
}

int state_save(int dirfd, const struct oci_state *s)
{
    json_object *o = json_object_new_object(), *list = json_object_new_array();
    put_str(o, "id", s->id);
    put_str(o, "status", s->status);
    put_str(o, "bundle", s->bundle);
    put_str(o, "rootfs", s->rootfs);
    put_str(o, "created", s->created);
    put_str(o, "reason", s->reason);
    put_str(o, "systemdUnit", s->systemd_unit);
    json_object_object_add(o, "pid", json_object_new_int(s->pid));
    json_object_object_add(o, "sentry", json_object_new_int(s->sentry));
    json_object_object_add(o, "gofer", json_object_new_int(s->gofer));
    json_object_object_add(o, "broker", json_object_new_int(s->broker));
    json_object_object_add(o, "start", json_object_new_int64((s64)s->start));
    json_object_object_add(o, "owner", json_object_new_int64(s->owner));
    for (unsigned i = 0; i < s->ncgroups; i++) json_object_array_add(list, json_object_new_string(s->cgroups[i]));
    json_object_object_add(o, "cgroups", list);
    put_str(o, "cgroupV2", s->cgroup_v2);
    put_str(o, "cgroupMemory", s->cgroup_memory);
    put_str(o, "cgroupFreezer", s->cgroup_freezer);
    if (s->annotations) json_object_object_add(o, "annotations", json_object_get(s->annotations));
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    int r = file_write_atomic(dirfd, "state.json", text, strlen(text), 0600);
    json_object_put(o);
    return r;
}

static char *take_str(json_object *o, const char *key)
{
    json_object *v;
    return json_object_object_get_ex(o, key, &v) && v ? xstrdup(json_object_get_string(v)) : NULL;
}

static s64 take_int(json_object *o, const char *key)
{
    json_object *v;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

int state_load(const char *id, struct oci_state *s)
{
    int dirfd;
    *s = (struct oci_state){ 0 };
    if (state_dir_open(id, &dirfd)) return -1;
    json_object *o = json_load(dirfd, "state.json", "state.json"), *list;
    close(dirfd);
    if (!o) {
        /* Between mkdir and the first write, or a create that was killed there. */
        AUTO_FREE char *why = xstrdup(oci_error());
        return oci_fail("container \"%s\" has no state yet (%s): it is being created, or its creation was interrupted; delete --force removes it", id, why);
    }
    s->id = xstrdup(id);
    s->status = take_str(o, "status");
    if (!s->status) s->status = xstrdup("creating");
    s->bundle = take_str(o, "bundle");
    s->rootfs = take_str(o, "rootfs");
    s->created = take_str(o, "created");
    s->reason = take_str(o, "reason");
    s->systemd_unit = take_str(o, "systemdUnit");
    s->cgroup_v2 = take_str(o, "cgroupV2");
    s->cgroup_memory = take_str(o, "cgroupMemory");
    s->cgroup_freezer = take_str(o, "cgroupFreezer");
    s->pid = (pid_t)take_int(o, "pid");
    s->sentry = (pid_t)take_int(o, "sentry");
    s->gofer = (pid_t)take_int(o, "gofer");
    s->broker = (pid_t)take_int(o, "broker");
    s->start = (u64)take_int(o, "start");
    s->owner = (u32)take_int(o, "owner");
    if (json_object_object_get_ex(o, "cgroups", &list) && json_object_is_type(list, json_type_array)) {
        s->ncgroups = (unsigned)json_object_array_length(list);
        s->cgroups = xzalloc((s->ncgroups + 1) * sizeof(*s->cgroups));
        for (unsigned i = 0; i < s->ncgroups; i++) s->cgroups[i] = xstrdup(json_object_get_string(json_object_array_get_idx(list, i)));
    }
    json_object *a;
    if (json_object_object_get_ex(o, "annotations", &a)) s->annotations = json_object_get(a);
    json_object_put(o);
    return 0;
}

void state_free(struct oci_state *s)
{
    char *strs[] = { s->id, s->status, s->bundle, s->rootfs, s->created, s->reason, s->systemd_unit, s->cgroup_v2, s->cgroup_memory, s->cgroup_freezer };
    for (size_t i = 0; i < ARRAY_LEN(strs); i++) free(strs[i]);
    for (unsigned i = 0; i < s->ncgroups; i++) free(s->cgroups[i]);
    free(s->cgroups);
    json_object_put(s->annotations);
    *s = (struct oci_state){ 0 };
}

u64 proc_start_time(pid_t pid, char *letter)
{
    char path[64], buf[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    if (n <= 0) return 0;
    buf[n] = 0;
    char *s = strrchr(buf, ')'); /* the name may hold anything */
    if (!s || !s[1]) return 0;
    s += 2;
    if (letter) *letter = *s;
    for (int field = 3; field < 22 && s; field++) {
        s = strchr(s, ' ');
        if (s) s++;
    }
    return s ? strtoull(s, NULL, 10) : 0;
}

/* A zombie has ended, whoever still has to wait for it. */
bool state_alive(const struct oci_state *s)
{
    char letter = 0;
    u64 start = s->pid > 0 ? proc_start_time(s->pid, &letter) : 0;
    return start && start == s->start && letter != 'Z' && letter != 'X';
}

const char *state_status(const struct oci_state *s) { return state_alive(s) ? s->status : "stopped"; }

json_object *state_json(const struct oci_state *s, const char *status, bool full)
{
    json_object *o = json_object_new_object();
    bool stopped = !strcmp(status, "stopped");
    put_str(o, "ociVersion", OCI_VERSION);
    put_str(o, "id", s->id);
    if (full || !stopped) json_object_object_add(o, "pid", json_object_new_int(stopped ? 0 : s->pid));
    put_str(o, "status", status);
    put_str(o, "bundle", s->bundle);
    if (full) {
        put_str(o, "rootfs", s->rootfs);
        put_str(o, "created", s->created);
        struct passwd *pw = getpwuid(s->owner);
        put_str(o, "owner", pw ? pw->pw_name : "");
        if (stopped && s->reason) put_str(o, "reason", s->reason);
    }
    if (s->annotations) json_object_object_add(o, "annotations", json_object_get(s->annotations));
    return o;
}
