/* Diagnostics of our own programs (not the guest's output). Lines go to the log descriptor, stderr by default. */
#ifndef SUNDOG_BASE_LOG_H
#define SUNDOG_BASE_LOG_H

#include "sentry/base/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init(const char *program, int fd, enum log_level max);
enum log_level log_level(void);
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) do { if (unlikely(log_level() >= LOG_DEBUG)) log_write(LOG_DEBUG, __VA_ARGS__); } while (0)

/* A state of our own that must never be: writes the message and aborts (the crash handler adds the stack). */
void panic(const char *fmt, ...) PRINTF(1, 2) NORETURN;
#define ASSERT(c) do { if (unlikely(!(c))) panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c); } while (0)

#endif
