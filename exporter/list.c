/* SPDX-License-Identifier: GPL-2.0-only */
#include "list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "label.h"
#include "log.h"

static const char *const kind_names[] = { "counter", "gauge", "histogram" };

struct listing {
	FILE *out;
	bool markdown;
};

/* The labels of a family as its series have them; a group's are one of `cgroup` and `unit`. */
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
		fprintf(out, "%scgroup,unit", comma);
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

static void print_family(const struct table *table, const struct metric *metric, const char *name,
			 enum level level, void *arg)
{
	struct listing *listing = arg;

	if (listing->markdown) {
		fprintf(listing->out, "| `%s", name);
		print_labels(listing->out, table, metric, level);
		fprintf(listing->out, "` | %s | %s |\n", kind_names[metric->kind], metric->help);
	} else {
		fprintf(listing->out, "%s %s", kind_names[metric->kind], name);
		print_labels(listing->out, table, metric, level);
		fprintf(listing->out, "  %s\n", metric->help);
	}
}

static void print_own(struct family *family, void *arg)
{
	struct listing *listing = arg;

	fprintf(listing->out, listing->markdown ? "| `%s` | %s | %s |\n" : "%2$s %1$s  %3$s\n",
		family->name, kind_names[family->kind], family->help);
}

static void heading(struct listing *listing, const char *name, bool first)
{
	if (!first)
		fputc('\n', listing->out);
	if (listing->markdown)
		fprintf(listing->out, "**%s**\n\n| metric | type | what it says |\n|---|---|---|\n",
			name);
	else
		fprintf(listing->out, "# %s\n", name);
}

static void list(struct listing *listing, const struct collectors *collectors, struct families *own)
{
	bool first = true;

	for (size_t i = 0; i < collectors->n; i++) {
		const struct collector *c = &collectors->list[i];

		if (collector_is_helper(c))
			continue;
		heading(listing, c->name, first);
		first = false;
		for (size_t k = 0; k < c->schema.nr_tables; k++)
			schema_families(&c->schema.tables[k], print_family, listing);
	}
	if (own) {
		heading(listing, "the exporter itself", first);
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

void list_text(FILE *out, const struct collectors *collectors, struct families *own)
{
	struct listing listing = { out, false };

	list(&listing, collectors, own);
}

void list_markdown(FILE *out, const struct collectors *collectors, struct families *own)
{
	struct listing listing = { out, true };

	list(&listing, collectors, own);
}

int list_check(FILE *out, const struct collectors *collectors)
{
	int bad = 0;

	for (size_t i = 0; i < collectors->n; i++) {
		const struct collector *c = &collectors->list[i];
		size_t attached = 0, wanted = 0;

		for (size_t k = 0; k < c->nr_programs; k++) {
			attached += c->programs[k].link != NULL;
			wanted += !(c->programs[k].is_missing && c->programs[k].is_optional);
		}
		fprintf(out, "%s: %s", c->name, collector_state_names[c->state]);
		if (c->state != COLLECTOR_OFF)
			fprintf(out, ", %zu of %zu programs attached", attached, wanted);
		fprintf(out, "%s%s\n", *c->reason ? ": " : "", c->reason);
		bad += c->state == COLLECTOR_PARTIAL || c->state == COLLECTOR_DOWN;
	}
	return bad;
}
