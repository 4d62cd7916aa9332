/* /dev/net/tun, character device 10, 200. See tun.c. */
#ifndef SUNDOG_NET_TUN_H
#define SUNDOG_NET_TUN_H

struct file;
int tun_open(struct file *f);

#endif
