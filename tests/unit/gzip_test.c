/* SPDX-License-Identifier: GPL-2.0-only */
/* gzip: what zlib unpacks of it is what was put in, whatever that is and in whatever pieces it came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "gzip.h"

#define MOST (1 << 20)

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % below;
}

/* Unpacks with what has nothing to do with the packing; one stream and nothing behind it. */
static void assert_unpacks(const struct buffer *packed, const char *text, size_t len)
{
	char *out = malloc(len + 1);
	z_stream stream = { 0 };

	assert_false(packed->failed);
	assert_non_null(out);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (Bytef *)packed->data;
	stream.avail_in = (uInt)packed->len;
	stream.next_out = (Bytef *)out;
	stream.avail_out = (uInt)len + 1;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END); /* its check sum and length are right */
	assert_int_equal(stream.avail_in, 0);
	assert_int_equal(stream.total_out, len);
	assert_memory_equal(out, text, len);
	inflateEnd(&stream);
	free(out);
}

/* In pieces of `piece` bytes at most; returns the packed size. */
static size_t check(const char *text, size_t len, size_t piece)
{
	struct gzip *gzip = gzip_new();
	struct buffer out = { 0 };
	size_t packed;

	assert_non_null(gzip);
	for (size_t at = 0, n; at < len; at += n) {
		n = piece < len - at ? piece : len - at;
		gzip_add(gzip, &out, text + at, n, at + n == len && len % 2);
	}
	if (!(len % 2)) /* or the end comes with nothing */
		gzip_add(gzip, &out, text + len, 0, true);
	assert_unpacks(&out, text, len);
	packed = out.len;
	buffer_free(&out);
	gzip_free(gzip);
	return packed;
}

/* Bug: the end is lost when the output fills its room exactly, or pieces are packed twice. */
static void test_pieces(void **state)
{
	char *text = malloc(MOST);

	(void)state;
	for (size_t i = 0; i < MOST; i++) /* no byte can be foretold: the stream is longer than the text */
		text[i] = (char)any(256);
	for (size_t len = 0; len < 70; len++)
		check(text, len, 7);
	for (int i = 0; i < 60; i++)
		check(text, any(100000), 1 + any(40000));
	check(text, MOST, 32768);
	check(text, 16384 * 3 - 1, 16384);
	free(text);
}

/* Bug: expositions hardly shrink; or those of one size break. */
static void test_lines(void **state)
{
	char *text = malloc(MOST + 512);
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; len < MOST; i++)
		len += (size_t)sprintf(text + len,
				       "ebpf_cgroup_tcp_retransmits_total{namespace=\"team-%u\",pod=\"web-7d4b9c6f5-%05x\","
				       "container=\"app\",cause=\"%s\"} %u\n",
				       i / 400, any(0x100000), i % 2 ? "fast" : "rto", any(100000000));
	assert_true(check(text, len, 32768) < len / 6);
	for (int i = 0; i < 20; i++)
		check(text, any(MOST), 1 + any(70000));
	memset(text, 'a', MOST);
	assert_true(check(text, MOST, 32768) < MOST / 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pieces), cmocka_unit_test(test_lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
