/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <zlib.h>

#include "serve_parts.h"

enum { BODY_TEXT, BODY_TEXT_GZIP };

static int fill_text(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	struct buffer out = { 0 };
	char *data;

	(void)arg;
	render_text(&out, snapshot);
	if (!out.data && !out.failed)
		buffer_reserve(&out, 1); /* nothing to show is not an error */
	if (out.failed) {
		buffer_free(&out);
		return -ENOMEM;
	}
	data = realloc(out.data, out.len ? out.len : 1); /* it stays for a while: no slack */
	body->data = data ? data : out.data;
	body->len = out.len;
	return 0;
}

static int compress_gzip(const struct snapshot_body *plain, struct snapshot_body *body)
{
	z_stream stream = { 0 };
	size_t bound;
	char *data;
	int err;

	if (plain->len > UINT_MAX / 2) /* zlib counts in unsigned int */
		return -EFBIG;
	/* Level 1: the text is so repetitive that more effort costs much and saves little. */
	if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&stream, plain->len);
	data = malloc(bound);
	if (!data) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = (Bytef *)plain->data;
	stream.avail_in = (uInt)plain->len;
	stream.next_out = (Bytef *)data;
	stream.avail_out = (uInt)bound;
	err = deflate(&stream, Z_FINISH);
	body->len = bound - stream.avail_out;
	deflateEnd(&stream);
	if (err != Z_STREAM_END) {
		free(data);
		return -EIO;
	}
	body->data = realloc(data, body->len);
	if (!body->data)
		body->data = data;
	return 0;
}

/*
 * The plain text is made for itself and dropped: Prometheus only ever asks for gzip, and ten times
 * its size would stay in memory for the rest of the generation.
 */
static int fill_gzip(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	struct snapshot_body plain = { 0 };
	int err;

	err = fill_text(snapshot, &plain, arg);
	if (err)
		return err;
	err = compress_gzip(&plain, body);
	free(plain.data);
	return err;
}

const struct snapshot_body *serve_exposition(struct snapshot *snapshot, bool gzip)
{
	if (gzip)
		return snapshot_body(snapshot, BODY_TEXT_GZIP, fill_gzip, NULL);
	return snapshot_body(snapshot, BODY_TEXT, fill_text, NULL);
}
