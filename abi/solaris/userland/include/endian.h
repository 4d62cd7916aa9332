#include <sys/byteorder.h>
