/* SPDX-License-Identifier: GPL-2.0-only */
/* render_stats: which families have the most series, for who wants to know what fills Prometheus.
 */
#include <stdlib.h>

#include "histogram.h"
#include "render.h"

#define TOP 10

static size_t series_of(const struct snapshot_family *family)
{
	/* a histogram has one per bound, and +Inf, _sum, _count */
	return family->nr_samples * (family->kind == METRIC_HISTOGRAM ? HIST_CLASSIC + 3 : 1);
}

static int descending(const void *a, const void *b)
{
	size_t x = series_of(*(const struct snapshot_family *const *)a);
	size_t y = series_of(*(const struct snapshot_family *const *)b);

	return (x < y) - (x > y);
}

void render_stats(struct buffer *out, const struct snapshot *snapshot)
{
	const struct snapshot_family **sorted = calloc(snapshot->nr_families + 1, sizeof(*sorted));
	size_t all = 0;

	if (!sorted) {
		out->failed = 1;
		return;
	}
	for (size_t i = 0; i < snapshot->nr_families; i++) {
		sorted[i] = &snapshot->families[i];
		all += series_of(sorted[i]);
	}
	qsort(sorted, snapshot->nr_families, sizeof(*sorted), descending);
	buffer_printf(out, "%8zu series in all, most of them in:\n", all);
	for (size_t i = 0; i < snapshot->nr_families && i < TOP && series_of(sorted[i]); i++)
		buffer_printf(out, "%8zu %s\n", series_of(sorted[i]), sorted[i]->name);
	free(sorted);
}
