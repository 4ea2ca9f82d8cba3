/* SPDX-License-Identifier: GPL-2.0-only */
/* series_publish: the series of a poll -> its snapshot; those that were removed leave. */
#include "series_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "clock.h"
#include "histogram.h"
#include "label_cgroup.h"

#define MANY	   1000 /* series, half a megabyte */
#define SOME_POLLS 10

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
