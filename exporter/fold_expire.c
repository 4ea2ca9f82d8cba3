/* SPDX-License-Identifier: GPL-2.0-only */
/* fold_expire: groups that come get their zeros, what is past its retention goes. */
#include "fold_parts.h"
#include "histogram.h"
#include "render.h"

struct zeros {
	struct fold *fold;
	struct fold_table *table;
};

/* Alerts ask `increase(...) > 0`, which never sees a first event that no 0 came before. */
static void add_zeros(struct group *group, void *arg)
{
	struct zeros *zeros = arg;
	struct fold_table *t = zeros->table;

	for (size_t i = 0; i < t->table->nr_metrics; i++) {
		struct series *series;

		if (!t->table->metrics[i].rare || !t->families[i])
			continue;
		series = family_series(t->families[i], group->labels, group->labels_len);
		if (series && !series->group) {
			series->group = group;
			group_get(group);
		}
	}
}

struct expiry {
	struct fold *fold;
	uint64_t now_ns;
};

/* Moves a series' counts to the same labels of the group (removed). False: no memory, try again. */
static bool move_to_removed(struct fold *fold, struct family *family, struct series *series)
{
	struct group *removed = groups_removed(fold->config.groups);
	uint32_t skip = series->group->labels_len;
	struct buffer labels = { 0 };
	struct series *target = NULL;

	buffer_add(&labels, removed->labels, removed->labels_len);
	buffer_add(&labels, series_labels(series) + skip, series->labels_len - skip);
	if (!labels.failed)
		target = family_series(family, labels.data, labels.len);
	buffer_free(&labels);
	if (!target)
		return false;
	if (family->kind == METRIC_HISTOGRAM)
		for (size_t i = 0; i <= HIST_SLOTS; i++)
			target->slots[i] += series->slots[i];
	else
		target->value += series->value;
	return true;
}

/* What nobody is shown need not wait: a node that runs thousands of commands a second would keep
 * five minutes of them. */
static bool has_expired(const struct expiry *expiry, const struct series *series)
{
	uint64_t dead_ns = series->process->dead_ns;

	return dead_ns && (series->hidden ||
			   expiry->now_ns - dead_ns >= expiry->fold->config.process_retention_ns);
}

static void expire_family(struct family *family, void *arg)
{
	struct expiry *expiry = arg;
	struct fold *fold = expiry->fold;
	const struct fold_config *config = &fold->config;

	for (size_t i = 0, n = family->nr_series; i < n; i++) {
		struct series *series = family->series[i];
		struct group *group = series->group;

		if (series->index == SERIES_REMOVED || series->rows || !group)
			continue;
		if (series->process) {
			if (!has_expired(expiry, series))
				continue;
		} else {
			if (group->live || !group->gone_ns ||
			    expiry->now_ns - group->gone_ns < config->cgroup_retention_ns ||
			    !move_to_removed(fold, family, series))
				continue;
		}
		fold_remove_series(fold, family, series);
	}
}

void fold_tick(struct fold *fold, uint64_t now_ns, bool groups_changed)
{
	struct expiry expiry = { fold, now_ns };
	bool pressed = false; /* a table fills with processes: the dead must leave at once */

	for (struct fold_table *t = fold->tables; groups_changed && t; t = t->next) {
		struct zeros zeros = { fold, t };

		if (t->table->cgroup_at >= 0)
			groups_each_live(fold->config.groups, add_zeros, &zeros);
	}
	for (struct fold_table *t = fold->tables; t; t = t->next)
		pressed |= t->table->has_who && t->nr_rows > t->table->max_entries / 2;
	processes_check(fold->config.processes, now_ns, pressed);
	families_each(fold->config.families, expire_family, &expiry);
}
