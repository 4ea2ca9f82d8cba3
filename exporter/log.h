/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * log: one line per event on stderr, as logfmt or JSON.
 *
 * The place that knows the object and the reason logs it, once; callers up the stack only pass the
 * error on. The level and the format are the only global state of the program.
 */
#pragma once

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Sets what is printed and how. Before the first call: LOG_INFO, LOG_LOGFMT. */
void log_setup(enum log_level level, enum log_format format);

/*
 * Prints `time=<RFC 3339> level=<level> msg="<text>"` (or the same as one JSON object) when `level`
 * is enabled. Keeps errno. The text is escaped so that it stays one line whatever it holds.
 */
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
