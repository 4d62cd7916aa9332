/* What the broker's resolver did, read from its ring (base/dnslog.h): addresses are pinned, lookups recorded. */
#include "sentry/base/dnslog.h"
#include "sentry/base/lock.h"
#include "sentry/policy/policy.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct dnslog *ring;        /* (c) NULL: no resolver */
static lock_t ring_lock = LOCK_INIT(LC_POLICY);   /* guards: */
static u64 seen;                         /* (a) entries taken so far */

bool policy_dns_on(void) { return ring != NULL; }

int policy_dns_open(int fd)
{
    void *p = ring ? MAP_FAILED : mmap(NULL, sizeof(*ring), PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return ring ? -EINVAL : -errno;
    close(fd);
    ring = p;
    return 0;
}

static bool sound(struct dnslog_entry *e)
{
    if (!memchr(e->name, 0, sizeof(e->name))) return false;
    for (char *c = e->name; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    return e->kind >= DNSLOG_ALLOWED && e->kind <= DNSLOG_REBIND_WARNED;
}

void policy_dns_sync(void)
{
    if (likely(!ring) || __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == atomic_load(&seen)) return;
    lock(&ring_lock);
    for (;;) {
        u64 head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), at = seen;
        if (head == at) break;
        if (head - at > DNSLOG_SLOTS) at = head - DNSLOG_SLOTS;
        struct dnslog_entry e = ring->slot[at % DNSLOG_SLOTS];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        bool whole = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - at < DNSLOG_SLOTS;   /* not written anew meanwhile */
        atomic_store(&seen, at + 1);
        if (whole && sound(&e)) policy_dns_event(e.kind, e.rule, e.name, e.ip);
    }
    unlock(&ring_lock);
}
