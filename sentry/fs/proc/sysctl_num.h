/* Files below /proc/sys that hold numbers: what is there and what may be written comes from a table. proc_sys(5) */
#ifndef SUNDOG_PROC_SYSCTL_NUM_H
#define SUNDOG_PROC_SYSCTL_NUM_H

#include "sentry/fs/proc/synth.h"

struct sysctl_num {
    void *at;                      /* u32 or u64, or several; NULL: */
    size_t ipc_at;                 /* at this offset of the struct ipc_settings of whoever looks */
    u8 bytes;                      /* 4 or 8 each */
    u8 count;                      /* 0: one */
    bool is_signed;                /* shown so: -1 means none */
    u64 min, max;                  /* of what is written */
    int (*set)(const struct sysctl_num *n, u64 *v);   /* looks at the values before they are stored; may change them. NULL: fine */
};
int sysctl_num_show(struct synth_node *n, struct strbuf *b);
int sysctl_num_store(struct synth_node *n, char *text, size_t len);
/* An unsigned number and nothing else but space in text. -EINVAL */
int sysctl_parse(char **text, u64 *out);

/* arg of an entry, inside tables only: at file scope a compound literal lives for ever. */
#define SYSCTL_NUM(file, ...) { .name = (file), .mode = S_IFREG | 0644, .show = sysctl_num_show, .store = sysctl_num_store, \
    .arg = &(const struct sysctl_num){ __VA_ARGS__ } }
#define SYSCTL_GLOBAL(file, field, lo, hi, ...) SYSCTL_NUM(file, .at = &(field), .bytes = sizeof(field), .min = (lo), .max = (hi), __VA_ARGS__)
#define SYSCTL_IPC(file, field, lo, hi, ...) SYSCTL_NUM(file, .ipc_at = offsetof(struct ipc_settings, field), \
    .bytes = sizeof(((struct ipc_settings *)0)->field), .min = (lo), .max = (hi), __VA_ARGS__)

#endif
