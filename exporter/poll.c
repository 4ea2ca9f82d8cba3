/* SPDX-License-Identifier: GPL-2.0-only */
#include "poll_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "clock.h"
#include "histogram.h"
#include "log.h"

#define SWEEP_NS (10 * 1000000000ULL) /* how often helpers' iterators look again (owner.bpf.c) */
#define SAY_NS	 (60 * 1000000000ULL) /* how often the same failure is logged */

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
		err = poll_empty_table(poller, t);
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
			err = poll_read_rows(poller, &poller->tables[i]);
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
				failed = poll_read_table(poller, &poller->tables[t]);
			err = err ? err : failed;
		}
		note(p, start_ns, err);
	}
	version = groups_version(poller->groups);
	fold_tick(poller->fold, now_ns, version != poller->version);
	poller->version = version;
}
