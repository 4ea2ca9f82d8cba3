/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fold: all laws at once. Random events on a map, random deaths of processes and groups, memory that
 * is short; and a model that knows but one thing: how much was counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log.h"
#include "world.h"

#define GROUPS	  6
#define PIDS	  12
#define MAX_ROWS  512
#define MAX_SEEN  4096
#define ZERO_ROWS 1 /* the row of zeros never leaves */

/* ---- memory that is short: linked with --wrap (tests/unit.mk) ---- */

static unsigned int fail_every, allocations; /* every n-th allocation fails; 0: none */

static bool is_short(void)
{
	return fail_every && ++allocations % fail_every == 0;
}

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	/* all but series.c's graves: without one it leaks the text, on purpose, and LeakSanitizer says so */
	return n * size != 24 && is_short() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return is_short() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return is_short() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return is_short() ? NULL : __real_reallocarray(old, n, size);
}

/* ---- the model ---- */

struct model_row {
	struct world_who key;
	uint64_t value[2];
};

struct seen {
	char family[64], labels[128];
	uint64_t value;
};

struct model {
	struct world *w;
	struct fold_table *table;
	struct model_row rows[MAX_ROWS]; /* the map */
	size_t nr_rows;
	uint64_t hits, wait_ns; /* ever counted */
	bool live[GROUPS];
	uint64_t ids[GROUPS];
	bool ended; /* no group comes any more */
	struct seen seen[2][MAX_SEEN];
	size_t nr_seen[2];
	int turn;
	unsigned int seed;
};

static unsigned int roll(struct model *m, unsigned int sides)
{
	m->seed = m->seed * 1103515245 + 12345;
	return (m->seed >> 16) % sides;
}

static const char *path_of(unsigned int group)
{
	/* the last two are one unit */
	static const char *const paths[GROUPS] = { "/a",	   "/b",	  "/c.service",
						   "/kubepods/pod1", "/u.scope/1", "/u.scope/2" };

	return paths[group];
}

static void toggle_group(struct model *m, unsigned int group)
{
	if (m->live[group])
		world_cgroup_gone(m->w, path_of(group));
	else
		m->ids[group] = world_cgroup(m->w, path_of(group));
	m->live[group] = !m->live[group];
}

/* An event: in a live group mostly, in one that is gone, in an unknown one, or in a full table. */
static void event(struct model *m)
{
	unsigned int group = roll(m, GROUPS), pid = 100 + roll(m, PIDS);
	struct world_who key = world_who(m->ids[group], pid, roll(m, 3) ? "old" : "new");
	struct model_row *row;
	size_t i;

	if (!roll(m, 20))
		key = world_who(m->ids[group], 0, "");
	if (!roll(m, 50) || !m->ids[group])
		key = world_who(0, 0, "");
	if (!roll(m, 100))
		key.cgroup = 1ULL << 60;
	for (i = 0; i < m->nr_rows && memcmp(&m->rows[i].key, &key, sizeof(key)); i++)
		;
	if (i == MAX_ROWS)
		return;
	row = &m->rows[i];
	if (i == m->nr_rows)
		*row = (struct model_row){ .key = key }, m->nr_rows++;
	row->value[0]++;
	m->hits++;
	if (roll(m, 2)) {
		uint64_t ns = roll(m, 1000000);

		row->value[1] += ns;
		m->wait_ns += ns;
	}
}

/* As poll.c does it: take the row out, fold what it held. */
static bool take(struct fold_table *table, const void *key, void *arg)
{
	struct model *m = arg;

	for (size_t i = 0; i < m->nr_rows; i++) {
		struct model_row row = m->rows[i];

		if (memcmp(&row.key, key, sizeof(row.key)))
			continue;
		if (fold_row(table, key, row.value))
			return false;
		m->rows[i] = m->rows[--m->nr_rows];
		return true;
	}
	return true;
}

static int poll(struct model *m)
{
	int err = 0;

	if (roll(m, 4))
		world_walk(m->w);
	if (!m->ended && !roll(m, 8)) /* a group that comes between the walk and the table */
		toggle_group(m, roll(m, GROUPS));
	for (size_t i = 0; i < m->nr_rows; i++)
		err |= fold_row(m->table, &m->rows[i].key, m->rows[i].value);
	if (!err) {
		fold_polled(m->table);
		fold_dead_rows(m->table, take, m);
	}
	m->w->now_ns += WORLD_SECOND * (1 + roll(m, 3));
	fold_tick(m->w->fold, m->w->now_ns, true);
	families_publish(m->w->families, m->w->store, 5, NULL, 0);
	return err;
}

/* ---- the laws ---- */

static void look(struct family *family, void *arg)
{
	struct model *m = arg;
	struct seen *before = m->seen[!m->turn];

	for (size_t i = 0; i < family->nr_series; i++) {
		const struct series *series = family->series[i];
		struct seen *now = &m->seen[m->turn][m->nr_seen[m->turn]];

		if (!series->lines || family->level > LEVEL_CGROUP)
			continue;
		assert_true(m->nr_seen[m->turn]++ < MAX_SEEN);
		snprintf(now->family, sizeof(now->family), "%s", family->name);
		snprintf(now->labels, sizeof(now->labels), "%.*s", (int)series->labels_len,
			 series_labels(series));
		now->value = series->value;
		for (size_t k = 0; k < m->nr_seen[!m->turn]; k++)
			if (!strcmp(before[k].family, now->family) && !strcmp(before[k].labels, now->labels) &&
			    before[k].value > now->value)
				fail_msg("%s{%s} went down from %llu to %llu", now->family, now->labels,
					 (unsigned long long)before[k].value, (unsigned long long)now->value);
	}
}

static void check_laws(struct model *m, bool complete)
{
	unsigned long long hits = world_sum(m->w, "ebpf_cgroup_who_plain_hits_total");
	unsigned long long wait = world_sum(m->w, "ebpf_cgroup_who_plain_wait_seconds_total");

	m->turn = !m->turn;
	m->nr_seen[m->turn] = 0;
	families_each(m->w->families, look, m);
	if (complete ? hits != m->hits : hits > m->hits)
		fail_msg("%llu hits in all series, %llu counted", hits, (unsigned long long)m->hits);
	if (complete ? wait != m->wait_ns : wait > m->wait_ns)
		fail_msg("%llu ns in all series, %llu counted", wait, (unsigned long long)m->wait_ns);
	assert_true(world_sum(m->w, "ebpf_who_plain_hits_total") <= hits);
}

static void run(unsigned int seed, unsigned int fail)
{
	struct model *m = calloc(1, sizeof(*m));
	int failures = 0;

	m->w = world_new(TEST_OBJECTS "/fold.bpf.o", 10, true);
	m->table = world_table(m->w, "who_plain");
	m->seed = seed;
	for (int step = 0; step < 600; step++) {
		int err;

		for (unsigned int i = roll(m, 12); i; i--)
			event(m);
		if (!roll(m, 6))
			toggle_group(m, roll(m, GROUPS));
		if (!roll(m, 3))
			world_process(m->w, 100 + roll(m, PIDS), roll(m, 2));
		fail_every = fail;
		err = poll(m);
		fail_every = 0;
		failures += !!err;
		check_laws(m, !err);
	}
	assert_true(!fail == !failures);

	/* everybody dies: what is left is (removed), (overflow) and the row of zeros */
	m->ended = true;
	for (unsigned int i = 0; i < GROUPS; i++)
		if (m->live[i])
			toggle_group(m, i);
	for (unsigned int i = 0; i < PIDS; i++)
		world_process(m->w, 100 + i, false);
	for (int i = 0; i < 60; i++)
		assert_int_equal(poll(m), 0);
	check_laws(m, true);
	assert_true(fold_rows(m->table) <= ZERO_ROWS);
	assert_int_equal(world_sum(m->w, "ebpf_who_plain_hits_total"), 0);
	assert_int_equal(processes_count(m->w->processes), 0);
	for (size_t i = 0; i < m->nr_seen[m->turn]; i++)
		if (strcmp(m->seen[m->turn][i].labels, "unit=\"u.scope\"") && /* the folder stays */
		    strcmp(m->seen[m->turn][i].labels, "cgroup=\"(removed)\"") &&
		    strcmp(m->seen[m->turn][i].labels, "cgroup=\"(overflow)\"") &&
		    strcmp(m->seen[m->turn][i].labels, "cgroup=\"(unknown)\"") &&
		    strstr(m->seen[m->turn][i].family, "_cgroup_who_plain"))
			fail_msg("%s is left", m->seen[m->turn][i].labels);
	world_free(m->w);
	free(m);
}

/* Bug: a count that is lost, doubled or goes down in some order of events that nobody thought of. */
static void test_random(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 4; seed++)
		run(seed, 0);
}

/* Bug: a failed allocation that loses counts, adds them twice, or leaves a half-made row or series. */
static void test_short_of_memory(void **state)
{
	(void)state;
	run(11, 7);
	run(12, 23);
	run(13, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_short_of_memory),
	};

	log_setup(LOG_ERROR, LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
