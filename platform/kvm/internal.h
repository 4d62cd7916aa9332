/* Inside platform/kvm only. */
#ifndef SUNDOG_KVM_INTERNAL_H
#define SUNDOG_KVM_INTERNAL_H

#include "platform/platform.h"

/* probe.c */
int kvm_probe(char *why, size_t why_len);
/* A descriptor of /dev/kvm with the right interface, or -errno and why. */
int kvm_open(char *why, size_t why_len);
int kvm_check_caps(int fd, char *why, size_t why_len);

#endif
