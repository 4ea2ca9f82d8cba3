/* SPDX-License-Identifier: GPL-2.0-only */
#include "series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "clock.h"
#include "hash.h"
#include "histogram.h"
#include "label_cgroup.h"
#include "render.h"

#define HIST_LINES (HIST_CLASSIC + 3) /* buckets, +Inf, _sum, _count */
#define MANY	   1000		      /* series, half a megabyte */
#define SOME_POLLS 10

/* A series that is gone, but whose text snapshots up to `generation` may show. */
struct grave {
	struct grave *next;
	uint64_t generation;
	struct series *series;
};

struct families {
	struct family **sorted; /* by name */
	size_t n;
	uint64_t generation; /* of the last published snapshot */
	struct grave *graves, **last_grave;
	size_t freed;	  /* series, since memory was given back */
	uint64_t trimmed; /* generation at which it was */
};

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
		families->freed++;
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

/* Takes the removed ones out of the list: once a poll, however many there are. */
static void compact(struct family *family)
{
	size_t kept = 0;

	for (size_t i = 0; family->nr_removed && i < family->nr_series; i++) {
		struct series *series = family->series[i];

		if (series->index == SERIES_REMOVED)
			continue;
		series->index = kept;
		family->series[kept++] = series;
	}
	if (family->nr_removed)
		family->nr_series = kept;
	family->nr_removed = 0;
}

static void bury(struct families *families, uint64_t oldest)
{
	struct grave *grave;

	while ((grave = families->graves) && grave->generation < oldest) {
		families->graves = grave->next;
		free(grave->series);
		free(grave);
		families->freed++;
	}
	if (!families->graves)
		families->last_grave = &families->graves;
#ifdef __GLIBC__
	/* The allocator keeps what lies between what is used; after many left, that is megabytes.
	 */
	if (families->freed >= MANY && families->generation - families->trimmed >= SOME_POLLS) {
		malloc_trim(0);
		families->freed = 0;
		families->trimmed = families->generation;
	}
#endif
}

/* ---- the snapshot ---- */

static int descending(const void *a, const void *b)
{
	const struct series *x = *(struct series *const *)a, *y = *(struct series *const *)b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index); /* the older one stays */
}

static size_t shown(const struct family *family, size_t max_process_series)
{
	size_t n = family->nr_series - family->nr_nameless;

	return family->level == LEVEL_PROCESS && !family->own && n > max_process_series
		       ? max_process_series
		       : n;
}

/*
 * The `n` series of a family that are shown: all whose group has a name, of processes the largest.
 * The family's own list where it is that, else to be freed; NULL with errno ENOMEM. `listed`: how
 * many the list has, those that are not shown last.
 */
static struct series **choose(struct family *family, size_t n, size_t *listed)
{
	struct series **chosen;
	size_t named = 0;

	*listed = family->nr_series;
	if (n == family->nr_series || !n)
		return family->series;
	chosen = malloc(family->nr_series * sizeof(*chosen));
	if (!chosen)
		return NULL;
	for (size_t i = 0; i < family->nr_series; i++)
		if (!family->series[i]->group || !family->series[i]->group->hidden)
			chosen[named++] = family->series[i];
	if (named > n)
		qsort(chosen, named, sizeof(*chosen), descending);
	*listed = named;
	return chosen;
}

static int fill(struct snapshot *snapshot, struct snapshot_family *out, struct family *family,
		size_t n)
{
	size_t named = family->nr_series - family->nr_nameless, listed;
	struct series **from = choose(family, n, &listed);

	if (!from && listed)
		return -ENOMEM;
	*out = (struct snapshot_family){ .name = family->name,
					 .help = family->help,
					 .kind = family->kind,
					 .scale = family->scale,
					 .nr_samples = n };
	if (family->hidden || n < named)
		for (size_t i = 0; i < listed; i++)
			from[i]->hidden = i >= n;
	family->hidden = named - n;
	out->samples = snapshot_samples(snapshot, n);
	for (size_t i = 0; i < n && i < listed; i++) {
		out->samples[i].lines = from[i]->lines;
		if (family->kind == METRIC_HISTOGRAM) {
			uint64_t *slots = snapshot_slots(snapshot);

			memcpy(slots, from[i]->slots, (HIST_SLOTS + 1) * sizeof(*slots));
			out->samples[i].slots = slots;
		} else {
			out->samples[i].value = from[i]->value;
		}
	}
	if (from != family->series)
		free(from);
	return 0;
}

int families_publish(struct families *families, struct snapshot_store *store,
		     size_t max_process_series, const struct snapshot_check *checks,
		     size_t nr_checks)
{
	size_t samples = 0, histograms = 0;
	struct snapshot *snapshot;

	for (size_t i = 0; i < families->n; i++)
		compact(families->sorted[i]);
	bury(families, snapshot_oldest_generation(store)); /* none of them is in a list any more */
	for (size_t i = 0; i < families->n; i++) {
		size_t n = shown(families->sorted[i], max_process_series);

		samples += n;
		if (families->sorted[i]->kind == METRIC_HISTOGRAM)
			histograms += n;
	}
	snapshot = snapshot_new(families->n, samples, histograms, nr_checks);
	if (!snapshot)
		return -ENOMEM;
	for (size_t i = 0; i < families->n; i++)
		if (fill(snapshot, &snapshot->families[i], families->sorted[i],
			 shown(families->sorted[i], max_process_series))) {
			snapshot_discard(snapshot);
			return -ENOMEM;
		}
	for (size_t i = 0; i < nr_checks; i++)
		snapshot->checks[i] = checks[i];
	clock_gettime(CLOCK_REALTIME, &snapshot->taken);
	snapshot->taken_mono_ns = monotonic_ns();
	snapshot_publish(store, snapshot);
	families->generation++;
	return 0;
}

void families_each(struct families *families, void (*each)(struct family *family, void *arg),
		   void *arg)
{
	for (size_t i = 0; i < families->n; i++)
		each(families->sorted[i], arg);
}
