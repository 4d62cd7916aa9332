/* Key files: [groups] of KEY=VALUE lines and # comments, with \s \n \t \r \\ in values (the Desktop Entry Specification). */
#ifndef SUNDOG_RUNTIME_INI_H
#define SUNDOG_RUNTIME_INI_H

#include "sentry/base/types.h"

typedef void (*ini_entry)(void *arg, const char *group, const char *key, const char *value, unsigned line);
/* 0, or -EINVAL with the line and the reason. Calls back for each entry before. Keys with a [locale] are passed over. */
int ini_parse(const char *text, size_t len, ini_entry each, void *arg, unsigned *line, const char **why);

#endif
