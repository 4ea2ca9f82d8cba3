/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Prometheus text format 0.0.4. A sample is a copy of its prefix and the digits of an integer:
 * nothing here looks at a name, a label or a floating-point number.
 */
#include <string.h>

#include "histogram.h"
#include "render.h"

#define LINE_MAX_TAIL (RENDER_NUMBER_MAX + 2) /* a sign, the end of the line */
/* Room is reserved for so many samples at once: few checks, and their prefixes stay cached. */
#define CHUNK 64

static char *put_line(char *at, const struct prefix *prefix, uint64_t value, unsigned int scale)
{
	memcpy(at, prefix->text, prefix->len);
	at += prefix->len;
	at += render_number(at, value, scale);
	*at++ = '\n';
	return at;
}

/* A gauge may be below zero. */
static char *put_gauge(char *at, const struct sample *sample, unsigned int scale)
{
	bool negative = (int64_t)sample->value < 0;

	memcpy(at, sample->lines->text, sample->lines->len);
	at += sample->lines->len;
	if (negative)
		*at++ = '-';
	at += render_number(at, negative ? -sample->value : sample->value, scale);
	*at++ = '\n';
	return at;
}

/* Buckets, which are cumulative in this format, then +Inf, _sum and _count. */
static char *put_histogram(char *at, const struct sample *sample, unsigned int scale)
{
	const struct prefix *line = sample->lines;
	const uint64_t *slots = sample->slots;
	uint64_t count = 0;
	size_t slot = 0;

	for (size_t bound = 0; bound < HIST_CLASSIC; bound++) {
		while (slot <= bound * HIST_CLASSIC_STEP)
			count += slots[slot++];
		at = put_line(at, line++, count, 0);
	}
	while (slot < HIST_SLOTS)
		count += slots[slot++];
	at = put_line(at, line++, count, 0);
	at = put_line(at, line++, slots[HIST_SLOTS], scale);
	return put_line(at, line, count, 0);
}

static size_t room_for(const struct sample *samples, size_t n, size_t nr_lines)
{
	size_t room = n * nr_lines * LINE_MAX_TAIL;

	for (size_t i = 0; i < n; i++)
		for (size_t line = 0; line < nr_lines; line++)
			room += samples[i].lines[line].len;
	return room;
}

static void add_samples(struct buffer *out, const struct snapshot_family *family)
{
	int histogram = family->kind == METRIC_HISTOGRAM;

	for (size_t done = 0, n; done < family->nr_samples; done += n) {
		const struct sample *samples = family->samples + done;
		char *at;

		n = family->nr_samples - done < CHUNK ? family->nr_samples - done : CHUNK;
		at = buffer_reserve(out, room_for(samples, n, histogram ? HIST_CLASSIC + 3 : 1));
		if (!at)
			return;
		if (histogram)
			for (size_t i = 0; i < n; i++)
				at = put_histogram(at, &samples[i], family->scale);
		else if (family->kind == METRIC_GAUGE)
			for (size_t i = 0; i < n; i++)
				at = put_gauge(at, &samples[i], family->scale);
		else
			for (size_t i = 0; i < n; i++)
				at = put_line(at, samples[i].lines, samples[i].value,
					      family->scale);
		out->len = (size_t)(at - out->data);
	}
}

void render_text(struct buffer *out, const struct snapshot *snapshot)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};

	for (size_t i = 0; i < snapshot->nr_families; i++) {
		const struct snapshot_family *family = &snapshot->families[i];

		if (!family->nr_samples)
			continue;
		buffer_printf(out, "# HELP %s ", family->name);
		render_escaped(out, family->help, strlen(family->help), 0);
		buffer_printf(out, "\n# TYPE %s %s\n", family->name, types[family->kind]);
		add_samples(out, family);
	}
}
