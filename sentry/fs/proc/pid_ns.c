/* /proc/PID/ns, uid_map, gid_map, setgroups. namespaces(7), user_namespaces(7) */
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/fs/proc/proc.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

/* --- ns --- */

static int ns_type_of(const struct synth_node *n, enum ns_type *type)
{
    for (int i = 0; i < NS_NTYPES; i++)
        if (!strcmp(ns_type_name((enum ns_type)i), n->e->name)) {
            *type = (enum ns_type)i;
            return 0;
        }
    return -ENOENT;
}

static int link_ns(struct synth_node *n, struct path *out)
{
    enum ns_type type;
    struct ns *ns;
    struct task *t = synth_task_get(n);
    int r = !t ? -ENOENT : !synth_may_access(t) ? -EACCES : ns_type_of(n, &type);

    if (!r && !task_ns_get(t, type, &ns)) r = -ENOENT;
    if (t) task_put(t);
    if (r) return r;
    r = nsfs_path(type, ns, out);
    ns_put(ns);
    return r;
}
#define NS_LINK(n) { .name = n, .mode = S_IFLNK | 0777, .get_link = link_ns }
const struct synth_entry proc_ns_dir[] = {
    NS_LINK("cgroup"), NS_LINK("ipc"), NS_LINK("mnt"), NS_LINK("net"), NS_LINK("pid"), NS_LINK("user"), NS_LINK("uts"), { 0 },
};

/* --- maps --- */

/* User namespace of the node's task, counted; the initial one has no object. */
static int node_user_ns(struct synth_node *n, struct user_ns **out)
{
    struct task *t = synth_task_get(n);
    struct ns *ns;
    if (!t) return -ESRCH;
    task_ns_get(t, NS_USER, &ns);
    task_put(t);
    *out = ns ? container_of(ns, struct user_ns, ns) : NULL;
    return 0;
}

static void put(struct user_ns *u)
{
    if (u) ns_put(&u->ns);
}

/* A container with id mappings shows them as the initial namespace's; set once, before guest code runs. */
static struct { struct plan_idmap *m; u32 n; } idmaps[2];
void proc_set_idmap(int which, const struct plan_idmap *m, u32 n)
{
    free(idmaps[which].m);
    idmaps[which].m = xzalloc((n + 1) * sizeof(*m));
    memcpy(idmaps[which].m, m, n * sizeof(*m));
    idmaps[which].n = n;
}

static int show_map(struct synth_node *n, struct strbuf *b, enum id_kind k)
{
    struct user_ns *u;
    int r = node_user_ns(n, &u);
    if (r) return r;
    for (u32 i = 0; !u && i < idmaps[k].n; i++)
        strbuf_printf(b, "%10u %10u %10u\n", idmaps[k].m[i].inside, idmaps[k].m[i].outside, idmaps[k].m[i].count);
    if (u || !idmaps[k].n) user_ns_show_map(u, k, current_cred()->user_ns, b);
    put(u);
    return 0;
}

/* Whoever opened the file counts, not who writes to it. */
static int store_map(struct synth_node *n, char *text, enum id_kind k, const struct cred *opener)
{
    struct user_ns *u;
    int r = node_user_ns(n, &u);
    if (r) return r;
    r = user_ns_write_map(u, k, opener, text);
    put(u);
    return r;
}

int proc_show_uid_map(struct synth_node *n, struct strbuf *b) { return show_map(n, b, ID_UID); }
int proc_show_gid_map(struct synth_node *n, struct strbuf *b) { return show_map(n, b, ID_GID); }
int proc_store_uid_map(struct synth_node *n, struct file *f, char *text, size_t len UNUSED) { return store_map(n, text, ID_UID, f->cred); }
int proc_store_gid_map(struct synth_node *n, struct file *f, char *text, size_t len UNUSED) { return store_map(n, text, ID_GID, f->cred); }

int proc_show_setgroups(struct synth_node *n, struct strbuf *b)
{
    struct user_ns *u;
    int r = node_user_ns(n, &u);
    if (r) return r;
    strbuf_printf(b, "%s\n", user_ns_setgroups_allowed(u) ? "allow" : "deny");
    put(u);
    return 0;
}

int proc_store_setgroups(struct synth_node *n, struct file *f, char *text, size_t len)
{
    struct user_ns *u;
    if (len >= 8) return -EINVAL;
    size_t word = strcspn(text, " \t\n");
    bool deny = word == 4 && !memcmp(text, "deny", 4), allow = word == 5 && !memcmp(text, "allow", 5);
    if ((!deny && !allow) || text[word + strspn(text + word, " \t\n")]) return -EINVAL;
    int r = node_user_ns(n, &u);
    if (r) return r;
    r = cred_ns_capable(f->cred, u, CAP_SYS_ADMIN) ? user_ns_deny_setgroups(u, deny) : -EACCES;
    put(u);
    return r;
}
