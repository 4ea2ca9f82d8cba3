/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts every format is made of: the buffer, numbers, escaping, the `le` texts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "render.h"

#define BUFFER_MIN 4096

const char *const render_le[] = {
	"9.5367431640625e-07", "3.814697265625e-06", "1.52587890625e-05", "6.103515625e-05",
	"0.000244140625",      "0.0009765625",	     "0.00390625",	  "0.015625",
	"0.0625",	       "0.25",		     "1",		  "4",
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

/* clang-format off */
static const char two_digits[] =
	"00010203040506070809" "10111213141516171819" "20212223242526272829" "30313233343536373839"
	"40414243444546474849" "50515253545556575859" "60616263646566676869" "70717273747576777879"
	"80818283848586878889" "90919293949596979899";
/* clang-format on */

/* Writes the digits of `value` so that they end at `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
	while (value >= 100) {
		end -= 2;
		memcpy(end, two_digits + value % 100 * 2, 2);
		value /= 100;
	}
	if (value < 10) {
		*--end = (char)('0' + value);
		return end;
	}
	end -= 2;
	memcpy(end, two_digits + value * 2, 2);
	return end;
}

static size_t put_whole(char *out, uint64_t value)
{
	char digits[20], *end = digits + sizeof(digits), *from;

	if (value < 10) { /* most counters of a quiet machine */
		*out = (char)('0' + value);
		return 1;
	}
	from = digits_before(end, value);
	memcpy(out, from, (size_t)(end - from));
	return (size_t)(end - from);
}

size_t render_number(char *out, uint64_t value, unsigned int scale)
{
	static const uint32_t unit[] = { 1,	 10,	  100,	    1000,     10000,
					 100000, 1000000, 10000000, 100000000, 1000000000 };
	uint64_t fraction;
	char *end, *from;
	size_t len;

	if (!scale)
		return put_whole(out, value);
	/* A constant divisor is a multiplication; nearly every scaled value is in nanoseconds. */
	fraction = scale == 9 ? value % 1000000000 : value % unit[scale];
	len = put_whole(out, scale == 9 ? value / 1000000000 : value / unit[scale]);
	if (!fraction)
		return len;

	out[len++] = '.';
	end = out + len + scale;
	from = digits_before(end, fraction);
	memset(out + len, '0', (size_t)(from - (out + len)));
	while (end[-1] == '0')
		end--;
	return (size_t)(end - out);
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
