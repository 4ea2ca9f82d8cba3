/* SPDX-License-Identifier: GPL-2.0-only */
#include "series_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "histogram.h"
#include "render.h"

#define HIST_LINES (HIST_CLASSIC + 3) /* buckets, +Inf, _sum, _count */

struct families *families_new(void)
{
	struct families *families = calloc(1, sizeof(*families));

	if (families)
		families->last_grave = &families->graves;
	return families;
}

static void series_free(struct family *family, struct series *series)
{
	if (family->kind == METRIC_HISTOGRAM)
		free(series->slots);
	free(series);
}

void families_free(struct families *families)
{
	if (!families)
		return;
	for (size_t i = 0; i < families->n; i++) {
		struct family *family = families->sorted[i];

		for (size_t k = 0; k < family->nr_series; k++)
			if (family->series[k]->index != SERIES_REMOVED) /* else it has a grave */
				series_free(family, family->series[k]);
		free(family->series);
		free(family->slots);
		free(family->name);
		free(family->help);
		free(family);
	}
	for (struct grave *grave = families->graves, *next; grave; grave = next) {
		next = grave->next;
		free(grave->series);
		free(grave);
	}
	free(families->sorted);
	free(families);
}

/* Where a name stands, or would stand, in the sorted array. */
static size_t place_of(const struct families *families, const char *name)
{
	size_t low = 0, high = families->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(families->sorted[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct family *families_find(struct families *families, const char *name)
{
	size_t at = place_of(families, name);

	return at < families->n && !strcmp(families->sorted[at]->name, name) ? families->sorted[at]
									     : NULL;
}

struct family *families_add(struct families *families, const char *name, const char *help,
			    enum metric_kind kind, unsigned int scale, enum level level)
{
	size_t at = place_of(families, name);
	struct family *family, **sorted;

	if (families_find(families, name)) {
		errno = EEXIST;
		return NULL;
	}
	sorted = reallocarray(families->sorted, families->n + 1, sizeof(*sorted));
	if (!sorted)
		return NULL;
	families->sorted = sorted;
	family = calloc(1, sizeof(*family));
	if (!family)
		return NULL;
	family->name = strdup(name);
	family->help = strdup(help);
	family->kind = kind;
	family->scale = scale;
	family->level = level;
	family->nr_slots = 16;
	family->slots = calloc(family->nr_slots, sizeof(*family->slots));
	if (!family->name || !family->help || !family->slots) {
		free(family->name);
		free(family->help);
		free(family->slots);
		free(family);
		errno = ENOMEM;
		return NULL;
	}
	memmove(sorted + at + 1, sorted + at, (families->n - at) * sizeof(*sorted));
	sorted[at] = family;
	families->n++;
	return family;
}

/* ---- the text of a series ---- */

/* Writes `name_suffix{labels,le="..."} ` and returns its length; with `out` NULL only counts. */
static size_t line_text(char *out, const char *name, const char *suffix, const char *labels,
			size_t len, const char *le)
{
	size_t room = out ? SIZE_MAX >> 1 : 0;
	int n;

	if (!len && !le)
		n = snprintf(out, room, "%s%s ", name, suffix);
	else
		n = snprintf(out, room, "%s%s{%.*s%s%s%s%s} ", name, suffix, (int)len, labels,
			     len && le ? "," : "", le ? "le=\"" : "", le ? le : "", le ? "\"" : "");
	return n;
}

/* All lines of a series; with `text` NULL only measures. */
static size_t series_text(const struct family *family, const char *labels, size_t len,
			  struct prefix *lines, char *text)
{
	bool histogram = family->kind == METRIC_HISTOGRAM;
	size_t n = histogram ? HIST_LINES : 1, used = 0;

	for (size_t i = 0; i < n; i++) {
		const char *le = NULL, *suffix = "";
		size_t line_len;

		if (histogram && i <= HIST_CLASSIC) {
			le = i < HIST_CLASSIC ? render_le[i] : "+Inf";
			suffix = "_bucket";
		} else if (histogram) {
			suffix = i == HIST_CLASSIC + 1 ? "_sum" : "_count";
		}
		line_len =
			line_text(text ? text + used : NULL, family->name, suffix, labels, len, le);
		if (text)
			lines[i] = (struct prefix){ text + used, line_len };
		used += line_len;
	}
	return used;
}

/* The labels stand in the first line, after the name (and "_bucket") and the brace. */
const char *series_labels(const struct series *series)
{
	const char *brace = memchr(series->lines[0].text, '{', series->lines[0].len);

	return brace ? brace + 1 : "";
}

static struct series *series_new(struct family *family, const char *labels, size_t len)
{
	size_t n = family->kind == METRIC_HISTOGRAM ? HIST_LINES : 1;
	size_t text_len = series_text(family, labels, len, NULL, NULL);
	struct series *series = malloc(sizeof(*series) + n * sizeof(*series->lines) + text_len + 1);

	if (!series)
		return NULL;
	*series = (struct series){ .labels_len = len };
	if (family->kind == METRIC_HISTOGRAM) {
		series->slots = calloc(HIST_SLOTS + 1, sizeof(*series->slots));
		if (!series->slots) {
			free(series);
			return NULL;
		}
	}
	series_text(family, labels, len, series->lines, (char *)(series->lines + n));
	return series;
}

/* ---- the table of a family ---- */

static int grow_slots(struct family *family)
{
	size_t n = family->nr_slots ? family->nr_slots * 2 : 16;
	struct series **slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < family->nr_series; i++) {
		struct series *series = family->series[i];

		if (series->index == SERIES_REMOVED)
			continue;
		series->chain = slots[series->hash & (n - 1)];
		slots[series->hash & (n - 1)] = series;
	}
	free(family->slots);
	family->slots = slots;
	family->nr_slots = n;
	return 0;
}

struct series *family_series(struct family *family, const char *labels, size_t len)
{
	uint32_t hash = hash_bytes(labels, len);
	struct series *series;

	for (series = family->slots[hash & (family->nr_slots - 1)]; series; series = series->chain)
		if (series->hash == hash && series->labels_len == len &&
		    !memcmp(series_labels(series), labels, len))
			return series;
	if (family->nr_series == family->size) {
		size_t size = family->size ? family->size * 2 : 8;
		struct series **bigger = reallocarray(family->series, size, sizeof(*bigger));

		if (!bigger)
			return NULL;
		family->series = bigger;
		family->size = size;
	}
	if (family->nr_series >= family->nr_slots && grow_slots(family))
		return NULL;
	series = series_new(family, labels, len);
	if (!series) {
		errno = ENOMEM;
		return NULL;
	}
	series->hash = hash;
	series->index = family->nr_series;
	family->series[family->nr_series++] = series;
	series->chain = family->slots[hash & (family->nr_slots - 1)];
	family->slots[hash & (family->nr_slots - 1)] = series;
	return series;
}

void family_remove(struct families *families, struct family *family, struct series *series)
{
	struct series **at = &family->slots[series->hash & (family->nr_slots - 1)];
	struct grave *grave = calloc(1, sizeof(*grave));

	while (*at != series)
		at = &(*at)->chain;
	*at = series->chain;
	if (family->kind == METRIC_HISTOGRAM)
		free(series->slots); /* snapshots have copies */
	if (grave) { /* without memory for it the series stays: a leak, not a use after free */
		grave->series = series;
		grave->generation = families->generation;
		*families->last_grave = grave;
		families->last_grave = &grave->next;
	}
	series->index =
		SERIES_REMOVED; /* leaves the list at the next publishing, with all others */
	family->nr_removed++;
}

void families_each(struct families *families, void (*each)(struct family *family, void *arg),
		   void *arg)
{
	for (size_t i = 0; i < families->n; i++)
		each(families->sorted[i], arg);
}
