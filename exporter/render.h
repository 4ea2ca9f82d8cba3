/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render: snapshot -> bytes. One file per format; render_text.c is Prometheus text format 0.0.4.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

/*
 * A growing byte buffer. After a failed allocation `failed` stays set and nothing more is added.
 * With `drain` set it does not grow with the text: whenever there are BUFFER_DRAIN bytes or more
 * and room for others is wanted, drain() takes them and sets len to 0 (or `failed`).
 */
#define BUFFER_DRAIN 32768

struct buffer {
	char *data;
	size_t len, size;
	int failed;
	void (*drain)(struct buffer *buffer);
};

/* Where the next `n` bytes go (the caller then advances len), or NULL once an allocation failed. */
char *buffer_reserve(struct buffer *buffer, size_t n);
void buffer_add(struct buffer *buffer, const void *data, size_t len);
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *buffer); /* also resets it */

/* The longest number: 20 digits of a 64-bit value and the point. `out` below must hold them. */
#define RENDER_NUMBER_MAX 21

/*
 * Writes `value` * 10^-scale (scale 0 to 9) in decimal to `out` (RENDER_NUMBER_MAX bytes), every
 * digit exact, without trailing zeros after the point; returns the length. No NUL.
 */
size_t render_number(char *out, uint64_t value, unsigned int scale);

/* Appends a label value or HELP text escaped as the text format wants it ('"' only in labels). */
void render_escaped(struct buffer *out, const char *text, size_t len, int is_label);

/* Appends the whole exposition: HELP, TYPE and samples of each family that has any. */
void render_text(struct buffer *out, const struct snapshot *snapshot);
/* Appends the number of series and the ten families with the most of them, for --once --stats. */
void render_stats(struct buffer *out, const struct snapshot *snapshot);

/*
 * The `le` values of the classic buckets ("9.5367431640625e-07" ... "16"): HIST_CLASSIC of them.
 */
extern const char *const render_le[];
