/* The host's cgroups, as they are mounted: v1, hybrid or v2. */
#ifndef SUNDOG_OCI_CGROUP_H
#define SUNDOG_OCI_CGROUP_H

#include "runtime/oci/create.h"

struct cg_mount { char *dir; char *controllers; /* comma-separated, "name=x"; "" for v2 */ bool v2; };
struct cg_mounts { struct cg_mount *m; unsigned n; bool v2_only; };

void cgroup_mounts_read(struct cg_mounts *m);
void cgroup_mounts_free(struct cg_mounts *m);
/* Writes a value into dir/name. 0 or -errno. */
int cgroup_write(const char *dir, const char *name, const char *value);
char *cgroup_read(const char *dir, const char *name);     /* malloc'ed without the final newline; NULL */
bool cgroup_has(const char *dir, const char *name);
/* Values; dirs: one per v1 hierarchy, or the one of v2. 0 or -1 after oci_fail. */
int cgroup_v1_apply(char *const *dirs, unsigned n, const struct oci_resources *r, bool devices);
int cgroup_v2_apply(const char *dir, const struct oci_resources *r);

#endif
