/* Memory policies, set_mempolicy(2), of tasks and mappings. */
#ifndef SUNDOG_MM_POLICY_H
#define SUNDOG_MM_POLICY_H

#include "sentry/base/types.h"

/* Where memory is to come from, mempolicy(7): kept for those who ask, without effect on the one node there is. */
struct mem_policy {
    u32 mode;                  /* as the ABI numbers it, with its flags; 0: none */
    u64 nodes;
};

#endif
