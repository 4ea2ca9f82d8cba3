/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#include "serve_parts.h"

enum { BODY_TEXT, BODY_TEXT_GZIP };

/* Hands the bytes over; it stays for a while, so without slack. */
static int take(struct buffer *out, struct snapshot_body *body)
{
	char *data;

	if (out->failed || !out->data) {
		buffer_free(out);
		return -ENOMEM;
	}
	data = realloc(out->data, out->len ? out->len : 1);
	body->data = data ? data : out->data;
	body->len = out->len;
	return 0;
}

static int fill_text(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	struct buffer out = { 0 };

	(void)arg;
	buffer_reserve(&out, 1); /* nothing to show is not an error */
	render_text(&out, snapshot);
	return take(&out, body);
}

/*
 * Compressing takes the text as it is made, while it is in the cache: Prometheus only ever asks for
 * gzip, and the plain text, ten times the size, never exists as a whole.
 */
struct gzip {
	struct buffer plain; /* first: drain() gets its address */
	struct buffer out;
	z_stream stream;
};

#define GZIP_STEP 16384

static void gzip_step(struct buffer *plain, int flush)
{
	struct gzip *gzip = (struct gzip *)plain;
	z_stream *stream = &gzip->stream;

	stream->next_in = (Bytef *)plain->data;
	stream->avail_in = (uInt)plain->len;
	do {
		char *at = buffer_reserve(&gzip->out, GZIP_STEP);

		if (!at) {
			plain->failed = 1;
			return;
		}
		stream->next_out = (Bytef *)at;
		stream->avail_out = GZIP_STEP;
		deflate(stream, flush);
		gzip->out.len += GZIP_STEP - stream->avail_out;
	} while (!stream->avail_out);
	plain->len = 0;
}

static void gzip_drain(struct buffer *plain)
{
	gzip_step(plain, Z_NO_FLUSH);
}

static int fill_gzip(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	struct gzip gzip = { .plain = { .drain = gzip_drain } };

	(void)arg;
	/* Level 1: the text is so repetitive that more effort costs much and saves little. */
	if (deflateInit2(&gzip.stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	render_text(&gzip.plain, snapshot);
	if (!gzip.plain.failed)
		gzip_step(&gzip.plain, Z_FINISH);
	deflateEnd(&gzip.stream);
	if (gzip.plain.failed)
		buffer_free(&gzip.out);
	buffer_free(&gzip.plain);
	return take(&gzip.out, body);
}

const struct snapshot_body *serve_exposition(struct snapshot *snapshot, bool gzip)
{
	if (gzip)
		return snapshot_body(snapshot, BODY_TEXT_GZIP, fill_gzip, NULL);
	return snapshot_body(snapshot, BODY_TEXT, fill_text, NULL);
}
