/* /proc/keys, /proc/key-users: proc(5). */
#include "sentry/keys/internal.h"
#include <stdio.h>

static void show_expiry(const struct key *k, char *buf, size_t size)
{
    static const struct { u64 seconds; char unit; } units[] = { { 60, 's' }, { 3600, 'm' }, { 86400, 'h' }, { 604800, 'd' }, { UINT64_MAX, 'w' } };
    s64 now = key_now();
    u64 left = (u64)(k->expiry - now), per = 1;

    if (k->expiry == KEY_NO_EXPIRY) {
        snprintf(buf, size, "perm");
        return;
    }
    if (now >= k->expiry) {
        snprintf(buf, size, "expd");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); per = units[i++].seconds)
        if (left < units[i].seconds) {
            snprintf(buf, size, "%llu%c", (unsigned long long)(left / per), units[i].unit);
            return;
        }
}

static void show_one(const struct key *k, struct strbuf *b)
{
    char expiry[24] = "";
    show_expiry(k, expiry, sizeof expiry);
    strbuf_printf(b, "%08x I%c-%c--%c %5u %4s %08x %5d %5d %-9.9s ", (u32)k->serial, k->revoked ? 'R' : '-', k->in_quota ? 'Q' : '-',
                  k->invalidated ? 'i' : '-', ref_read(&k->refs), expiry, k->perm, (s32)uid_out(k->uid),
                  (s32)gid_out(k->gid), k->type->name);
    strbuf_printf(b, "%s", k->desc);
    if (!key_is_keyring(k)) strbuf_printf(b, k->type == &key_type_big ? ": %zu [buff]\n" : ": %zu\n", k->len);
    else if (k->nlinks) strbuf_printf(b, ": %u\n", k->nlinks);
    else strbuf_printf(b, ": empty\n");
}

static int by_serial(struct key *a, struct key *b) { return a->serial < b->serial ? -1 : a->serial > b->serial; }

void keys_show(struct strbuf *b)
{
    struct key *k;
    lock(&keys_lock);
    HASH_SRT(hh, keys_all, by_serial);
    u64 walk = key_mark_possessed();
    for (k = keys_all; k; k = k->hh.next) {
        if (id_to_ns(current->cred->user_ns, ID_UID, k->uid) == NO_ID) continue;
        if (!key_permission((struct key_ref){ k, k->owned == walk }, NEED_VIEW)) show_one(k, b);
    }
    unlock(&keys_lock);
}

void key_users_show(struct strbuf *b)
{
    struct key_user *u;
    lock(&keys_lock);
    for (u = key_users; u; u = u->hh.next) {
        u32 uid = id_to_ns(current->cred->user_ns, ID_UID, u->uid);
        if (uid == NO_ID) continue;
        strbuf_printf(b, "%5u: %5u %u/%u %u/%u %llu/%u\n", uid, u->nkeys, u->nkeys, u->nkeys, u->qnkeys,
                      atomic_load(u->uid ? &key_settings.maxkeys : &key_settings.root_maxkeys), (unsigned long long)u->qnbytes,
                      atomic_load(u->uid ? &key_settings.maxbytes : &key_settings.root_maxbytes));
    }
    unlock(&keys_lock);
}
