/*
 * Containers: libbsd's <bsd/sys/queue.h> (lists, tail queues) and <bsd/sys/tree.h> (RB trees), both intrusive, and
 * uthash's <uthash.h> for hash tables. This header is the one place that includes them.
 */
#ifndef SUNDOG_BASE_LIST_H
#define SUNDOG_BASE_LIST_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#ifndef TAILQ_FOREACH_SAFE
#error "libbsd's sys/queue.h expected"
#endif

#endif
