/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>

#include "gzip.h"
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
struct compressed {
	struct buffer plain; /* first: drain() gets its address */
	struct buffer out;
	struct gzip *gzip;
};

static void compress(struct compressed *c, bool last)
{
	gzip_add(c->gzip, &c->out, c->plain.data, c->plain.len, last);
	c->plain.failed |= c->out.failed;
	c->plain.len = 0;
}

static void drain(struct buffer *plain)
{
	compress((struct compressed *)plain, false);
}

static int fill_gzip(struct snapshot *snapshot, struct snapshot_body *body, void *arg)
{
	struct compressed c = { .plain = { .drain = drain }, .gzip = gzip_new() };

	(void)arg;
	if (!c.gzip)
		return -ENOMEM;
	render_text(&c.plain, snapshot);
	if (!c.plain.failed)
		compress(&c, true);
	gzip_free(c.gzip);
	if (c.plain.failed)
		buffer_free(&c.out);
	buffer_free(&c.plain);
	return take(&c.out, body);
}

const struct snapshot_body *serve_exposition(struct snapshot *snapshot, bool gzip)
{
	if (gzip)
		return snapshot_body(snapshot, BODY_TEXT_GZIP, fill_gzip, NULL);
	return snapshot_body(snapshot, BODY_TEXT, fill_text, NULL);
}
