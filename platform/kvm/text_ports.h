/* Port numbers of the stub's exits; for C and assembly. No device of the host's KVM sits there: it makes none. */
#ifndef SUNDOG_KVM_TEXT_PORTS_H
#define SUNDOG_KVM_TEXT_PORTS_H
#define PORT_VECTOR 0x20
#define PORT_SYSCALL 0x40
#define PORT_CSTAR 0x41
/* Of the stub at ring 3; the only port that ring 3 may write to. */
#define PORT_USER 0x42
#endif
