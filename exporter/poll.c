/* SPDX-License-Identifier: GPL-2.0-only */
#include "poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "clock.h"
#include "histogram.h"
#include "log.h"

#define BATCH_BYTES  (256 << 10)	  /* of values; they fit the cache */
#define SWEEP_NS     (10 * 1000000000ULL) /* how often helpers' iterators look again (owner.bpf.c) */
#define SAY_NS	     (60 * 1000000000ULL) /* how often the same failure is logged */
#define MOST_UNREAD  10	  /* polls: a program that touched a row and did not say so is found out */
#define MAX_RETRIES  1000 /* of a call that was interrupted or is to be made again */
#define ENOTSUPP_BPF 524  /* the kernel's own ENOTSUPP, which has no name outside */

static int runs(const struct collector *c)
{
	return c->state == COLLECTOR_UP || c->state == COLLECTOR_PARTIAL;
}

/* ---- set up ---- */

static void add_tables(struct poller *poller, struct collector *c)
{
	for (size_t i = 0; i < c->schema.nr_tables; i++) {
		const struct table *table = &c->schema.tables[i];
		struct polled_table *t = &poller->tables[poller->nr_tables];

		t->fold = fold_add_table(poller->fold, table, c->reason, sizeof(c->reason));
		if (!t->fold) {
			c->state = COLLECTOR_DOWN;
			c->error = "duplicate_family";
			log_error("collector %s is off: %s", c->name, c->reason);
			return;
		}
		t->collector = c;
		t->table = table;
		t->fd = table->file ? -1 : bpf_map__fd(table->map);
		t->told = c->told[i];
		t->reads_due = 1; /* it has a row of zeros */
		poller->nr_tables++;
	}
}

static void add_collectors(struct poller *poller, bool helpers)
{
	for (size_t i = 0; i < poller->collectors->n; i++) {
		struct collector *c = &poller->collectors->list[i];

		if (!runs(c) || collector_is_helper(c) != helpers)
			continue;
		add_tables(poller, c);
		if (runs(c))
			poller->polled[poller->nr_polled++].collector = c;
	}
}

static int out_of_memory(void)
{
	log_error("out of memory");
	return -ENOMEM;
}

int poller_init(struct poller *poller, struct collectors *collectors, struct fold *fold,
		struct node_groups *node)
{
	size_t nr_tables = 0, largest = 0;

	*poller = (struct poller){
		.collectors = collectors, .fold = fold, .node = node, .groups = node->groups
	};
	poller->wanted_fd = collectors_shared_map(collectors, "shared_sweeps_wanted");
	/* The kernel writes a value for each possible CPU, whatever room we believe to need. */
	poller->cpus = libbpf_num_possible_cpus();
	if (poller->cpus < 1) {
		log_error("cannot tell how many CPUs there may be: %s; mount sysfs on /sys",
			  strerror(-poller->cpus));
		return poller->cpus < 0 ? poller->cpus : -EINVAL;
	}
	for (size_t i = 0; i < collectors->n; i++)
		nr_tables += collectors->list[i].schema.nr_tables;
	poller->tables = calloc(nr_tables + 1, sizeof(*poller->tables));
	poller->polled = calloc(collectors->n + 1, sizeof(*poller->polled));
	if (!poller->tables || !poller->polled)
		return out_of_memory();
	add_collectors(poller, true);
	add_collectors(poller, false);
	for (size_t i = 0; i < poller->nr_tables; i++) {
		const struct table *table = poller->tables[i].table;

		if (table && table->value_size > largest)
			largest = table->value_size;
	}
	poller->sums = malloc(largest + 8);
	return poller->sums ? 0 : out_of_memory();
}

void poller_free(struct poller *poller)
{
	free(poller->tables);
	free(poller->polled);
	free(poller->keys);
	free(poller->values);
	free(poller->sums);
	*poller = (struct poller){ 0 };
}

/* ---- reading one table ---- */

/* A command of bpf(2) that this kernel lacks, or lacks for the type of the map. */
static bool is_unsupported(int err)
{
	return err == EINVAL || err == EOPNOTSUPP || err == ENOTSUPP_BPF;
}

static size_t value_bytes(const struct poller *poller, const struct polled_table *t)
{
	return (size_t)t->table->value_size * (table_is_percpu(t->table) ? poller->cpus : 1);
}

static int fold_one(struct poller *poller, struct polled_table *t, const void *key,
		    const void *value)
{
	const uint64_t *words = value;
	size_t n = t->table->value_size / 8;

	if (table_is_percpu(t->table)) {
		memcpy(poller->sums, words, n * 8);
		for (int cpu = 1; cpu < poller->cpus; cpu++)
			for (size_t i = 0; i < n; i++)
				poller->sums[i] += words[cpu * n + i];
		words = poller->sums;
	}
	return fold_row(t->fold, key, words);
}

/* The rows of one batch. */
static int fold_all(struct poller *poller, struct polled_table *t, size_t n)
{
	size_t key_size = t->table->key_size, size = value_bytes(poller, t);
	int err = 0;

	if (!table_is_percpu(t->table))
		return fold_batch(t->fold, n, poller->keys, poller->values);
	for (size_t i = 0; i < n && !err; i++)
		err = fold_one(poller, t, (char *)poller->keys + i * key_size,
			       (char *)poller->values + i * size);
	return err;
}

/* Room for `rows` rows of a table. */
static int reserve(struct poller *poller, const struct polled_table *t, size_t rows)
{
	size_t keys = rows * t->table->key_size, values = rows * value_bytes(poller, t);

	if (keys > poller->keys_size) {
		free(poller->keys);
		poller->keys = malloc(keys);
		poller->keys_size = poller->keys ? keys : 0;
	}
	if (values > poller->values_size) {
		free(poller->values);
		poller->values = malloc(values);
		poller->values_size = poller->values ? values : 0;
	}
	return poller->keys && poller->values ? 0 : -ENOMEM;
}

/* At least 8: a histogram of 256 possible CPUs has 200 kB a row. */
static uint32_t batch_rows(const struct poller *poller, const struct polled_table *t)
{
	size_t rows = BATCH_BYTES / value_bytes(poller, t);

	return rows < 8 ? 8 : rows > 4096 ? 4096 : rows;
}

/*
 * All rows by bpf_map_lookup_batch. -ENOSPC means that one hash bucket has more rows than the batch
 * has room for: try again with twice the room. -EINTR (a generic map gives it after three rows that
 * vanished under it) may or may not come with rows and a new position: from the beginning again,
 * rows met twice add nothing the second time.
 */
static int read_batches(struct poller *poller, struct polled_table *t)
{
	uint32_t room = batch_rows(poller, t), position, count;
	int err = reserve(poller, t, room), retries = 0;
	bool first = true;

	t->rows = 0;
	while (!err) {
		count = room;
		err = bpf_map_lookup_batch(t->fd, first ? NULL : &position, &position, poller->keys,
					   poller->values, &count, NULL);
		if (err && errno == ENOSPC && room < t->table->max_entries) {
			room *= 2;
			err = reserve(poller, t, room);
			continue;
		}
		if (err && errno == EINTR && ++retries < MAX_RETRIES) {
			first = true;
			t->rows = 0;
			err = 0;
			continue;
		}
		if (err && errno != ENOENT)
			return -errno;
		first = false;
		t->batches = true;
		t->rows += count;
		if (fold_all(poller, t, count))
			return -ENOMEM;
		if (err)
			return 0; /* ENOENT: that was the last batch */
	}
	return err;
}

/*
 * Key by key, for kernels without batches. A key that is deleted under the walk sends it back to
 * the beginning; rows met twice add nothing the second time, and the bound ends it in any case.
 */
static int read_keys(struct poller *poller, struct polled_table *t)
{
	char *key, *next;
	bool first = true;
	int err = reserve(poller, t, 2);

	if (err)
		return err;
	key = poller->keys;
	next = key + t->table->key_size;
	t->rows = 0;
	for (size_t left = 2 * (size_t)t->table->max_entries + 1; left; left--) {
		if (bpf_map_get_next_key(t->fd, first ? NULL : key, next))
			return errno == ENOENT ? 0 : -errno;
		first = false;
		memcpy(key, next, t->table->key_size);
		if (bpf_map_lookup_elem(t->fd, key, poller->values)) {
			if (errno != ENOENT)
				return -errno;
			continue; /* deleted meanwhile */
		}
		t->rows++;
		if (fold_one(poller, t, key, poller->values))
			return -ENOMEM;
	}
	return 0;
}

struct reaper {
	struct poller *poller;
	struct polled_table *table;
};

/*
 * Takes a row out of its map. Lookup-and-delete (5.14 for hashes) leaves no moment between reading
 * and deleting; before, the row that was read unchanged for two polls is read once more. A row that
 * memory is too short for goes back: what it grew by is in nobody's books yet.
 */
static bool reap(struct fold_table *fold, const void *key, void *arg)
{
	struct reaper *reaper = arg;
	struct polled_table *t = reaper->table;
	void *value = reaper->poller->values;

	(void)fold;
	if (bpf_map_lookup_and_delete_elem(t->fd, key, value)) {
		if (errno == ENOENT)
			return true;
		if (!is_unsupported(errno) || bpf_map_lookup_elem(t->fd, key, value) ||
		    bpf_map_delete_elem(t->fd, key))
			return false;
	}
	if (!fold_one(reaper->poller, t, key, value)) {
		t->rows -= t->rows > 0;
		return true;
	}
	bpf_map_update_elem(t->fd, key, value, BPF_NOEXIST);
	t->reads_due = 2; /* it has what was not folded */
	return false;
}

/* Only what says that there are no batches leads to the slow way, for good; any other error is of
 * the moment. */
static int read_rows(struct poller *poller, struct polled_table *t)
{
	int err = t->no_batch ? -EOPNOTSUPP : read_batches(poller, t);

	if (err && !t->batches && is_unsupported(-err)) {
		err = read_keys(poller, t);
		t->no_batch = !err;
	}
	return err;
}

/*
 * Whether a table may hold what was not read yet. A program says that it touches a row before it
 * does, so each time is good for two polls: by the second one it has done it.
 */
static bool is_due(struct polled_table *t)
{
	uint64_t *touched = t->told.touched;

	if (!touched || t->table->is_refilled)
		return true;
	if (__atomic_load_n(touched, __ATOMIC_RELAXED)) {
		__atomic_store_n(touched, 0, __ATOMIC_SEQ_CST);
		t->reads_due = 2;
	}
	return t->reads_due || t->unread >= MOST_UNREAD;
}

/* Reads the rows of a table, unless they are known to be what they were. */
static int read_if_due(struct poller *poller, struct polled_table *t)
{
	int err;

	if (!is_due(t)) {
		t->unread++;
		return 0;
	}
	err = read_rows(poller, t);
	t->unread = 0;
	if (err)
		t->reads_due = 2;
	else if (t->reads_due)
		t->reads_due--;
	return err;
}

static int read_table(struct poller *poller, struct polled_table *t)
{
	struct reaper reaper = { poller, t };
	int err;

	if (t->table->file)
		return poller->files ? files_read(poller->files, t->table->file, t->fold, &t->rows)
				     : 0;
	err = read_if_due(poller, t);
	if (err)
		return err;
	if (t->table->is_refilled) {
		t->is_empty = t->rows <= 1;
		fold_rows_not_met(t->fold);
		return 0;
	}
	fold_polled(t->fold);
	if (!reserve(poller, t, 1))
		fold_dead_rows(t->fold, reap, &reaper);
	return 0;
}

/* Takes all rows out of a table that is to be filled anew. */
static int empty_table(struct poller *poller, struct polled_table *t)
{
	int err = reserve(poller, t, 2);
	char *key, *next;
	bool more;

	if (err || t->is_empty)
		return err;
	key = poller->keys;
	next = key + t->table->key_size;
	for (more = !bpf_map_get_next_key(t->fd, NULL, key); more;) {
		more = !bpf_map_get_next_key(t->fd, key, next);
		if (bpf_map_delete_elem(t->fd, key))
			return -errno;
		memcpy(key, next, t->table->key_size);
	}
	return maps_reserve_row(t->table);
}

/* ---- one poll ---- */

/*
 * Runs an iterator to its end; the programs write to maps, so what they print is nothing. EAGAIN
 * asks to go on after each million of objects (bpf_seq_read(), MAX_ITER_OBJECTS).
 */
static int run_iterator(const struct program *program)
{
	int fd = bpf_iter_create(bpf_link__fd(program->link)), retries = 0;
	char nothing[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, nothing, sizeof(nothing))) > 0 ||
	       (n < 0 && (errno == EINTR || errno == EAGAIN) && ++retries < MAX_RETRIES))
		;
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static int run_iterators(struct poller *poller, const struct collector *c)
{
	int err = 0;

	for (size_t i = 0; i < poller->nr_tables && !err; i++) {
		struct polled_table *t = &poller->tables[i];

		if (t->collector != c || !t->table->is_refilled)
			continue;
		err = empty_table(poller, t);
		t->is_empty = false;
	}
	for (size_t i = 0; i < c->nr_programs && !err; i++)
		if (c->programs[i].is_iterator && c->programs[i].link)
			err = run_iterator(&c->programs[i]);
	return err;
}

/* Whether a collector's iterators have kept still for long enough since they last ran. */
static bool may_iterate(const struct polled_collector *p, uint64_t now_ns)
{
	uint8_t percent = p->collector->iterators_percent;

	return !percent || now_ns - p->iterated_ns >= p->iterating_ns * (100 / percent);
}

/*
 * Whether helpers' iterators shall look again: from time to time, and when a program met what they
 * did not see yet, so that only the first events of a new socket lack its owner.
 */
static bool sweep_is_due(struct poller *poller, uint64_t now_ns)
{
	uint64_t wanted = poller->wanted;
	uint32_t first = 0;

	if (poller->wanted_fd >= 0)
		bpf_map_lookup_elem(poller->wanted_fd, &first, &wanted);
	if (poller->swept_ns && now_ns - poller->swept_ns < SWEEP_NS && wanted == poller->wanted)
		return false;
	poller->wanted = wanted;
	poller->swept_ns = now_ns;
	return true;
}

/* One that comes and goes with each poll is not worth a line each time. */
static void say(struct polled_collector *p, int err, uint64_t now_ns)
{
	if (err == p->said && now_ns - p->said_ns < SAY_NS)
		return;
	log_warn("collector %s: this poll failed: %s; its last values stay", p->collector->name,
		 strerror(-err));
	p->said = err;
	p->said_ns = now_ns;
}

static void note(struct polled_collector *p, uint64_t start_ns, int err)
{
	uint64_t now_ns = monotonic_ns(), took_ns = now_ns - start_ns;

	p->last_ns = took_ns;
	p->slots[HIST_SLOTS] += took_ns;
	p->slots[histogram_slot(took_ns)]++;
	if (!err)
		p->last_unix_ns = unix_ns();
	if (err && err != p->err)
		say(p, err, now_ns);
	p->err = err;
}

int poller_try(struct poller *poller)
{
	int err = 0;

	for (size_t i = 0; i < poller->nr_polled && !err; i++)
		err = run_iterators(poller, poller->polled[i].collector);
	for (size_t i = 0; i < poller->nr_tables && !err; i++)
		if (runs(poller->tables[i].collector) && !poller->tables[i].table->file)
			err = read_rows(poller, &poller->tables[i]);
	return err;
}

void poller_run(struct poller *poller, uint64_t now_ns)
{
	bool sweep = sweep_is_due(poller, now_ns);
	uint64_t version;

	groups_new_poll(poller->groups, now_ns);
	groups_refresh(poller->groups);
	for (size_t i = 0, t = 0; i < poller->nr_polled; i++) {
		struct polled_collector *p = &poller->polled[i];
		uint64_t start_ns = monotonic_ns();
		bool iterates =
			collector_is_helper(p->collector) ? sweep : may_iterate(p, start_ns);
		int err = 0;

		if (iterates) {
			err = run_iterators(poller, p->collector);
			p->iterated_ns = monotonic_ns();
			p->iterating_ns = p->iterated_ns - start_ns;
		}
		while (t < poller->nr_tables && !runs(poller->tables[t].collector))
			t++; /* put down half way, for a family that another collector has */
		for (; t < poller->nr_tables && poller->tables[t].collector == p->collector; t++) {
			int failed = 0;

			/* half filled, it would say that what is missing is gone */
			if (!poller->tables[t].table->is_refilled || (iterates && !err))
				failed = read_table(poller, &poller->tables[t]);
			err = err ? err : failed;
		}
		note(p, start_ns, err);
	}
	version = groups_version(poller->groups);
	fold_tick(poller->fold, now_ns, version != poller->version);
	poller->version = version;
}
