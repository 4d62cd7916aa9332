/* Settings of the IPC namespace of whoever looks. mq_overview(7), sysvipc(7), proc_sys_kernel(5); ranges: ipc/ipc_sysctl.c */
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sysctl_num.h"
#include "sentry/ipc/mqueue.h"
#include "sentry/ipc/sysv.h"
#include "sentry/kernel/ns.h"

/* SEMMNI, the last of four, has a range of its own: as many as there are numbers for. */
static int check_sem(const struct sysctl_num *n UNUSED, u64 *v) { return v[3] > SYSV_MNI_MAX ? -ERANGE : 0; }

static int store_shm_rmid_forced(struct synth_node *n, char *text, size_t len)
{
    int r = sysctl_num_store(n, text, len);
    if (!r && atomic_load(&ipc_ns_settings()->shm_rmid_forced)) shm_remove_orphans();
    return r;
}

const struct synth_entry proc_sys_ipc[] = {
    SYSCTL_IPC("shmmax", shmmax, 0, UINT64_MAX), SYSCTL_IPC("shmall", shmall, 0, UINT64_MAX), SYSCTL_IPC("shmmni", shmmni, 0, SYSV_MNI_MAX),
    SYSCTL_IPC("msgmax", msgmax, 0, INT32_MAX), SYSCTL_IPC("msgmnb", msgmnb, 0, INT32_MAX), SYSCTL_IPC("msgmni", msgmni, 0, SYSV_MNI_MAX),
    SYSCTL_IPC("sem", sem[0], 0, INT32_MAX, .count = 4, .set = check_sem),
    SYSCTL_IPC("shm_next_id", kind[IPC_KIND_SHM].next_id, 0, INT32_MAX, .is_signed = true),
    SYSCTL_IPC("sem_next_id", kind[IPC_KIND_SEM].next_id, 0, INT32_MAX, .is_signed = true),
    SYSCTL_IPC("msg_next_id", kind[IPC_KIND_MSG].next_id, 0, INT32_MAX, .is_signed = true),
    { .name = "shm_rmid_forced", .mode = S_IFREG | 0644, .show = sysctl_num_show, .store = store_shm_rmid_forced,
      .arg = &(const struct sysctl_num){ .ipc_at = offsetof(struct ipc_settings, shm_rmid_forced), .bytes = 4, .max = 1 } },
    { 0 } };

const struct synth_entry proc_sys_fs_mqueue[] = {
    SYSCTL_IPC("msg_default", msg_default, 1, MQ_HARD_MSG_MAX), SYSCTL_IPC("msg_max", msg_max, 1, MQ_HARD_MSG_MAX),
    SYSCTL_IPC("msgsize_default", msgsize_default, MQ_MIN_MSGSIZE_MAX, MQ_HARD_MSGSIZE_MAX),
    SYSCTL_IPC("msgsize_max", msgsize_max, MQ_MIN_MSGSIZE_MAX, MQ_HARD_MSGSIZE_MAX),
    SYSCTL_IPC("queues_max", queues_max, 0, INT32_MAX), { 0 } };
