/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * poll: with maps made up here, and memory that is short: any allocation that fails costs that poll,
 * no count, and never the process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "log.h"
#include "poll.h"
#include "world.h"

#define FOLD	  TEST_OBJECTS "/fold.bpf.o"
#define MAX_ROWS  512
#define MAX_VALUE 1024

/* ---- memory that is short, and the kernel's maps: linked with --wrap (tests/unit.mk) ---- */

static unsigned int fail_at, allocations; /* the n-th allocation fails; 0: none */
static bool until_the_end;		  /* and all after it */

static bool is_short(void)
{
	allocations++;
	return fail_at && (until_the_end ? allocations >= fail_at : allocations == fail_at);
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
	return is_short() ? NULL : __real_calloc(n, size);
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

struct map {
	size_t key_size, value_size, n;
	char keys[MAX_ROWS][32], values[MAX_ROWS][MAX_VALUE];
};
static struct map maps[2]; /* by descriptor */
static unsigned int reads;

int __wrap_bpf_map__fd(const struct bpf_map *map);
int __wrap_bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
				const struct bpf_map_batch_opts *opts);
int __wrap_bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value);
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);

int __wrap_bpf_map__fd(const struct bpf_map *map)
{
	return !!strcmp(bpf_map__name(map), "who_plain");
}

int __wrap_bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
				const struct bpf_map_batch_opts *opts)
{
	struct map *map = &maps[fd];
	uint32_t at = in ? *(uint32_t *)in : 0, room = *count;

	(void)opts;
	reads += !in;
	for (*count = 0; *count < room && at < map->n; at++, ++*count) {
		memcpy((char *)keys + *count * map->key_size, map->keys[at], map->key_size);
		memcpy((char *)values + *count * map->value_size, map->values[at], map->value_size);
	}
	*(uint32_t *)out = at;
	if (at < map->n)
		return 0;
	errno = ENOENT;
	return -ENOENT;
}

static char *find(struct map *map, const void *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (!memcmp(map->keys[i], key, map->key_size))
			return map->values[i];
	return NULL;
}

int __wrap_bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value)
{
	struct map *map = &maps[fd];
	char *found = find(map, key);
	size_t i = found ? (size_t)(found - map->values[0]) / MAX_VALUE : 0;

	if (!found) {
		errno = ENOENT;
		return -ENOENT;
	}
	memcpy(value, found, map->value_size);
	map->n--;
	memmove(map->keys[i], map->keys[map->n], sizeof(map->keys[i]));
	memmove(map->values[i], map->values[map->n], sizeof(map->values[i]));
	return 0;
}

/* For a row that is put back. */
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	struct map *map = &maps[fd];

	(void)flags;
	memcpy(map->keys[map->n], key, map->key_size);
	memcpy(map->values[map->n++], value, map->value_size);
	return 0;
}

/* ---- what is polled ---- */

struct fixture {
	struct node_groups node;
	struct world *w;
	struct families *families;
	struct fold *fold;
	struct collector collector;
	struct collectors collectors;
	struct poller poller;
	struct table_told told[2];
	uint64_t touched[2];
	uint64_t counted; /* ever, in both tables */
	uint64_t now_ns;
};

/* An event: one more in a row of both tables. */
static void event(struct fixture *f, uint64_t cgroup, int pid)
{
	struct world_who who = world_who(cgroup, pid, "work");

	for (size_t i = 0; i < 2; i++) {
		struct map *map = &maps[i];
		char key[32] = { 0 }, *value;
		uint64_t n;

		memcpy(key, &who, map->key_size < sizeof(who) ? 8 : sizeof(who));
		value = find(map, key);
		if (!value) {
			memset(map->values[map->n], 0, MAX_VALUE);
			memcpy(map->keys[map->n], key, map->key_size);
			value = map->values[map->n++];
		}
		memcpy(&n, value, sizeof(n)); /* a counter, and a histogram's first slot */
		n++;
		memcpy(value, &n, sizeof(n));
		f->touched[i] = 1;
		f->counted++;
	}
}

static void setup_poller(struct fixture *f)
{
	static const char *const names[] = { "who_plain", "cgroup_shard" };
	struct fold_config config;
	struct schema *schema = &f->collector.schema;

	memset(f, 0, sizeof(*f));
	memset(maps, 0, sizeof(maps));
	f->w = world_new(FOLD, 1000, true);
	f->families = families_new();
	f->now_ns = f->w->now_ns;
	config = (struct fold_config){ f->families, f->w->groups, f->w->processes, 1000 * WORLD_SECOND,
				       1000 * WORLD_SECOND, true };
	f->fold = fold_new(&config);
	schema->tables = calloc(2, sizeof(*schema->tables));
	schema->nr_tables = 2;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < f->w->schema.nr_tables; k++)
			if (!strcmp(f->w->schema.tables[k].name, names[i])) {
				schema->tables[i] = f->w->schema.tables[k];
				maps[i].key_size = schema->tables[i].key_size;
				maps[i].value_size = schema->tables[i].value_size;
			}
	assert_true(maps[0].value_size && maps[1].value_size > 8 * maps[0].value_size);
	f->collector.name = (char *)"test";
	f->collector.state = COLLECTOR_UP;
	for (size_t i = 0; i < 2; i++)
		f->told[i].touched = &f->touched[i];
	f->collector.told = f->told;
	f->collectors = (struct collectors){ .list = &f->collector, .n = 1 };
	f->node.groups = f->w->groups;
	assert_int_equal(poller_init(&f->poller, &f->collectors, f->fold, &f->node), 0);
}

static void free_poller(struct fixture *f)
{
	poller_free(&f->poller);
	fold_free(f->fold);
	families_free(f->families);
	free(f->collector.schema.tables);
	world_free(f->w);
}

static void add(struct family *family, void *arg)
{
	for (size_t i = 0; family->level == LEVEL_CGROUP && i < family->nr_series; i++)
		*(uint64_t *)arg += family->kind == METRIC_HISTOGRAM ? family->series[i]->slots[0]
								     : family->series[i]->value;
}

/* What all groups have. */
static uint64_t shown(struct fixture *f)
{
	uint64_t sum = 0;

	families_each(f->families, add, &sum);
	return sum;
}

static int poll_once(struct fixture *f)
{
	f->now_ns += WORLD_SECOND;
	poller_run(&f->poller, f->now_ns);
	assert_true(shown(f) <= f->counted);
	return f->poller.polled[0].err;
}

/* ---- */

/* Bug: polling without any trouble loses or doubles something; the rest of this file would mean nothing. */
static void test_good(void **state)
{
	struct fixture f;
	uint64_t cgroup;

	(void)state;
	setup_poller(&f);
	cgroup = world_cgroup(f.w, "/a");
	for (int i = 0; i < 100; i++)
		event(&f, cgroup, 1 + i % 40);
	assert_int_equal(poll_once(&f), 0);
	assert_int_equal(shown(&f), f.counted);
	event(&f, cgroup, 1);
	assert_int_equal(poll_once(&f), 0);
	assert_int_equal(shown(&f), f.counted);
	free_poller(&f);
}

/* Both tables are read `n` times in the polls to come, and what was counted is shown. */
static void assert_reads(struct fixture *f, int polls, unsigned int n)
{
	reads = 0;
	for (int i = 0; i < polls; i++)
		assert_int_equal(poll_once(f), 0);
	assert_int_equal(reads, 2 * n);
	assert_int_equal(shown(f), f->counted);
}

/* Bug: tables that nobody touched are read all the same; or those that somebody did are not, or too early. */
static void test_untouched(void **state)
{
	struct fixture f;
	uint64_t cgroup, n = 7;

	(void)state;
	setup_poller(&f);
	cgroup = world_cgroup(f.w, "/a");
	for (int pid = 1; pid <= 2; pid++)
		world_process(f.w, pid, true);
	assert_reads(&f, 3, 1);
	event(&f, cgroup, 1);
	assert_reads(&f, 1, 1);
	for (int i = 0; i < 2; i++) { /* a program that was between saying and doing */
		memcpy(maps[i].values[0], &n, sizeof(n));
		f.counted += n - 1;
	}
	assert_reads(&f, 1, 1);
	assert_reads(&f, 7, 0);
	event(&f, cgroup, 1);
	assert_reads(&f, 9, 2);
	for (int i = 0; i < 2; i++) { /* one that never says it */
		memset(maps[i].values[0], 0, sizeof(n));
		maps[i].values[0][0] = 100;
		f.counted += 100 - n - 1;
	}
	reads = 0;
	for (int i = 0; i < 10; i++)
		poll_once(&f);
	assert_int_equal(reads, 2);
	assert_int_equal(shown(&f), f.counted);
	free_poller(&f);
}

/* Bug: a table that could not be read is not read again; or the dead stay in one that is not read. */
static void test_untouched_after_trouble(void **state)
{
	struct fixture f;
	uint64_t cgroup;

	(void)state;
	setup_poller(&f);
	cgroup = world_cgroup(f.w, "/a");
	for (int pid = 7; pid <= 8; pid++)
		world_process(f.w, pid, true);
	event(&f, cgroup, 7);
	for (int i = 0; i < 3; i++)
		poll_once(&f);
	event(&f, cgroup, 8);
	for (int i = 0; i < 3; i++) {
		allocations = 0;
		fail_at = 1;
		until_the_end = true;
		assert_int_equal(poll_once(&f), -ENOMEM);
		fail_at = 0;
	}
	assert_reads(&f, 5, 1); /* twice the one that had a row to make */
	assert_int_equal(maps[0].n, 2);
	for (int pid = 7; pid <= 8; pid++)
		world_process(f.w, pid, false);
	assert_reads(&f, 3, 0);
	assert_int_equal(maps[0].n, 0);
	free_poller(&f);
}

/* The n-th allocation of a poll fails, once or with all that follow; then there is memory again. */
static bool fail_at_nth(unsigned int n, bool rest)
{
	struct fixture f;
	bool reached;
	uint64_t cgroup;

	setup_poller(&f);
	cgroup = world_cgroup(f.w, "/a");
	for (int i = 0; i < 3; i++)
		event(&f, cgroup, 1 + i);
	assert_int_equal(poll_once(&f), 0);
	for (int i = 0; i < 5; i++) { /* rows to be folded, rows of the dead to be taken out */
		event(&f, cgroup, 1 + i);
		event(&f, world_cgroup(f.w, "/b"), 10 + i);
		free(f.poller.keys); /* so that each poll has to make room */
		free(f.poller.values);
		f.poller.keys = f.poller.values = NULL;
		f.poller.keys_size = f.poller.values_size = 0;
		allocations = 0;
		fail_at = n;
		until_the_end = rest;
		poll_once(&f);
		reached = allocations >= n;
		fail_at = 0;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(poll_once(&f), 0);
	if (shown(&f) != f.counted)
		fail_msg("allocation %u%s: %llu of %llu", n, rest ? " and all that follow" : "",
			 (unsigned long long)shown(&f), (unsigned long long)f.counted);
	free_poller(&f);
	return reached;
}

/* Bug: a buffer that could not be made is written to, or a count goes with the row it was in. */
static void test_short_memory(void **state)
{
	unsigned int n;

	(void)state;
	for (int rest = 0; rest < 2; rest++) {
		for (n = 1; fail_at_nth(n, rest); n++)
			assert_true(n < 1000);
		assert_true(n > 3); /* both buffers of both tables, at the least */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_untouched),
					    cmocka_unit_test(test_untouched_after_trouble), cmocka_unit_test(test_short_memory) };

	log_setup(LOG_ERROR, LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
