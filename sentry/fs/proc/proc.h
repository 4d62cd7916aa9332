/* What the files of sentry/fs/proc share: the tables. proc(5) */
#ifndef SUNDOG_PROC_PROC_H
#define SUNDOG_PROC_PROC_H

#include "sentry/base/plan.h"
#include "sentry/fs/proc/synth.h"

extern const struct synth_entry proc_task_dir[];    /* children of /proc/PID and of /proc/PID/task/TID */
extern const struct synth_entry proc_sys_dir[];     /* children of /proc/sys */
extern const struct synth_entry proc_net_dir[];     /* children of /proc/PID/net */
/* Parts of those: sysctl_ipc.c, sysctl_limits.c */
extern const struct synth_entry proc_sys_ipc[], proc_sys_fs_mqueue[], proc_sys_fs_dir[], proc_sys_vm_limits[], proc_sys_keys[];
int proc_show_threads_max(struct synth_node *n, struct strbuf *b);
int proc_store_threads_max(struct synth_node *n, char *text, size_t len);
/* Contents of files in /proc/net (net_dev.c): of the sandbox's own devices */
void proc_net_dev(struct strbuf *b);
void proc_net_route(struct strbuf *b);
void proc_net_if_inet6(struct strbuf *b);
void proc_net_ipv6_route(struct strbuf *b);
/* /proc/sys/net/DIR (net_sysctl.c) */
int proc_sys_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child);
bool proc_sys_net_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);
extern const struct synth_entry proc_sys_net_ipv4[];
int proc_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child);
/* net_mib.c: the counters of the loopback, in the words of the files of those names */
struct strbuf;
void proc_net_snmp(struct strbuf *b);
void proc_net_snmp6(struct strbuf *b);
void proc_net_netstat(struct strbuf *b);
bool proc_net_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);
extern const struct synth_entry proc_ns_dir[];
extern const struct file_ops proc_mem_fops, proc_pagemap_fops;
/* What /proc/PID/maps calls v: nothing, a path, [heap] */
void proc_vma_name(struct strbuf *b, const struct vma *v);
sysret_t proc_maps_ioctl(struct synth_node *n, u32 cmd, gaddr_t arg);

/* mounts.c */
extern const struct file_ops proc_mounts_fops, proc_mountinfo_fops, proc_mountstats_fops;
int proc_mounts_open(struct synth_node *n, struct file *f);

/* pid_ns.c */
int proc_show_uid_map(struct synth_node *n, struct strbuf *b);
int proc_show_gid_map(struct synth_node *n, struct strbuf *b);
int proc_show_setgroups(struct synth_node *n, struct strbuf *b);
int proc_store_uid_map(struct synth_node *n, struct file *f, char *text, size_t len);
int proc_store_gid_map(struct synth_node *n, struct file *f, char *text, size_t len);
int proc_store_setgroups(struct synth_node *n, struct file *f, char *text, size_t len);

/* pid_fd.c: the dynamic directories of a process */
int proc_lookup_fd(struct synth_node *dir, const char *name, struct synth_node *child);
int proc_lookup_fdinfo(struct synth_node *dir, const char *name, struct synth_node *child);
bool proc_next_fd(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);
int proc_lookup_task(struct synth_node *dir, const char *name, struct synth_node *child);
bool proc_next_task(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype);

/* Links of a process (pid.c), for the directories of other ABIs too. */
int proc_link_exe(struct synth_node *n, struct path *out);
int proc_link_cwd(struct synth_node *n, struct path *out);
int proc_link_root(struct synth_node *n, struct path *out);
int proc_show_auxv(struct synth_node *n, struct strbuf *b);
int proc_show_maps(struct synth_node *n, struct strbuf *b);
int proc_show_smaps(struct synth_node *n, struct strbuf *b);
int proc_show_smaps_rollup(struct synth_node *n, struct strbuf *b);
int proc_show_config(struct synth_node *n, struct strbuf *b);
int proc_show_cpuinfo(struct synth_node *n, struct strbuf *b);
/* struct mm of the node's task; counted or NULL. *t is counted too. */
struct mm *proc_mm_get(struct synth_node *n);
/* Memory the sandbox was given and has left, bytes. */
void proc_memory(u64 *total, u64 *free_);

/* What uid_map (0) and gid_map (1) show; before guest code runs. */
void proc_set_idmap(int which, const struct plan_idmap *m, u32 n);

#endif
