/* SPDX-License-Identifier: GPL-2.0-only */
#include "list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "histogram.h"
#include "label.h"
#include "log.h"

static const char *const kind_names[] = { "counter", "gauge", "histogram" };

struct listing {
	FILE *out;
	bool markdown;
	size_t process_max_series;
	const struct collector *collector;
};

/* The labels of a family as its series have them; a group's are those of group_name.h. */
static void print_labels(FILE *out, const struct table *table, const struct metric *metric,
			 enum level level)
{
	const char *comma = "{";

	for (size_t i = 0; i < table->nr_labels; i++) {
		const struct label *label = &table->labels[i];
		bool of_process = table->has_who && label->offset < WHO_SIZE;

		if (of_process && level == LEVEL_PROCESS && label->kind != label_kind_cgroup) {
			fprintf(out, "%s%s", comma, label->name);
			comma = ",";
		}
	}
	if (table->cgroup_at >= 0) {
		fprintf(out, "%scgroup,unit,namespace,pod,container", comma);
		comma = ",";
	}
	for (size_t i = 0; i < table->nr_labels; i++) {
		const struct label *label = &table->labels[i];

		if (label->kind == label_kind_cgroup ||
		    (table->has_who && label->offset < WHO_SIZE) ||
		    (level == LEVEL_PROCESS && label->group_only))
			continue;
		fprintf(out, "%s%s", comma, label->name);
		comma = ",";
	}
	if (metric->by_label) {
		fprintf(out, "%s%s", comma, metric->by_label);
		comma = ",";
	}
	if (*comma == ',')
		fputc('}', out);
}

/* How many rows with labels of their own a table can have: its room, or what its enums can name. */
static size_t most_rows(const struct table *table)
{
	size_t named = 1;

	for (size_t i = 0; i < table->nr_labels; i++) {
		if (table->labels[i].kind != &label_kind_enum)
			return table->max_entries;
		named *= table->labels[i].names.n;
		if (named > table->max_entries)
			return table->max_entries;
	}
	return named;
}

static size_t most_series(const struct listing *listing, const struct table *table,
			  const struct metric *metric, enum level level)
{
	size_t rows = most_rows(table), cells = 0;

	for (size_t i = 0; i < table->nr_cells; i++)
		cells += table->cells[i].metric == metric;
	if (metric->kind == METRIC_HISTOGRAM)
		cells = HIST_CLASSIC + 3; /* +Inf, _sum, _count */
	rows *= cells;
	return level == LEVEL_PROCESS && rows > listing->process_max_series
		       ? listing->process_max_series
		       : rows;
}

static void print_family(const struct table *table, const struct metric *metric, const char *name,
			 enum level level, void *arg)
{
	struct listing *listing = arg;
	size_t most = most_series(listing, table, metric, level);

	if (listing->markdown) {
		fprintf(listing->out, "| `%s", name);
		print_labels(listing->out, table, metric, level);
		fprintf(listing->out, "` | %s | %zu | %s |\n", kind_names[metric->kind], most,
			metric->help);
	} else {
		fprintf(listing->out, "%s %s", kind_names[metric->kind], name);
		print_labels(listing->out, table, metric, level);
		fprintf(listing->out, "  [%s, %s rate, at most %zu series]  %s\n",
			listing->collector->enabled ? "on" : "off",
			event_rate_names[listing->collector->rate], most, metric->help);
	}
}

static void print_own(struct family *family, void *arg)
{
	struct listing *listing = arg;

	fprintf(listing->out, listing->markdown ? "| `%s` | %s | %s |\n" : "%2$s %1$s  %3$s\n",
		family->name, kind_names[family->kind], family->help);
}

static void heading(const struct listing *listing, bool first)
{
	const struct collector *c = listing->collector;

	if (!first)
		fputc('\n', listing->out);
	if (!listing->markdown)
		fprintf(listing->out, "# %s\n", c ? c->name : "the exporter itself");
	else if (c)
		fprintf(listing->out,
			"**%s** (%s, %s rate)\n\n| metric | type | most series | what it says |\n"
			"|---|---|---|---|\n",
			c->name, c->enabled ? "on" : "off", event_rate_names[c->rate]);
	else
		fprintf(listing->out,
			"**the exporter itself**\n\n| metric | type | what it says |\n"
			"|---|---|---|\n");
}

static void list(struct listing *listing, const struct collectors *collectors, struct families *own)
{
	bool first = true;

	for (size_t i = 0; i < collectors->n; i++) {
		const struct collector *c = &collectors->list[i];

		if (collector_is_helper(c))
			continue;
		listing->collector = c;
		heading(listing, first);
		first = false;
		for (size_t k = 0; k < c->schema.nr_tables; k++)
			schema_families(&c->schema.tables[k], print_family, listing);
	}
	if (own) {
		listing->collector = NULL;
		heading(listing, first);
		families_each(own, print_own, listing);
	}
}

/* ---- is each metric declared once? ---- */

struct declared {
	const struct collector *collector;
	const char *twice; /* the first metric that two tables have, */
	const char *owner; /* and the collector that has it already */
	struct names {
		const char *name, *collector;
	} * names;
	size_t n;
	bool failed;
};

static void declare(const struct table *table, const struct metric *metric, const char *name,
		    enum level level, void *arg)
{
	struct declared *d = arg;
	struct names *bigger;

	(void)table;
	(void)metric;
	(void)level;
	for (size_t i = 0; i < d->n && !d->twice; i++)
		if (!strcmp(d->names[i].name, name)) {
			d->twice = name;
			d->owner = d->names[i].collector;
		}
	bigger = reallocarray(d->names, d->n + 1, sizeof(*bigger));
	if (!bigger) {
		d->failed = true;
		return;
	}
	d->names = bigger;
	d->names[d->n++] = (struct names){ name, d->collector->name };
}

int list_duplicates(const struct collectors *collectors)
{
	struct declared d = { 0 };

	for (size_t i = 0; i < collectors->n && !d.twice; i++) {
		d.collector = &collectors->list[i];
		for (size_t k = 0; k < d.collector->schema.nr_tables; k++)
			schema_families(&d.collector->schema.tables[k], declare, &d);
	}
	free(d.names);
	if (d.failed)
		log_error("out of memory");
	if (d.twice)
		log_error("%s: %s is a metric of collector %s already; rename the table or the "
			  "member",
			  d.collector->source ? d.collector->source : d.collector->name, d.twice,
			  d.owner);
	return d.failed ? -ENOMEM : d.twice ? -EEXIST : 0;
}

void list_text(FILE *out, const struct collectors *collectors, struct families *own,
	       size_t process_max_series)
{
	struct listing listing = { .out = out, .process_max_series = process_max_series };

	list(&listing, collectors, own);
}

void list_markdown(FILE *out, const struct collectors *collectors, struct families *own,
		   size_t process_max_series)
{
	struct listing listing = { .out = out,
				   .markdown = true,
				   .process_max_series = process_max_series };

	list(&listing, collectors, own);
}

int list_check(FILE *out, const struct collectors *collectors)
{
	int bad = 0;

	for (size_t i = 0; i < collectors->n; i++) {
		const struct collector *c = &collectors->list[i];
		size_t attached = 0, wanted = 0;

		for (size_t k = 0; k < c->nr_programs; k++) {
			const struct program *p = &c->programs[k];

			attached += p->link && !p->is_nested;
			wanted += !(p->is_missing && p->is_optional) && !p->is_nested;
		}
		fprintf(out, "%s: %s", c->name, collector_state_names[c->state]);
		if (c->state != COLLECTOR_OFF)
			fprintf(out, ", %zu of %zu programs attached", attached, wanted);
		fprintf(out, "%s%s\n", *c->reason ? ": " : "", c->reason);
		bad += c->state == COLLECTOR_PARTIAL || c->state == COLLECTOR_DOWN;
	}
	return bad;
}
