/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts every format is made of: the buffer, numbers, escaping, the `le` texts. */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "render.h"

#define BUFFER_MIN 4096

const char *const render_le[] = {
	"9.5367431640625e-07",
	"3.814697265625e-06",
	"1.52587890625e-05",
	"6.103515625e-05",
	"0.000244140625",
	"0.0009765625",
	"0.00390625",
	"0.015625",
	"0.0625",
	"0.25",
	"1",
	"4",
	"16",
};

/* The texts above are 4^-10 to 4^2 seconds; a change of histogram.h has to come past here. */
_Static_assert(sizeof(render_le) / sizeof(*render_le) == HIST_CLASSIC, "one text per bound");
_Static_assert(HIST_CLASSIC_STEP == 2 * HIST_PER_OCTAVE, "neighbouring bounds differ by 4");
_Static_assert(HIST_FIRST == -10 * HIST_CLASSIC_STEP, "the first bound is 4^-10 s");
_Static_assert((HIST_CLASSIC - 1) * HIST_CLASSIC_STEP == HIST_SLOTS - 2, "the last is 4^2 s");

char *buffer_reserve(struct buffer *buffer, size_t n)
{
	size_t need, size;
	char *data;

	if (buffer->drain && buffer->len >= BUFFER_DRAIN && !buffer->failed)
		buffer->drain(buffer);
	if (buffer->failed)
		return NULL;
	if (buffer->data && n <= buffer->size - buffer->len)
		return buffer->data + buffer->len;
	if (__builtin_add_overflow(buffer->len, n, &need))
		goto failed;
	size = buffer->size > BUFFER_MIN / 2 ? buffer->size * 2 : BUFFER_MIN;
	if (size < need)
		size = need;
	data = realloc(buffer->data, size);
	if (!data)
		goto failed;
	buffer->data = data;
	buffer->size = size;
	return data + buffer->len;

failed:
	buffer->failed = 1;
	return NULL;
}

void buffer_add(struct buffer *buffer, const void *data, size_t len)
{
	char *at = buffer_reserve(buffer, len);

	if (!at || !len)
		return;
	memcpy(at, data, len);
	buffer->len += len;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	char *at;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0) {
		buffer->failed = 1;
		return;
	}
	at = buffer_reserve(buffer, (size_t)len + 1); /* with the NUL, which is not kept */
	if (!at)
		return;
	va_start(args, format);
	vsnprintf(at, (size_t)len + 1, format, args);
	va_end(args);
	buffer->len += (size_t)len;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}

/*
 * The eight decimal digits of value < 10^8, one per byte, the first in the lowest byte. Halves,
 * then quarters, then bytes are divided side by side by multiplication; each constant is exact for
 * the range it meets (4 digits by 100: * 5243 >> 19, 2 digits by 10: * 103 >> 10).
 */
static uint64_t eight_digits(uint32_t value)
{
	uint64_t x = value / 10000 | (uint64_t)(value % 10000) << 32, tens;

	tens = (x * 5243 >> 19) & 0x0000007f0000007f;
	x = tens | (x - tens * 100) << 16;
	tens = (x * 103 >> 10) & 0x000f000f000f000f;
	return tens | (x - tens * 10) << 8;
}

static void put_eight(char *out, uint64_t digits)
{
	digits = htole64(digits + 0x3030303030303030);
	memcpy(out, &digits, sizeof(digits));
}

/* Always writes whole eights, but never past the 20 digits the longest value needs. */
static size_t put_whole(char *out, uint64_t value)
{
	uint64_t digits;
	size_t len;
	int zeros;

	if (value >= 100000000) {
		len = put_whole(out, value / 100000000);
		put_eight(out + len, eight_digits((uint32_t)(value % 100000000)));
		return len + 8;
	}
	digits = eight_digits((uint32_t)value);
	zeros = __builtin_ctzll(digits | 1ull << 56) / 8; /* the last digit stays, also of 0 */
	put_eight(out, digits >> zeros * 8);
	return (size_t)(8 - zeros);
}

size_t render_number(char *out, uint64_t value, unsigned int scale)
{
	static const uint32_t unit[] = { 1,	 10,	  100,	    1000,      10000,
					 100000, 1000000, 10000000, 100000000, 1000000000 };
	uint32_t fraction;
	size_t len;

	if (!scale)
		return put_whole(out, value);
	/* A constant divisor is a multiplication; nearly every scaled value is in nanoseconds. */
	fraction = (uint32_t)(scale == 9 ? value % 1000000000 : value % unit[scale]);
	len = put_whole(out, scale == 9 ? value / 1000000000 : value / unit[scale]);
	if (!fraction)
		return len;

	out[len++] = '.';
	if (scale == 9) {
		out[len++] = (char)('0' + fraction / 100000000);
		put_eight(out + len, eight_digits(fraction % 100000000));
		len += 8;
	} else {
		char digits[8];

		put_eight(digits, eight_digits(fraction));
		memcpy(out + len, digits + 8 - scale, scale);
		len += scale;
	}
	while (out[len - 1] == '0')
		len--;
	return len;
}

void render_escaped(struct buffer *out, const char *text, size_t len, int is_label)
{
	size_t done = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c != '\\' && c != '\n' && !(c == '"' && is_label))
			continue;
		buffer_add(out, text + done, i - done);
		buffer_add(out, c == '\n' ? "\\n" : c == '"' ? "\\\"" : "\\\\", 2);
		done = i + 1;
	}
	buffer_add(out, text + done, len - done);
}
