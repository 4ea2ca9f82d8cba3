/* SPDX-License-Identifier: GPL-2.0-only */
#include "gzip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef HAVE_ISAL
#include <isa-l.h>
#else
#include <zlib.h>
#endif

#define STEP 16384 /* bytes of room for what comes out */

#ifdef HAVE_ISAL

/*
 * Level 1 of its 3: the text is so repetitive that more effort saves nothing. With less memory it
 * takes half as long again, with more no less.
 */
struct gzip {
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL1_SMALL];
};

struct gzip *gzip_new(void)
{
	struct gzip *gzip = malloc(sizeof(*gzip));

	if (!gzip)
		return NULL;
	isal_deflate_init(&gzip->stream);
	gzip->stream.level = 1;
	gzip->stream.level_buf = gzip->level;
	gzip->stream.level_buf_size = sizeof(gzip->level);
	gzip->stream.gzip_flag = IGZIP_GZIP;
	return gzip;
}

void gzip_free(struct gzip *gzip)
{
	free(gzip);
}

static bool compress_some(struct isal_zstream *stream, bool last)
{
	stream->end_of_stream = last;
	return isal_deflate(stream) == COMP_OK;
}

#else

struct gzip {
	z_stream stream;
};

struct gzip *gzip_new(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	/* Level 1: the text is so repetitive that more effort costs much and saves little. */
	if (gzip && deflateInit2(&gzip->stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY)) {
		free(gzip);
		gzip = NULL;
		errno = ENOMEM;
	}
	return gzip;
}

void gzip_free(struct gzip *gzip)
{
	if (gzip)
		deflateEnd(&gzip->stream);
	free(gzip);
}

static bool compress_some(z_stream *stream, bool last)
{
	return deflate(stream, last ? Z_FINISH : Z_NO_FLUSH) != Z_STREAM_ERROR;
}

#endif

void gzip_add(struct gzip *gzip, struct buffer *out, const char *data, size_t len, bool last)
{
	gzip->stream.next_in = (void *)(uintptr_t)data;
	gzip->stream.avail_in = len;
	do {
		char *at = buffer_reserve(out, STEP);

		if (!at)
			return;
		gzip->stream.next_out = (void *)at;
		gzip->stream.avail_out = STEP;
		if (!compress_some(&gzip->stream, last))
			out->failed = 1; /* cannot be: it was told nothing wrong */
		out->len += STEP - gzip->stream.avail_out;
	} while (!gzip->stream.avail_out && !out->failed);
}
