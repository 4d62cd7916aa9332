/* Counts per real user id. An entry lives while it counts. */
#include "sentry/kernel/user.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"

struct user_counts { u32 uid; u64 n[USER_NCOUNTS]; UT_hash_handle hh; };

static lock_t users_lock = LOCK_INIT(LC_LEAF);
static struct user_counts *users;

/* The count moves by n unless it has reached limit; *now is what it is then. */
static bool count(u32 uid, enum user_count which, s64 n, u64 limit, u64 *now)
{
    struct user_counts *u;
    bool ok = true, used = false;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    if (n > 0 && (u ? u->n[which] : 0) >= limit) {
        ok = false;
    } else {
        if (!u) {
            u = xnew(struct user_counts);
            u->uid = uid;
            HASH_ADD(hh, users, uid, sizeof uid, u);
        }
        u->n[which] = n < 0 && u->n[which] < (u64)-n ? 0 : u->n[which] + (u64)n;
    }
    *now = u ? u->n[which] : 0;
    for (int i = 0; u && i < USER_NCOUNTS; i++) used |= u->n[i] != 0;
    if (u && !used) {
        HASH_DEL(users, u);
        free(u);
    }
    unlock(&users_lock);
    return ok;
}

bool user_charge(u32 uid, enum user_count which, u64 limit)
{
    u64 now;
    return count(uid, which, 1, limit, &now);
}

void user_uncharge(u32 uid, enum user_count which) { (void)user_add(uid, which, -1); }

u64 user_add(u32 uid, enum user_count which, s64 n)
{
    u64 now;
    (void)count(uid, which, n, RLIM_INFINITY, &now);
    return now;
}

static unsigned user_read(u32 uid, enum user_count which)
{
    struct user_counts *u;

    lock(&users_lock);
    HASH_FIND(hh, users, &uid, sizeof uid, u);
    unsigned n = u ? (unsigned)u->n[which] : 0;
    unlock(&users_lock);
    return n;
}

unsigned user_nproc(u32 uid) { return user_read(uid, USER_NPROC); }
unsigned user_nsigpending(u32 uid) { return user_read(uid, USER_SIGPENDING); }
