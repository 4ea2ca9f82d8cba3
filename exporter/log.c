// SPDX-License-Identifier: GPL-2.0-only
/*
 * log: see log.h.
 *
 * A line is built in one buffer of PIPE_BUF bytes and handed over with one write(2): the kernel
 * does not split such a write, neither to a pipe nor to a file opened for appending, so that lines
 * of two threads (or of two programs under one supervisor) cannot mix.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static enum log_level max_level = LOG_INFO;
static enum log_format line_format = LOG_LOGFMT;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

/* Behind the text: `..."}` and the line feed. */
#define TAIL 6

struct line {
	char data[PIPE_BUF];
	size_t len;
};

/* Returns false, and adds nothing, when the tail would no longer fit behind it. */
static bool add(struct line *line, const char *data, size_t len)
{
	if (len > sizeof(line->data) - TAIL - line->len)
		return false;
	memcpy(line->data + line->len, data, len);
	line->len += len;
	return true;
}

static void add_tail(struct line *line, const char *text)
{
	size_t len = strlen(text);

	memcpy(line->data + line->len, text, len);
	line->len += len;
}

/*
 * Decodes the UTF-8 character at `text`: returns its length and sets *code, or 0 when it is none
 * (a stray or missing continuation, an overlong form, a surrogate, beyond U+10FFFF).
 */
static size_t utf8_decode(const unsigned char *text, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = text[0];
	size_t len = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (len == 0 || first > 0xf4)
		return 0;
	*code = len == 1 ? first : first & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80) /* also ends at the NUL */
			return 0;
		*code = *code << 6 | (text[i] & 0x3f);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return len;
}

/*
 * The escapes of JSON, which logfmt readers take too. C1 controls are escaped as well: U+009B
 * starts an escape sequence on some terminals, and the text may hold a name a hostile process
 * chose. Returns false when the line is full; a character is in it whole or not at all.
 */
static bool add_escaped(struct line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		uint32_t code = 0xfffd;
		size_t len = utf8_decode(at, &code);
		char escape[8];
		bool fits;

		if (len && (code == '"' || code == '\\'))
			snprintf(escape, sizeof(escape), "\\%c", (char)code);
		else if (code == '\n')
			strcpy(escape, "\\n");
		else if (code == '\t')
			strcpy(escape, "\\t");
		else if (!len || code < 0x20 || (code >= 0x7f && code < 0xa0))
			snprintf(escape, sizeof(escape), "\\u%04x", len ? code & 0xff : 0xfffd);
		else
			escape[0] = '\0';
		fits = *escape ? add(line, escape, strlen(escape))
			       : add(line, (const char *)at, len);
		if (!fits)
			return false;
		at += len ? len : 1;
	}
	return true;
}

static void add_head(struct line *line, enum log_level level)
{
	char head[96], seconds[32];
	struct timespec now;
	struct tm tm;
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(head, sizeof(head),
		       line_format == LOG_JSON
			       ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"msg\":\""
			       : "time=%s.%03ldZ level=%s msg=\"",
		       seconds, now.tv_nsec / 1000000, level_names[level]);
	add(line, head, len);
}

void log_setup(enum log_level level, enum log_format format)
{
	max_level = level;
	line_format = format;
	/* gmtime_r() reads the zone file at its first call: now, not once the seccomp filter is on.
	 */
	tzset();
}

void log_at(enum log_level level, const char *format, ...)
{
	struct line line = { .len = 0 };
	char text[PIPE_BUF]; /* escaping never makes it shorter: more would not fit the line */
	int saved = errno, len;
	va_list args;
	bool whole;

	if (level > max_level)
		return;
	add_head(&line, level);
	errno = saved; /* for %m */
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A format that cannot be printed still says where the line comes from. */
	whole = add_escaped(&line, len < 0 ? format : text);
	add_tail(&line, whole ? "\"" : "...\"");
	add_tail(&line, line_format == LOG_JSON ? "}\n" : "\n");
	while (write(STDERR_FILENO, line.data, line.len) < 0 && errno == EINTR)
		;
	errno = saved;
}
