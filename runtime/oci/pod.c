/*
 * Containers of a pod join the IPC namespace of its first container, whose sysctls the engine asked for there. Each of ours has a
 * kernel of its own: it is told of them, so that it shows and does what the namespace's members expect.
 */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_in(const struct oci_state *s, const struct stat *ns)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d/ns/ipc", s->pid);
    return state_alive(s) && !stat(path, &st) && st.st_dev == ns->st_dev && st.st_ino == ns->st_ino;
}

/* True: that was the one. */
static bool take_from(const char *id, const struct stat *ns, struct plan_writer *w)
{
    struct oci_state s;
    struct oci_config c;
    int dirfd;

    if (!oci_id_valid(id) || state_load(id, &s)) return false;
    bool found = is_in(&s, ns);
    state_free(&s);
    if (!found || state_dir_open(id, &dirfd)) return false;
    found = !config_load(&c, dirfd, "config.json") && !c.ns[NS_IPC].path; /* else it has joined as well: we ourselves, for one */
    for (unsigned i = 0; found && i < c.nsysctl; i++)
        if (config_sysctl_of_ipc(c.sysctl[i].key))
            plan_add2(w, PLAN_SYSCTL, NULL, 0, (const char *[]){ c.sysctl[i].key, c.sysctl[i].value }, 2);
    config_free(&c);
    close(dirfd);
    return found;
}

void oci_pod_sysctls(struct plan_writer *w, const struct oci_config *cfg)
{
    struct stat ns;
    struct dirent *e;

    if (!cfg->ns[NS_IPC].present || !cfg->ns[NS_IPC].path || stat(cfg->ns[NS_IPC].path, &ns)) return;
    DIR *d = opendir(oci.root);
    bool found = false;
    while (d && !found && (e = readdir(d))) found = take_from(e->d_name, &ns, w);
    if (d) closedir(d);
    oci_error_clear();
}
