/* add_key(2), request_key(2), keyctl(2): arguments in and out. Limits on their sizes are those of security/keys/keyctl.c. */
#include "abi/linux/linux.h"
#include "sentry/base/alloc.h"
#include "sentry/keys/keys.h"
#include "sentry/kernel/ns.h"
#include <linux/keyctl.h>
#include <string.h>

#define UPDATE_MAX 4096

/* Types of the kernel's own start with a dot: nobody may name them. */
static int type_in(char type[KEY_TYPE_MAX], gaddr_t p)
{
    ssize_t n = copy_in_str(type, p, KEY_TYPE_MAX);
    if (n < 0) return n == -EFAULT ? -EFAULT : -EINVAL;
    return !n ? -EINVAL : type[0] == '.' ? -EPERM : 0;
}

/* *out: owned by the caller; NULL where there is no string. */
static int desc_in(char **out, gaddr_t p)
{
    *out = NULL;
    if (!p) return 0;
    char *s = xzalloc(KEY_DESC_MAX);
    ssize_t n = copy_in_str(s, p, KEY_DESC_MAX);
    if (n >= 0) {
        *out = s;
        return 0;
    }
    free(s);
    return n == -EFAULT ? -EFAULT : -EINVAL;
}

static int payload_in(void **out, gaddr_t p, size_t len)
{
    *out = NULL;
    if (!len) return 0;
    void *d = try_zalloc(1, len);
    if (!d) return -ENOMEM;
    if (copy_in(d, p, len)) {
        key_free_copy(d, len);
        return -EFAULT;
    }
    *out = d;
    return 0;
}

sysret_t linux_add_key(const struct syscall_args *a)
{
    char type[KEY_TYPE_MAX];
    AUTO_FREE char *desc = NULL;
    size_t len = a->a[3];
    void *payload;

    if (len > KEY_PAYLOAD_MAX) return -EINVAL;
    int r = type_in(type, a->a[0]);
    if (!r) r = desc_in(&desc, a->a[1]);
    if (r) return r;
    if (desc && desc[0] == '.' && !strncmp(type, "keyring", 7)) return -EPERM;
    if ((r = payload_in(&payload, a->a[2], len))) return r;
    sysret_t k = key_add(type, desc && *desc ? desc : NULL, payload, len, ARG_INT(4));
    key_free_copy(payload, len);
    return k;
}

sysret_t linux_request_key(const struct syscall_args *a)
{
    char type[KEY_TYPE_MAX];
    AUTO_FREE char *desc = NULL, *info = NULL;
    int r = type_in(type, a->a[0]);

    if (!r) r = a->a[1] ? desc_in(&desc, a->a[1]) : -EFAULT;
    if (!r) r = desc_in(&info, a->a[2]);   /* for whoever would make the key: checked, and not used */
    return r ? r : key_request(type, desc, info != NULL, ARG_INT(3));
}

static sysret_t join(gaddr_t name)
{
    AUTO_FREE char *s = NULL;
    int r = desc_in(&s, name);
    if (r) return r;
    return s && s[0] == '.' ? -EPERM : key_join_session(s);
}

static sysret_t update(s32 id, gaddr_t p, size_t len)
{
    void *payload;
    if (len > UPDATE_MAX) return -EINVAL;
    int r = payload_in(&payload, p, p ? len : 0);
    if (r) return r;
    sysret_t k = key_update(id, payload, p ? len : 0);
    key_free_copy(payload, len);
    return k;
}

static sysret_t describe(s32 id, gaddr_t p, size_t size)
{
    AUTO_FREE char *text = NULL;
    sysret_t n = key_describe(id, &text);
    if (n > 0 && p && size >= (size_t)n && copy_out(p, text, (size_t)n)) return -EFAULT;
    return n;
}

static sysret_t read_key(s32 id, gaddr_t p, size_t size)
{
    void *data;
    sysret_t n = key_read(id, &data), r = n;
    /* Nothing is stored where not all of it fits. */
    if (n > 0 && p && size >= (size_t)n && copy_out(p, data, (size_t)n)) r = -EFAULT;
    key_free_copy(data, n > 0 ? (size_t)n : 0);
    return r;
}

static sysret_t search_key(s32 ring, gaddr_t type_at, gaddr_t desc_at, s32 dest)
{
    char type[KEY_TYPE_MAX];
    AUTO_FREE char *desc = NULL;
    int r = type_in(type, type_at);
    if (!r) r = desc_at ? desc_in(&desc, desc_at) : -EFAULT;
    return r ? r : key_search(ring, type, desc, dest);
}

static sysret_t restrict_ring(s32 ring, gaddr_t type_at, gaddr_t restriction)
{
    char type[KEY_TYPE_MAX];
    AUTO_FREE char *how = NULL;
    if (!type_at) return restriction ? -EINVAL : key_restrict(ring, NULL);
    int r = type_in(type, type_at);
    if (!r) r = desc_in(&how, restriction);
    return r ? r : key_restrict(ring, type);
}

static sysret_t chown_key(s32 id, u32 uid, u32 gid)
{
    u32 u = uid == NO_ID ? NO_ID : uid_in(uid), g = gid == NO_ID ? NO_ID : gid_in(gid);
    if ((uid != NO_ID && u == NO_ID) || (gid != NO_ID && g == NO_ID)) return -EINVAL;
    return key_chown(id, u, g);
}

static sysret_t security_label(s32 id, gaddr_t p, size_t size)
{
    sysret_t r = key_check_view(id);
    if (!r && p && size && copy_out(p, "", 1)) return -EFAULT;
    return r ? r : 1;              /* no labels: the empty string */
}

static sysret_t persistent(u32 uid, s32 dest)
{
    u32 u = uid == NO_ID ? current_cred()->uid : uid_in(uid);
    return u == NO_ID ? -EINVAL : key_get_persistent(u, dest);
}

static sysret_t capabilities(gaddr_t p, size_t size)
{
    static const u8 have[] = { KEYCTL_CAPS0_CAPABILITIES | KEYCTL_CAPS0_PERSISTENT_KEYRINGS | KEYCTL_CAPS0_BIG_KEY | KEYCTL_CAPS0_INVALIDATE |
        KEYCTL_CAPS0_RESTRICT_KEYRING | KEYCTL_CAPS0_MOVE, KEYCTL_CAPS1_NS_KEYRING_NAME };
    size_t n = MIN(size, sizeof have);
    if (copy_out(p, have, n) || (size > n && zero_out(p + n, size - n))) return -EFAULT;
    return sizeof have;
}

sysret_t linux_keyctl(const struct syscall_args *a)
{
    s32 id = ARG_INT(1), second = ARG_INT(2);

    switch (ARG_INT(0)) {
    case KEYCTL_GET_KEYRING_ID: return key_get_id(id, second != 0);
    case KEYCTL_JOIN_SESSION_KEYRING: return join(a->a[1]);
    case KEYCTL_UPDATE: return update(id, a->a[2], a->a[3]);
    case KEYCTL_REVOKE: return key_revoke(id);
    case KEYCTL_CHOWN: return chown_key(id, ARG_U32(2), ARG_U32(3));
    case KEYCTL_SETPERM: return key_setperm(id, ARG_U32(2));
    case KEYCTL_DESCRIBE: return describe(id, a->a[2], a->a[3]);
    case KEYCTL_CLEAR: return key_clear(id);
    case KEYCTL_LINK: return key_link(id, second);
    case KEYCTL_UNLINK: return key_unlink(id, second);
    case KEYCTL_SEARCH: return search_key(id, a->a[2], a->a[3], (s32)a->a[4]);
    case KEYCTL_READ: return read_key(id, a->a[2], a->a[3]);
    /* Only whoever was asked to make a key may say what is in it. */
    case KEYCTL_INSTANTIATE:
    case KEYCTL_NEGATE:
    case KEYCTL_REJECT:
    case KEYCTL_INSTANTIATE_IOV: return -EPERM;
    case KEYCTL_SET_REQKEY_KEYRING: return key_set_request_default(id);
    case KEYCTL_SET_TIMEOUT: return key_set_timeout(id, ARG_U32(2));
    case KEYCTL_ASSUME_AUTHORITY: return id < 0 ? -EINVAL : id ? -ENOKEY : 0;
    case KEYCTL_GET_SECURITY: return security_label(id, a->a[2], a->a[3]);
    case KEYCTL_SESSION_TO_PARENT: return key_session_to_parent();
    case KEYCTL_INVALIDATE: return key_invalidate(id);
    case KEYCTL_GET_PERSISTENT: return persistent(ARG_U32(1), second);
    case KEYCTL_RESTRICT_KEYRING: return restrict_ring(id, a->a[2], a->a[3]);
    case KEYCTL_MOVE: return ARG_U32(4) & ~(u32)KEYCTL_MOVE_EXCL ? -EINVAL : key_move(id, second, ARG_INT(3), ARG_U32(4));
    case KEYCTL_CAPABILITIES: return capabilities(a->a[1], a->a[2]);
    default: return -EOPNOTSUPP;
    }
}
