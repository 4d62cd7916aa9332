/* The mounts section: options as in mount(8), sorted into flags, what the runtime does itself, and data. */
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"
#include "sentry/base/plan.h"
#include "sentry/vfs/mount_flags.h"

#include <ctype.h>
#include <string.h>

static const struct mount_option { const char *name; u32 set, clear, how; } known[] = {
    { "defaults", 0, 0, 0 }, { "ro", MNT_RDONLY, 0, 0 }, { "rw", 0, MNT_RDONLY, 0 }, { "nosuid", MNT_NOSUID, 0, 0 }, { "suid", 0, MNT_NOSUID, 0 },
    { "nodev", MNT_NODEV, 0, 0 }, { "dev", 0, MNT_NODEV, 0 }, { "noexec", MNT_NOEXEC, 0, 0 }, { "exec", 0, MNT_NOEXEC, 0 },
    { "noatime", MNT_NOATIME, MNT_RELATIME, 0 }, { "atime", 0, MNT_NOATIME, 0 }, { "relatime", MNT_RELATIME, MNT_NOATIME, 0 },
    { "norelatime", 0, MNT_RELATIME, 0 }, { "strictatime", 0, MNT_RELATIME | MNT_NOATIME, 0 }, { "nostrictatime", 0, 0, 0 },
    { "diratime", 0, MNT_NODIRATIME, 0 }, { "nodiratime", MNT_NODIRATIME, 0, 0 }, { "lazytime", 0, 0, 0 }, { "nolazytime", 0, 0, 0 },
    /* Writes reach the host's file system as its own caching says. */
    { "sync", 0, 0, 0 }, { "async", 0, 0, 0 }, { "dirsync", 0, 0, 0 }, { "mand", 0, 0, 0 }, { "nomand", 0, 0, 0 },
    { "iversion", 0, 0, 0 }, { "noiversion", 0, 0, 0 }, { "silent", 0, 0, 0 }, { "loud", 0, 0, 0 }, { "acl", 0, 0, 0 }, { "noacl", 0, 0, 0 },
    { "symfollow", 0, MNT_NOSYMFOLLOW, 0 },
    { "nosymfollow", MNT_NOSYMFOLLOW, 0, 0 }, { "rnosymfollow", MNT_NOSYMFOLLOW, 0, 0 },
    { "rro", MNT_RDONLY, 0, 0 }, { "rrw", 0, MNT_RDONLY, 0 }, { "rnosuid", MNT_NOSUID, 0, 0 }, { "rsuid", 0, MNT_NOSUID, 0 },
    { "rnodev", MNT_NODEV, 0, 0 }, { "rdev", 0, MNT_NODEV, 0 }, { "rnoexec", MNT_NOEXEC, 0, 0 }, { "rexec", 0, MNT_NOEXEC, 0 },
    { "rnoatime", MNT_NOATIME, MNT_RELATIME, 0 }, { "ratime", 0, MNT_NOATIME, 0 }, { "rrelatime", MNT_RELATIME, MNT_NOATIME, 0 },
    { "rnorelatime", 0, MNT_RELATIME, 0 }, { "rstrictatime", 0, MNT_RELATIME | MNT_NOATIME, 0 }, { "rnostrictatime", 0, 0, 0 },
    { "rdiratime", 0, MNT_NODIRATIME, 0 }, { "rnodiratime", MNT_NODIRATIME, 0, 0 }, { "rsymfollow", 0, MNT_NOSYMFOLLOW, 0 },
    { "bind", 0, 0, OM_BIND }, { "rbind", 0, 0, OM_BIND | OM_REC }, { "remount", 0, 0, OM_REMOUNT }, { "tmpcopyup", 0, 0, OM_COPYUP },
    { "idmap", 0, 0, OM_IDMAP }, { "ridmap", 0, 0, OM_IDMAP | OM_REC }, { "src-nofollow", 0, 0, OM_SRC_NOFOLLOW },
};
static const char *const refused[] = { "copy-symlink" };

/* Of the mount namespace inside: nothing travels to or from the host. Bits of struct plan_mount's how, 0: no such word. */
u32 propagation_parse(const char *s)
{
    static const struct { const char *name; u32 how; } kinds[] = {
        { "shared", PLAN_MOUNT_SHARED }, { "slave", PLAN_MOUNT_SLAVE }, { "private", PLAN_MOUNT_PRIVATE }, { "unbindable", PLAN_MOUNT_UNBINDABLE } };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!strcmp(s, kinds[i].name)) return kinds[i].how;
        if (*s == 'r' && !strcmp(s + 1, kinds[i].name)) return kinds[i].how | PLAN_MOUNT_PROPAGATION_REC;
    }
    return 0;
}

static int data_u64(const struct jn *n, const char *s, bool suffix, int base, u64 *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, base);
    unsigned shift = 0;
    if (suffix && *end) {
        switch (tolower((unsigned char)*end)) {
        case 'k': shift = 10, end++; break;
        case 'm': shift = 20, end++; break;
        case 'g': shift = 30, end++; break;
        case '%': /* of memory: the default of half is kept */
            *out = 0;
            return v > 100 || end[1] ? jn_fail(n, "`%s` is no size", s) : 0;
        }
    }
    if (!isdigit((unsigned char)*s) || *end || errno || v > UINT64_MAX >> (shift + 1)) return jn_fail(n, "`%s` is no number", s);
    *out = (u64)v << shift;
    return 0;
}

static int data_option(struct oci_mount *m, const struct jn *n, const char *s)
{
    u64 v;
    if (!strncmp(s, "size=", 5)) return data_u64(n, s + 5, true, 10, &m->size);
    if (!strncmp(s, "mode=", 5)) {
        if (data_u64(n, s + 5, false, 8, &v)) return -1;
        if (v > 07777) return jn_fail(n, "`%s` is no mode", s);
        m->mode = (u32)v, m->has_mode = true;
        return 0;
    }
    if (!strncmp(s, "uid=", 4)) {
        if (data_u64(n, s + 4, false, 10, &v)) return -1;
        m->uid = (u32)v, m->has_uid = true;
        return 0;
    }
    if (!strncmp(s, "gid=", 4)) {
        if (data_u64(n, s + 4, false, 10, &v)) return -1;
        m->gid = (u32)v, m->has_gid = true;
        return 0;
    }
    char *next = m->data ? xasprintf("%s,%s", m->data, s) : xstrdup(s);
    free(m->data);
    m->data = next;
    return 0;
}

static int option(struct oci_mount *m, const struct jn *n, const char *s)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!strcmp(refused[i], s)) return jn_fail(n, "the mount option %s is not supported", s);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i].name, s)) continue;
        m->flags = (m->flags & ~known[i].clear) | known[i].set;
        m->how |= known[i].how;
        return 0;
    }
    u32 kind = propagation_parse(s);
    if (!kind) return *s ? data_option(m, n, s) : 0;
    m->how = (m->how & ((1u << OM_PROPAGATION_SHIFT) - 1)) | kind << OM_PROPAGATION_SHIFT;
    return 0;
}

int idmaps_parse(struct oci_idmaps *out, const struct jn *obj, const char *key)
{
    struct jn list, e;
    unsigned len;
    if (!jn_get(obj, key, &list)) return 0;
    if (jn_array(&list, &len)) return -1;
    if (len > 340) return jn_fail(&list, "more than 340 mappings");
    out->m = xzalloc((len + 1) * sizeof(*out->m));
    for (unsigned i = 0; i < len; i++) {
        struct oci_idmap *m = &out->m[out->n++];
        bool in = false, outside = false, size = false;
        jn_at(&list, i, &e);
        if (jn_object(&e) || jn_opt_u32(&e, "containerID", &m->inside, &in) || jn_opt_u32(&e, "hostID", &m->outside, &outside) ||
            jn_opt_u32(&e, "size", &m->count, &size))
            return -1;
        if (!in || !outside || !size) return jn_fail(&e, "containerID, hostID and size are wanted");
        if (!m->count || m->inside + m->count < m->inside || m->outside + m->count < m->outside) return jn_fail(&e, "an impossible range of ids");
    }
    return 0;
}

static int one(struct oci_mount *m, const struct jn *n)
{
    struct jn t, e;
    if (jn_object(n)) return -1;
    if (!jn_get(n, "destination", &t)) return jn_fail(n, "destination is missing");
    if (jn_str(&t, &m->dest)) return -1;
    if (!m->dest[0]) return jn_fail(&t, "an empty path");
    if (strlen(m->dest) > 4000) return jn_fail(&t, "a path of more than 4000 characters");
    if (jn_opt_str(n, "type", &m->type) || jn_opt_str(n, "source", &m->source)) return -1;
    m->flags = MNT_RELATIME;
    if (jn_get(n, "options", &t)) {
        unsigned len;
        if (jn_array(&t, &len)) return -1;
        for (unsigned i = 0; i < len; i++) {
            const char *s;
            jn_at(&t, i, &e);
            if (jn_str(&e, &s) || option(m, &e, s)) return -1;
        }
    }
    if (m->type && !strcmp(m->type, "bind") && !(m->how & OM_BIND)) m->how |= OM_BIND | OM_REC;
    if ((m->how & OM_BIND) && (!m->source || !m->source[0])) return jn_fail(n, "a bind mount needs a source");
    if (idmaps_parse(&m->uids, n, "uidMappings") || idmaps_parse(&m->gids, n, "gidMappings")) return -1;
    if (!m->uids.n != !m->gids.n) return jn_fail(n, "uidMappings and gidMappings go together");
    if (m->uids.n) m->how |= OM_IDMAP;
    if ((m->how & OM_IDMAP) && !(m->how & OM_BIND)) return jn_fail(n, "only bind mounts can be id-mapped");
    return 0;
}

int mounts_parse(struct oci_config *c, const struct jn *n)
{
    unsigned len;
    struct jn e;
    if (jn_array(n, &len)) return -1;
    if (len > 4096) return jn_fail(n, "more than 4096 mounts");
    c->mounts = xzalloc((len + 1) * sizeof(*c->mounts));
    for (unsigned i = 0; i < len; i++) {
        jn_at(n, i, &e);
        c->nmounts = i + 1;
        if (one(&c->mounts[i], &e)) return -1;
    }
    return 0;
}
