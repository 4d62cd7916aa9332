#include "abi/abi.h"
#include <string.h>

const struct abi *const abi_all[] = { &abi_linux, &abi_solaris, NULL };

const struct abi *abi_by_name(const char *name)
{
    for (size_t i = 0; abi_all[i]; i++)
        if (!strcmp(abi_all[i]->name, name)) return abi_all[i];
    return NULL;
}
