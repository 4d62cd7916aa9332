#ifndef _SYS_BYTEORDER_H
#define _SYS_BYTEORDER_H
#include <stdint.h>
#define LITTLE_ENDIAN 1234
#define BIG_ENDIAN 4321
#define BYTE_ORDER LITTLE_ENDIAN
uint32_t htonl(uint32_t);
uint32_t ntohl(uint32_t);
uint16_t htons(uint16_t);
uint16_t ntohs(uint16_t);
uint64_t htonll(uint64_t);
uint64_t ntohll(uint64_t);
#endif
