/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a poll and a scrape cost: poll + fold, render, gzip, at 1,000, 10,000 and 100,000 rows.
 *
 *	userspace time FILE OBJECT     prints rows; FILE: what `instructions` wrote, made by callgrind
 *	userspace instructions OBJECT  the same without a kernel, each part once, for callgrind
 *
 * Times are the least of several runs: the machine is shared, and what others take is not ours.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "clock.h"
#include "bench.h"
#include "clock.h"
#include "label.h"
#include "log.h"
#include "object.h"
#include "poll.h"
#include "serve_parts.h"

#define ROUNDS 9

static const size_t sizes[] = { 1000, 10000, 100000 };
#define SIZES (sizeof(sizes) / sizeof(*sizes))

struct key {
	uint64_t cgroup;
	int32_t pid;
	char comm[16];
	uint32_t pad;
};

/* The exporter's stages, without attach. */
struct stages {
	struct cgroup_mounts mounts;
	struct groups *groups;
	struct processes *processes;
	struct families *families;
	struct fold *fold;
	struct snapshot_store *store;
};

static void stages_open(struct stages *s)
{
	struct fold_config config = { .process_level = true,
				      .process_retention_ns = UINT64_MAX,
				      .cgroup_retention_ns = UINT64_MAX };

	*s = (struct stages){ 0 };
	cgroup_mounts_find(&s->mounts, "/proc", NULL);
	s->groups = groups_new(&s->mounts, NULL, NULL, NULL);
	s->processes = processes_new("/nowhere"); /* all of them are alive, though none exists */
	s->families = families_new();
	s->store = snapshot_store_new();
	config.families = s->families;
	config.groups = s->groups;
	config.processes = s->processes;
	s->fold = fold_new(&config);
	if (!s->groups || !s->processes || !s->families || !s->store || !s->fold)
		give_up("out of memory");
	groups_walk(s->groups, 1);
}

static void stages_close(struct stages *s)
{
	fold_free(s->fold);
	groups_free(s->groups);
	processes_free(s->processes);
	snapshot_store_free(s->store);
	families_free(s->families);
}

static struct key key_of(size_t i)
{
	struct key key = { .cgroup = 1, .pid = (int32_t)(i + 1) };

	snprintf(key.comm, sizeof(key.comm), "worker-%u", (unsigned int)i % 1000000);
	return key;
}

/* ---- without a kernel ---- */

#define COUNTED(name, size, code) do { \
		char _what[64]; \
		snprintf(_what, sizeof(_what), "%s %zu", name, size); \
		CALLGRIND_ZERO_STATS; \
		CALLGRIND_START_INSTRUMENTATION; \
		code; \
		CALLGRIND_STOP_INSTRUMENTATION; \
		CALLGRIND_DUMP_STATS_AT(_what); \
	} while (0)

static void fold_rows_of(struct fold_table *table, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++) {
		struct key key = key_of(i);
		uint64_t now = value + i;

		if (fold_row(table, &key, &now))
			give_up("fold_row: out of memory");
	}
}

/* The keys are made outside of what is counted. */
static void fold_keys(struct fold_table *table, const struct key *keys, const uint64_t *values, size_t n)
{
	if (fold_batch(table, n, keys, values))
		give_up("fold_batch: out of memory");
}

static void count_fold(const struct table *table, size_t n)
{
	struct key *keys = calloc(n, sizeof(*keys));
	uint64_t *values = calloc(n, sizeof(*values));
	struct fold_table *t;
	struct stages s;
	char why[256];

	stages_open(&s);
	t = fold_add_table(s.fold, table, why, sizeof(why));
	if (!keys || !values || !t)
		give_up("out of memory");
	fold_rows_of(t, n, 1);
	for (size_t i = 0; i < n; i++) {
		keys[i] = key_of(i);
		values[i] = 2 + i;
	}
	COUNTED("fold", n, fold_keys(t, keys, values, n));
	COUNTED("idle", n, fold_keys(t, keys, values, n));
	free(keys);
	free(values);
	stages_close(&s);
}

/* A snapshot of n counters, whose lines are as long as those of containers. */
static struct snapshot *snapshot_of(struct stages *s, size_t n)
{
	struct family *family = families_add(s->families, "ebpf_cgroup_tcp_retransmits_total",
					     "TCP segments sent again.", METRIC_COUNTER, 0, LEVEL_CGROUP);
	char labels[256];

	for (size_t i = 0; family && i < n; i++) {
		int len = snprintf(labels, sizeof(labels),
				   "namespace=\"team-%zu\",pod=\"web-7d4b9c6f5-%05zx\",container=\"app\",cause=\"%s\"",
				   i / 400, i * 2654435761 >> 7 & 0xfffff, i % 2 ? "fast" : "rto");
		struct series *series = family_series(family, labels, len);

		if (!series)
			give_up("out of memory");
		series->value = i * i * 7919 % 100000000;
	}
	if (!family || families_publish(s->families, s->store, SIZE_MAX, NULL, 0))
		give_up("out of memory");
	return snapshot_acquire(s->store);
}

static void count_render(size_t n)
{
	struct buffer out = { 0 };
	struct snapshot *snapshot;
	struct stages s;

	stages_open(&s);
	snapshot = snapshot_of(&s, n);
	COUNTED("render", n, render_text(&out, snapshot));
	COUNTED("gzip", n, serve_exposition(snapshot, true));
	buffer_free(&out);
	snapshot_release(s.store, snapshot);
	stages_close(&s);
}

static int instructions(const char *path)
{
	struct schema schema;
	char why[512];
	struct bpf_object *object = object_open_file(path, false, why, sizeof(why));

	if (!object || schema_read(&schema, object, NULL, why, sizeof(why)))
		give_up("%s: %s", path, why);
	for (size_t i = 0; i < SIZES; i++) {
		count_fold(&schema.tables[0], sizes[i]);
		count_render(sizes[i]);
	}
	return 0;
}

/* ---- against the kernel's tables ---- */

static void fill_table(int fd, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++) {
		struct key key = key_of(i);
		uint64_t now = value + i;

		if (bpf_map_update_elem(fd, &key, &now, BPF_ANY))
			give_up("cannot fill the table: %s", strerror(errno));
	}
}

/* The kernel's part: its batches, as large as the poller's, and nothing done with them; in ns. */
static double time_batches(int fd)
{
	static struct key keys[4096];
	static uint64_t values[4096];
	uint32_t position, count;
	double least = 1e18;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t took = monotonic_ns();
		int err = 0;

		for (bool first = true; !err; first = false) {
			count = 4096;
			err = bpf_map_lookup_batch(fd, first ? NULL : &position, &position, keys, values, &count,
						   NULL);
		}
		took = monotonic_ns() - took;
		if (errno != ENOENT)
			give_up("cannot read the table: %s", strerror(errno));
		if (took < least)
			least = took;
	}
	return least;
}

/* What one poll of n rows takes, in us per 1,000: when all of them grew, and when none did. */
static void time_poll(const char *path, size_t n, double *grown, double *still, double *kernel)
{
	struct options options = { .files = &path, .nr_files = 1 };
	struct node_facts facts = { .shards = 1 };
	struct collectors collectors;
	struct poller poller;
	struct node_groups node = { 0 };
	struct stages s;
	uint64_t took;

	if (collectors_open(&collectors, &options) || collectors_load(&collectors, &facts) || collectors_settle(&collectors) != 1)
		give_up("%s: cannot be loaded", path);
	stages_open(&s);
	node.groups = s.groups;
	if (poller_init(&poller, &collectors, s.fold, &node))
		give_up("out of memory");
	*grown = *still = 1e18;
	for (int i = 0; i <= ROUNDS; i++) {
		fill_table(bpf_map__fd(collectors.list[0].schema.tables[0].map), n, 1 + i);
		took = monotonic_ns();
		poller_run(&poller, took);
		took = monotonic_ns() - took;
		if (i && took < *grown) /* the first one is the birth of all series */
			*grown = took;
		took = monotonic_ns();
		poller_run(&poller, took);
		took = monotonic_ns() - took;
		if (took < *still)
			*still = took;
	}
	if (poller.tables[0].rows != n + 1)
		give_up("%zu rows were polled, not %zu", poller.tables[0].rows, n + 1);
	*kernel = time_batches(poller.tables[0].fd) / n;
	*grown /= n;
	*still /= n;
	poller_free(&poller);
	collectors_close(&collectors);
	stages_close(&s);
}

static void time_render(size_t n, double *text, double *gzip)
{
	struct snapshot *snapshot;
	struct stages s;
	uint64_t took;

	stages_open(&s);
	snapshot = snapshot_of(&s, n);
	*text = *gzip = 1e18;
	for (int i = 0; i < ROUNDS; i++) {
		took = monotonic_ns();
		if (!serve_exposition(snapshot, false))
			give_up("out of memory");
		took = monotonic_ns() - took;
		if (took < *text)
			*text = took;
		took = monotonic_ns();
		if (!serve_exposition(snapshot, true))
			give_up("out of memory");
		took = monotonic_ns() - took;
		if (took < *gzip)
			*gzip = took;
		snapshot_release(s.store, snapshot); /* bodies are kept with it: the next needs its own */
		if (families_publish(s.families, s.store, SIZE_MAX, NULL, 0))
			give_up("out of memory");
		snapshot = snapshot_acquire(s.store);
		snapshot_oldest_generation(s.store);
	}
	*text /= n;
	*gzip /= n;
	snapshot_release(s.store, snapshot);
	stages_close(&s);
}

/* "fold 1000 123456" of the file; 0 when it is not there. */
static double counted(const char *file, const char *what, size_t size)
{
	FILE *in = fopen(file, "re");
	char name[32];
	double count, found = 0;
	size_t n;

	while (in && fscanf(in, "%31s %zu %lf", name, &n, &count) == 3)
		if (n == size && !strcmp(name, what))
			found = count / n;
	if (in)
		fclose(in);
	return found;
}

static bool all_within(const double *values, double budget)
{
	for (size_t i = 0; i < SIZES; i++)
		if (values[i] > budget)
			return false;
	return true;
}

static int times(const char *file, const char *path)
{
	double grown[SIZES], still[SIZES], kernel[SIZES], text[SIZES], gzip[SIZES], n[4][SIZES];
	static const char *const names[] = { "fold", "idle", "render", "gzip" };

	for (size_t i = 0; i < SIZES; i++) {
		time_poll(path, sizes[i], &grown[i], &still[i], &kernel[i]);
		time_render(sizes[i], &text[i], &gzip[i]);
		for (int k = 0; k < 4; k++)
			n[k][i] = counted(file, names[k], sizes[i]);
	}
	table_row("poll + fold, per 1,000 rows that grew (1k/10k/100k)", "50 us", all_within(grown, 50),
		  "%.0f / %.0f / %.0f us; fold %.0f / %.0f / %.0f instructions a row", grown[0], grown[1],
		  grown[2], n[0][0], n[0][1], n[0][2]);
	table_row("poll + fold, per 1,000 rows that did not", "50 us", all_within(still, 50),
		  "%.0f / %.0f / %.0f us; fold %.0f / %.0f / %.0f instructions a row", still[0], still[1],
		  still[2], n[1][0], n[1][1], n[1][2]);
	table_row("  of these the kernel's own: bpf_map_lookup_batch", "-", NO_BUDGET, "%.0f / %.0f / %.0f us",
		  kernel[0], kernel[1], kernel[2]);
	table_row("render 1,000 series as text (1k/10k/100k)", "15 us", all_within(text, 15),
		  "%.1f / %.1f / %.1f us, with the page faults of a new body", text[0], text[1], text[2]);
	table_row("render: instructions a series", "150", all_within(n[2], 150), "%.0f / %.0f / %.0f", n[2][0],
		  n[2][1], n[2][2]);
	table_row("gzip body per 1,000 series, rendering included", "100 us", all_within(gzip, 100),
		  "%.0f / %.0f / %.0f us; %.0f / %.0f / %.0f instructions a series", gzip[0], gzip[1], gzip[2],
		  n[3][0], n[3][1], n[3][2]);
	return 0;
}

int main(int argc, char **argv)
{
	log_setup(LOG_ERROR, LOG_LOGFMT);
	if (argc == 3 && !strcmp(argv[1], "instructions"))
		return instructions(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "time"))
		return times(argv[2], argv[3]);
	give_up("usage: userspace instructions OBJECT | time FILE OBJECT");
}
