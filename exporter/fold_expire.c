/* SPDX-License-Identifier: GPL-2.0-only */
/* fold_expire: groups that come get their zeros, what is past its retention goes. */
#include <string.h>

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

		if (group->hidden || !t->table->metrics[i].rare || !t->families[i])
			continue;
		series = family_series(t->families[i], group->labels, group->labels_len);
		if (series)
			fold_own(t->families[i], series, group);
	}
}

struct expiry {
	struct fold *fold;
	uint64_t now_ns;
};

/*
 * Moves a series' counts to the same labels of another group. At process level the group's labels
 * come after those of the process; no other text can look like them, as their quotes would be
 * escaped. False: no memory, try again.
 */
static bool move_to_group(struct family *family, struct series *series, const struct group *to,
			  struct series **moved_to)
{
	const char *text = series_labels(series);
	const struct group *from = series->group;
	const char *at = memmem(text, series->labels_len, from->labels, from->labels_len);
	struct buffer labels = { 0 };
	struct series *target = NULL;

	if (!at)
		return false; /* cannot be: a series has its group's labels */
	buffer_add(&labels, text, at - text);
	buffer_add(&labels, to->labels, to->labels_len);
	at += from->labels_len;
	buffer_add(&labels, at, text + series->labels_len - at);
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
	*moved_to = target;
	return true;
}

/* A series of a group that has an heir: its target belongs to the heir, and to the same process. */
static void inherit_family(struct family *family, void *arg)
{
	struct fold *fold = arg;

	for (size_t i = 0, n = family->nr_series; i < n; i++) {
		struct series *series = family->series[i], *target;
		struct group *heir;

		if (series->index == SERIES_REMOVED || !series->group || !series->group->heir)
			continue;
		heir = series->group->heir;
		if (!move_to_group(family, series, heir, &target)) {
			fold->inherit_again = true;
			continue;
		}
		fold_own(family, target, heir);
		if (!target->process) {
			target->process = series->process;
			series->process = NULL;
		}
		fold_remove_series(fold, family, series);
	}
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
		struct series *series = family->series[i], *target;
		const struct group *group = series->group;

		if (series->index == SERIES_REMOVED || series->rows || !group)
			continue;
		if (series->process) {
			if (!has_expired(expiry, series))
				continue;
		} else {
			if (group->live || !group->gone_ns ||
			    expiry->now_ns - group->gone_ns < config->cgroup_retention_ns ||
			    !move_to_group(family, series, groups_removed(config->groups), &target))
				continue;
		}
		fold_remove_series(fold, family, series);
	}
}

/* Groups that got an heir give it what they counted. True when there were some. */
static bool inherit(struct fold *fold)
{
	if (!groups_take_heirs(fold->config.groups) && !fold->inherit_again)
		return false;
	fold->inherit_again = false;
	for (struct fold_table *t = fold->tables; t; t = t->next)
		if (t->table->cgroup_at >= 0)
			fold_rows_to_heirs(t);
	families_each(fold->config.families, inherit_family, fold);
	return true;
}

void fold_tick(struct fold *fold, uint64_t now_ns, bool groups_changed)
{
	struct expiry expiry = { fold, now_ns };
	bool pressed = false; /* a table fills with processes: the dead must leave at once */

	groups_changed |= inherit(fold);
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
