/* Descriptors that travel with a packet. */
#include "sentry/base/rpc.h"
#include <string.h>
#include <unistd.h>

void rpc_attach_fd(struct msghdr *m, union rpc_fd_room *room, int fd)
{
    if (fd < 0) return;
    memset(room, 0, sizeof *room);
    m->msg_control = room->buf;
    m->msg_controllen = sizeof room->buf;
    struct cmsghdr *cm = CMSG_FIRSTHDR(m);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cm), &fd, sizeof fd);
}

int rpc_take_fd(const struct msghdr *m)
{
    struct msghdr *mm = (struct msghdr *)(uintptr_t)m; /* the macros want it so */
    int taken = -1, fd;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(mm); cm; cm = CMSG_NXTHDR(mm, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS || cm->cmsg_len < CMSG_LEN(0)) continue;
        /* The alignment of the room leaves place for a second one: a hostile peer's, which nobody would ever close. */
        for (size_t off = 0; off + sizeof fd <= cm->cmsg_len - CMSG_LEN(0); off += sizeof fd) {
            memcpy(&fd, CMSG_DATA(cm) + off, sizeof fd);
            if (taken < 0) taken = fd;
            else close(fd);
        }
    }
    return taken;
}
