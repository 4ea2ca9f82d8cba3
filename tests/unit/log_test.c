// SPDX-License-Identifier: GPL-2.0-only
/* log: names of processes and files get into it, so the bugs looked for are forged and broken
 * lines. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "log.h"

static FILE *captured;
static int saved_stderr;

static void capture(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(captured), STDERR_FILENO);
}

/* What was written since capture(), to be freed. */
static char *release(void)
{
	long len;
	char *text;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	fseek(captured, 0, SEEK_END);
	len = ftell(captured);
	rewind(captured);
	text = calloc(1, len + 1);
	assert_int_equal(fread(text, 1, len, captured), len);
	fclose(captured);
	return text;
}

static char *logged(enum log_format format, const char *text)
{
	log_setup(LOG_INFO, format);
	capture();
	log_info("%s", text);
	return release();
}

/* Checks "YYYY-MM-DDTHH:MM:SS.mmmZ" and returns what is behind it. */
static const char *skip_time(const char *at)
{
	for (const char *shape = "0000-00-00T00:00:00.000Z"; *shape; shape++, at++) {
		if (*shape == '0' ? !isdigit((unsigned char)*at) : *at != *shape)
			fail_msg("not an RFC 3339 time with milliseconds: %s", at);
	}
	return at;
}

/* Checks the string that starts behind its first quote; returns what is behind its last one. */
static const char *skip_json_string(const char *at)
{
	for (; *at != '"'; at++) {
		if ((unsigned char)*at < 0x20)
			fail_msg("control byte in a JSON string: %d", *at);
		if (*at != '\\')
			continue;
		at++;
		if (*at == 'u') {
			for (int i = 1; i <= 4; i++)
				assert_true(isxdigit((unsigned char)at[i]));
			at += 4;
		} else if (!*at || !strchr("\"\\/bfnrt", *at)) {
			fail_msg("not a JSON escape: \\%c", *at);
		}
	}
	return at + 1;
}

static void expect_json_line(const char *line)
{
	assert_memory_equal(line, "{\"time\":\"", 9);
	line = skip_time(line + 9);
	assert_memory_equal(line, "\",\"level\":\"info\",\"msg\":\"", 24);
	line = skip_json_string(line + 24);
	assert_string_equal(line, "}\n");
}

static const struct {
	const char *what, *text, *want;
} cases[] = {
	{ "plain", "hello world", "hello world" },
	{ "empty", "", "" },
	{ "quote ends the text early", "a\" level=error", "a\\\" level=error" },
	{ "backslash eats the quote", "a\\", "a\\\\" },
	{ "line feed forges a line", "a\nlevel=error", "a\\nlevel=error" },
	{ "controls", "\x01\t\r\x1b[0m\x7f", "\\u0001\\t\\u000d\\u001b[0m\\u007f" },
	{ "C1 controls", "\xc2\x9b\x32J", "\\u009b2J" },
	{ "UTF-8 stays", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d",
	  "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d" },
	{ "stray byte",
	  "a\xff"
	  "b\x80",
	  "a\\ufffdb\\ufffd" },
	{ "cut sequence", "\xe2\x82", "\\ufffd\\ufffd" },
	{ "overlong quote", "\xc0\xa2", "\\ufffd\\ufffd" },
	{ "surrogate", "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
	{ "beyond U+10FFFF", "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "per cent", "100% %s", "100% %s" },
};

/* Catches a text that ends its field or its line: who names a process could write log lines. */
static void logfmt_is_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *line = logged(LOG_LOGFMT, cases[i].text), want[256];

		assert_memory_equal(line, "time=", 5);
		snprintf(want, sizeof(want), " level=info msg=\"%s\"\n", cases[i].want);
		if (strcmp(skip_time(line + 5), want) != 0)
			fail_msg("%s: got %s", cases[i].what, line);
		free(line);
	}
}

/* Catches JSON that a reader refuses, which drops the line just when something is odd. */
static void json_is_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *line = logged(LOG_JSON, cases[i].text), want[256];

		expect_json_line(line);
		snprintf(want, sizeof(want), ",\"msg\":\"%s\"}\n", cases[i].want);
		if (!strstr(line, want))
			fail_msg("%s: got %s", cases[i].what, line);
		free(line);
	}
}

/* Catches each single byte that breaks the line, also those nobody thought of above. */
static void any_byte(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		char text[] = { 'a', (char)byte, 'b', '\0' }, *line = logged(LOG_JSON, text);

		expect_json_line(line);
		free(line);
		line = logged(LOG_LOGFMT, text);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		free(line);
	}
}

/*
 * Catches a long text that is lost, runs over the buffer, exceeds what one write keeps whole, or is
 * cut inside an escape or a character. All lengths near the bound, as the cut must fall everywhere.
 */
static void long_text_is_cut(void **state)
{
	static const char *const units[] = { "x", "\"", "\x01", "\xe2\x82\xac", "\xff" };
	static char text[3 * PIPE_BUF];

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(*units); u++) {
		for (int shift = 0; shift < 7; shift++) {
			char *line;

			memset(text, '.', shift);
			text[shift] = '\0';
			while (strlen(text) < 2 * PIPE_BUF)
				strcat(text, units[u]);
			line = logged(LOG_JSON, text);
			expect_json_line(line);
			assert_non_null(strstr(line, "...\"}\n"));
			assert_in_range(strlen(line), PIPE_BUF - 12, PIPE_BUF);
			free(line);
		}
	}
}

/* Catches text marked as cut that was not, and one byte too many let through. */
static void cut_only_when_needed(void **state)
{
	static char text[PIPE_BUF];
	bool was_cut = false;

	(void)state;
	for (int len = PIPE_BUF - 100; len < PIPE_BUF; len++) {
		char *line;
		bool cut;

		memset(text, 'x', len);
		text[len] = '\0';
		line = logged(LOG_LOGFMT, text);
		cut = !strstr(line, text);
		assert_int_equal(cut, strstr(line, "...\"\n") != NULL);
		assert_true(cut || !was_cut);
		assert_true(strlen(line) <= PIPE_BUF);
		was_cut = cut;
		free(line);
	}
	assert_true(was_cut);
}

/* Catches an off-by-one in the filter and swapped names of levels. */
static void levels(void **state)
{
	static const char *const names[] = { "level=error", "level=warn", "level=info",
					     "level=debug" };

	(void)state;
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		char *text;

		log_setup(level, LOG_LOGFMT);
		capture();
		log_error("x");
		log_warn("x");
		log_info("x");
		log_debug("x");
		text = release();
		for (int i = LOG_ERROR; i <= LOG_DEBUG; i++)
			assert_int_equal(strstr(text, names[i]) != NULL, i <= level);
		free(text);
	}
}

/* Catches `log_warn(...); return -errno;` that returns what the logging left there. */
static void errno_is_kept(void **state)
{
	int saved = dup(STDERR_FILENO), printed, silent;
	char *text;

	(void)state;
	log_setup(LOG_INFO, LOG_LOGFMT);
	close(STDERR_FILENO); /* write(2) fails with EBADF */
	errno = ENOENT;
	log_info("x");
	printed = errno;
	log_debug("x");
	silent = errno;
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(printed, ENOENT);
	assert_int_equal(silent, ENOENT);

	capture();
	errno = ENOENT;
	log_info("open: %m");
	text = release();
	assert_non_null(strstr(text, "msg=\"open: No such file or directory\"\n"));
	free(text);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_info("%s", (const char *)arg);
	return NULL;
}

/* Catches a line written in pieces: those of two threads would mix. */
static void threads_do_not_mix(void **state)
{
	static char texts[2][1001];
	pthread_t threads[2];
	size_t nr = 0;
	char *text;

	(void)state;
	memset(texts[0], 'a', 1000);
	memset(texts[1], 'b', 1000);
	log_setup(LOG_INFO, LOG_LOGFMT);
	capture();
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, log_many, texts[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	text = release();
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), nr++) {
		const char *msg = strstr(line, "msg=\"");

		assert_memory_equal(line, "time=", 5);
		assert_non_null(msg);
		assert_memory_equal(msg + 5, texts[msg[5] == 'b'], 1000);
		assert_string_equal(msg + 1005, "\"");
	}
	assert_int_equal(nr, 1000);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logfmt_is_one_line),
		cmocka_unit_test(json_is_valid),
		cmocka_unit_test(any_byte),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(levels),
		cmocka_unit_test(cut_only_when_needed),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
