/* The document's top level, root, hooks; the other sections have files of their own. */
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <ctype.h>
#include <string.h>

const char *const oci_hook_names[HOOK_KINDS] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };

static int hook_parse(struct oci_hook *h, const struct jn *n)
{
    struct jn t;
    if (jn_object(n) || !jn_get(n, "path", &t)) return jn_fail(n, "path is missing");
    if (jn_str(&t, &h->path)) return -1;
    if (h->path[0] != '/') return jn_fail(&t, "an absolute path is wanted, not `%s`", h->path);
    if (jn_opt_strs(n, "args", &h->args, &h->nargs) || jn_opt_strs(n, "env", &h->env, &h->nenv)) return -1;
    if (!jn_get(n, "timeout", &t)) return 0;
    return jn_int(&t, 1, 86400, &h->timeout);
}

static int hooks_parse(struct oci_config *c, const struct jn *n)
{
    if (jn_object(n)) return -1;
    for (int k = 0; k < HOOK_KINDS; k++) {
        struct jn list, e;
        unsigned len;
        if (!jn_get(n, oci_hook_names[k], &list)) continue;
        if (jn_array(&list, &len)) return -1;
        c->hooks[k].h = xzalloc((len + 1) * sizeof(struct oci_hook));
        for (unsigned i = 0; i < len; i++) {
            jn_at(&list, i, &e);
            c->hooks[k].n = i + 1;
            if (hook_parse(&c->hooks[k].h[i], &e)) return -1;
        }
    }
    return 0;
}

static int root_parse(struct oci_config *c, const struct jn *n)
{
    struct jn p;
    if (jn_object(n)) return -1;
    if (!jn_get(n, "path", &p)) return jn_fail(n, "path is missing");
    if (jn_str(&p, &c->root.path)) return -1;
    if (!c->root.path[0]) return jn_fail(&p, "an empty path");
    return jn_opt_bool(n, "readonly", &c->root.readonly);
}

static int annotations_parse(struct oci_config *c, const struct jn *n)
{
    if (jn_object(n)) return -1;
    json_object_object_foreach(n->o, key, val)
    {
        struct jn v = { .o = val, .key = key, .up = n };
        const char *s;
        if (!key[0]) return jn_fail(n, "an empty key");
        if (jn_str(&v, &s)) return -1;
    }
    c->annotations = n->o;
    return 0;
}

/* Any 1.x is read: what later minors add is optional. */
static int version_parse(struct oci_config *c, const struct jn *root)
{
    struct jn n;
    if (!jn_get(root, "ociVersion", &n)) return jn_fail(root, "ociVersion is missing");
    if (jn_str(&n, &c->version)) return -1;
    const char *s = c->version;
    unsigned dots = 0;
    for (; isdigit((unsigned char)*s) || (*s == '.' && dots < 2); s++) dots += *s == '.';
    if (dots != 2 || (*s && *s != '-' && *s != '+')) return jn_fail(&n, "`%s` is no semantic version", c->version);
    if (strncmp(c->version, "1.", 2)) return jn_fail(&n, "version %s is not known: 1.x is wanted", c->version);
    return 0;
}

static int name_parse(const struct jn *root, const char *key, const char **out)
{
    struct jn n;
    if (!jn_get(root, key, &n)) return 0;
    if (jn_str(&n, out)) return -1;
    return strlen(*out) > 64 ? jn_fail(&n, "more than 64 characters") : 0;
}

static int check_whole(const struct oci_config *c, const struct jn *root)
{
    struct jn n;
    if (c->hostname && c->hostname[0] && !c->ns[NS_UTS].present) {
        jn_get(root, "hostname", &n);
        return jn_fail(&n, "a host name needs a uts namespace in linux.namespaces");
    }
    if (c->domainname && c->domainname[0] && !c->ns[NS_UTS].present) {
        jn_get(root, "domainname", &n);
        return jn_fail(&n, "a domain name needs a uts namespace in linux.namespaces");
    }
    return 0;
}

int config_parse(struct oci_config *c, json_object *doc)
{
    *c = (struct oci_config){ .doc = doc, .personality = 0 };
    struct jn root = { .o = doc, .key = "config.json" }, n;
    if (jn_object(&root) || version_parse(c, &root)) return -1;
    if (!jn_get(&root, "root", &n)) return jn_fail(&root, "root is missing");
    if (root_parse(c, &n)) return -1;
    if (jn_get(&root, "process", &n)) {
        c->has_process = true;
        if (process_parse(&c->process, &n, true)) return -1;
    }
    if (name_parse(&root, "hostname", &c->hostname) || name_parse(&root, "domainname", &c->domainname)) return -1;
    if (jn_get(&root, "mounts", &n) && mounts_parse(c, &n)) return -1;
    if (jn_get(&root, "hooks", &n) && hooks_parse(c, &n)) return -1;
    if (jn_get(&root, "annotations", &n) && annotations_parse(c, &n)) return -1;
    if (jn_get(&root, "linux", &n) && linux_parse(c, &n)) return -1;
    static const char *const foreign[] = { "windows", "vm", "zos" };
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (jn_get(&root, foreign[i], &n)) return jn_fail(&n, "this is a Linux runtime");
    return check_whole(c, &root);
}

int config_load(struct oci_config *c, int bundle_fd, const char *path)
{
    *c = (struct oci_config){ 0 };
    json_object *doc = json_load(bundle_fd, path, "config.json");
    return doc ? config_parse(c, doc) : -1;
}

const char *config_annotation(const struct oci_config *c, const char *key)
{
    json_object *v;
    return c->annotations && json_object_object_get_ex(c->annotations, key, &v) ? json_object_get_string(v) : NULL;
}

void config_free(struct oci_config *c)
{
    process_free(&c->process);
    resources_free(&c->res);
    for (unsigned i = 0; i < c->nmounts; i++) {
        free(c->mounts[i].data);
        free(c->mounts[i].uids.m);
        free(c->mounts[i].gids.m);
    }
    free(c->mounts);
    for (int k = 0; k < HOOK_KINDS; k++) {
        for (unsigned i = 0; i < c->hooks[k].n; i++) {
            free(c->hooks[k].h[i].args);
            free(c->hooks[k].h[i].env);
        }
        free(c->hooks[k].h);
    }
    free(c->uids.m);
    free(c->gids.m);
    free(c->devices);
    free(c->sysctl);
    free(c->masked);
    free(c->readonly);
    json_object_put(c->doc);
    *c = (struct oci_config){ 0 };
}
