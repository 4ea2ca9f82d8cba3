/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gzip: a text that comes piece by piece -> one gzip stream (RFC 1952). By ISA-L where the build
 * found it (a sixth of zlib's time for as few bytes, on expositions), else by zlib.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "render.h"

struct gzip;

/* NULL with errno ENOMEM. */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *gzip); /* NULL is fine */

/* Compresses `len` bytes more and appends what comes of it to `out`; the `last` piece, which may be
 * empty, ends the stream. Without memory out->failed is set. */
void gzip_add(struct gzip *gzip, struct buffer *out, const char *data, size_t len, bool last);
