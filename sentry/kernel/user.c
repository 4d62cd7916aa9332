/* Counts per real user id: tasks (RLIMIT_NPROC) and queued signals (RLIMIT_SIGPENDING). An entry lives while it counts. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"

struct user_counts { u32 uid; unsigned n[USER_NCOUNTS]; UT_hash_handle hh; };

static lock_t users_lock = LOCK_INIT(LC_LEAF);
static struct user_counts *users;

bool user_charge(u32 uid, enum user_count which, u64 limit)
{
    struct user_counts *u;
    bool ok = true;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    if ((u ? u->n[which] : 0) >= limit) {
        ok = false;
    } else {
        if (!u) {
            u = xnew(struct user_counts);
            u->uid = uid;
            HASH_ADD(hh, users, uid, sizeof uid, u);
        }
        u->n[which]++;
    }
    unlock(&users_lock);
    return ok;
}

void user_uncharge(u32 uid, enum user_count which)
{
    struct user_counts *u;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    if (u && u->n[which]) u->n[which]--;
    if (u && !u->n[USER_NPROC] && !u->n[USER_SIGPENDING]) {
        HASH_DEL(users, u);
        free(u);
    }
    unlock(&users_lock);
}

static unsigned user_read(u32 uid, enum user_count which)
{
    struct user_counts *u;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    unsigned n = u ? u->n[which] : 0;
    unlock(&users_lock);
    return n;
}

unsigned user_nproc(u32 uid) { return user_read(uid, USER_NPROC); }
unsigned user_nsigpending(u32 uid) { return user_read(uid, USER_SIGPENDING); }
