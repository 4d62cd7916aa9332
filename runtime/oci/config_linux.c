/* The linux section, without its resources. */
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

const char *const oci_ns_names[NS_KINDS] = { "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time" };

static int namespaces_parse(struct oci_config *c, const struct jn *n)
{
    unsigned len;
    struct jn e, t;
    if (jn_array(n, &len)) return -1;
    for (unsigned i = 0; i < len; i++) {
        const char *type, *path = NULL;
        jn_at(n, i, &e);
        if (jn_object(&e)) return -1;
        if (!jn_get(&e, "type", &t)) return jn_fail(&e, "type is missing");
        if (jn_str(&t, &type)) return -1;
        int k = 0;
        while (k < NS_KINDS && strcmp(oci_ns_names[k], type)) k++;
        if (k == NS_KINDS) return jn_fail(&t, "`%s` is no namespace", type);
        if (c->ns[k].present) return jn_fail(&t, "the namespace %s is there twice", type);
        c->ns[k].present = true;
        if (jn_opt_str(&e, "path", &path)) return -1;
        if (!path || !path[0]) continue;
        jn_get(&e, "path", &t);
        if (path[0] != '/') return jn_fail(&t, "an absolute path is wanted, not `%s`", path);
        c->ns[k].path = path;
    }
    return 0;
}

static int devices_parse(struct oci_config *c, const struct jn *n)
{
    unsigned len;
    struct jn e, t;
    if (jn_array(n, &len)) return -1;
    c->devices = xzalloc((len + 1) * sizeof(*c->devices));
    for (unsigned i = 0; i < len; i++) {
        struct oci_device *d = &c->devices[c->ndevices++];
        const char *type;
        s64 major = 0, minor = 0;
        d->mode = 0666;
        jn_at(n, i, &e);
        if (jn_object(&e)) return -1;
        if (!jn_get(&e, "path", &t)) return jn_fail(&e, "path is missing");
        if (jn_str(&t, &d->path)) return -1;
        if (d->path[0] != '/') return jn_fail(&t, "an absolute path is wanted, not `%s`", d->path);
        if (!jn_get(&e, "type", &t)) return jn_fail(&e, "type is missing");
        if (jn_str(&t, &type)) return -1;
        if (strlen(type) != 1 || !strchr("cbup", type[0])) return jn_fail(&t, "`%s` is no type of device: c, b, u or p is wanted", type);
        if (jn_get(&e, "major", &t) && jn_int(&t, 0, 0xfff, &major)) return -1;
        if (jn_get(&e, "minor", &t) && jn_int(&t, 0, 0xfffff, &minor)) return -1;
        if (jn_opt_u32(&e, "fileMode", &d->mode, NULL) || jn_opt_u32(&e, "uid", &d->uid, NULL) || jn_opt_u32(&e, "gid", &d->gid, NULL)) return -1;
        d->mode &= 07777;
        d->mode |= type[0] == 'b' ? S_IFBLK : type[0] == 'p' ? S_IFIFO : S_IFCHR;
        d->rdev = type[0] == 'p' ? 0 : makedev((unsigned)major, (unsigned)minor);
    }
    return 0;
}

static int pairs_parse(const struct jn *n, struct oci_pair **out, unsigned *count)
{
    if (jn_object(n)) return -1;
    *out = xzalloc(((size_t)json_object_object_length(n->o) + 1) * sizeof(**out));
    json_object_object_foreach(n->o, key, val)
    {
        struct jn v = { .o = val, .key = key, .up = n };
        struct oci_pair *p = &(*out)[(*count)++];
        p->key = key;
        if (jn_str(&v, &p->value)) return -1;
    }
    return 0;
}

/* Which namespace a sysctl of that name (with dots) belongs to; NS_KINDS: none. */
static enum oci_ns sysctl_ns(const char *key)
{
    static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
                                       "kernel.shmmni", "kernel.shm_rmid_forced" };
    for (size_t j = 0; j < ARRAY_LEN(ipc); j++)
        if (!strcmp(key, ipc[j])) return NS_IPC;
    if (!strncmp(key, "fs.mqueue.", 10)) return NS_IPC;
    if (!strncmp(key, "net.", 4)) return NS_NETWORK;
    return !strcmp(key, "kernel.domainname") || !strcmp(key, "kernel.hostname") ? NS_UTS : NS_KINDS;
}

/* The separator may be a slash. */
static char *sysctl_dotted(const char *name)
{
    char *key = xstrdup(name);
    if (!strchr(key, '.'))
        for (char *s = key; *s; s++)
            if (*s == '/') *s = '.';
    return key;
}

bool config_sysctl_of_ipc(const char *name)
{
    AUTO_FREE char *key = sysctl_dotted(name);
    return sysctl_ns(key) == NS_IPC;
}

/* Only what belongs to a namespace of the container's; anything else would be the host's. */
static int sysctl_check(const struct oci_config *c, const struct jn *n)
{
    for (unsigned i = 0; i < c->nsysctl; i++) {
        AUTO_FREE char *key = sysctl_dotted(c->sysctl[i].key);
        struct jn k = { .key = c->sysctl[i].key, .up = n };
        enum oci_ns ns = sysctl_ns(key);
        if (ns == NS_KINDS) return jn_fail(&k, "sysctl \"%s\" is not in a separate kernel namespace", c->sysctl[i].key);
        /* They have fields of their own; two answers to one question are a mistake. As runc and crun. */
        if (!strcmp(key, "kernel.hostname")) return jn_fail(&k, "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field");
        if (!strcmp(key, "kernel.domainname") && c->domainname && strcmp(c->domainname, c->sysctl[i].value))
            return jn_fail(&k, "sysctl \"kernel.domainname\" conflicts with the OCI \"domainname\" field");
        if (!c->ns[ns].present) return jn_fail(&k, "sysctl \"%s\" is not allowed in the hosts %s namespace", c->sysctl[i].key, oci_ns_names[ns]);
    }
    return 0;
}

static int personality_parse(struct oci_config *c, const struct jn *n)
{
    struct jn t, f;
    const char *domain;
    unsigned len = 0;
    if (jn_object(n)) return -1;
    if (!jn_get(n, "domain", &t)) return jn_fail(n, "domain is missing");
    if (jn_str(&t, &domain)) return -1;
    if (!strcmp(domain, "LINUX32")) c->personality = 8;
    else if (strcmp(domain, "LINUX")) return jn_fail(&t, "`%s` is no domain: LINUX or LINUX32 is wanted", domain);
    if (jn_get(n, "flags", &f)) {
        if (jn_array(&f, &len)) return -1;
        if (len) return jn_fail(&f, "no flags are supported");
    }
    return 0;
}

int linux_parse(struct oci_config *c, const struct jn *n)
{
    struct jn t;
    if (jn_object(n)) return -1;
    if (jn_get(n, "namespaces", &t) && namespaces_parse(c, &t)) return -1;
    if (idmaps_parse(&c->uids, n, "uidMappings") || idmaps_parse(&c->gids, n, "gidMappings")) return -1;
    if (c->uids.n && !c->ns[NS_USER].present) {
        jn_get(n, "uidMappings", &t);
        return jn_fail(&t, "id mappings need a user namespace in linux.namespaces");
    }
    if (jn_get(n, "devices", &t) && devices_parse(c, &t)) return -1;
    if (jn_opt_str(n, "cgroupsPath", &c->cgroups_path) || jn_opt_str(n, "mountLabel", &c->mount_label) ||
        jn_opt_str(n, "rootfsPropagation", &c->propagation_name))
        return -1;
    if (c->propagation_name && *c->propagation_name && !(c->propagation = propagation_parse(c->propagation_name))) {
        jn_get(n, "rootfsPropagation", &t);
        return jn_fail(&t, "rootfsPropagation=%s is not supported", c->propagation_name);
    }
    if (jn_get(n, "resources", &t)) {
        c->has_resources = true;
        if (resources_parse(&c->res, &t)) return -1;
    }
    if (jn_get(n, "sysctl", &t) && (pairs_parse(&t, &c->sysctl, &c->nsysctl) || sysctl_check(c, &t))) return -1;
    if (jn_opt_strs(n, "maskedPaths", &c->masked, &c->nmasked) || jn_opt_strs(n, "readonlyPaths", &c->readonly, &c->nreadonly)) return -1;
    for (unsigned i = 0; i < c->nmasked; i++)
        if (c->masked[i][0] != '/') {
            jn_get(n, "maskedPaths", &t);
            return jn_fail(&t, "an absolute path is wanted, not `%s`", c->masked[i]);
        }
    for (unsigned i = 0; i < c->nreadonly; i++)
        if (c->readonly[i][0] != '/') {
            jn_get(n, "readonlyPaths", &t);
            return jn_fail(&t, "an absolute path is wanted, not `%s`", c->readonly[i]);
        }
    if (jn_get(n, "seccomp", &t)) {
        if (jn_object(&t)) return -1;
        c->seccomp = t.o;
    }
    if (jn_get(n, "personality", &t) && personality_parse(c, &t)) return -1;
    static const char *const not_here[] = { "intelRdt", "memoryPolicy", "netDevices" };
    for (size_t i = 0; i < ARRAY_LEN(not_here); i++)
        if (jn_get(n, not_here[i], &t)) {
            if (jn_object(&t)) return -1;
            if (json_object_object_length(t.o)) return jn_fail(&t, "not supported");
        }
    if (jn_get(n, "timeOffsets", &t)) {
        if (jn_object(&t)) return -1;
        if (json_object_object_length(t.o)) return jn_fail(&t, "not supported: the sandbox has a clock of its own that starts with it");
    }
    return 0;
}
