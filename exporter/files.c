/* SPDX-License-Identifier: GPL-2.0-only */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "label.h"

/* The key of each row: its label's value, and what tells rows apart that have the same one. */
struct file_key {
	char label[56];
	uint64_t part;
};

/* Where the rows of a table go while it is read. */
struct reading {
	struct files *files;
	struct fold_table *fold;
	size_t rows;
	int err;
};

struct file_table {
	const char *collector;
	const char *family, *label; /* the label's name, NULL without one */
	const char *help;
	enum level level;
	enum metric_kind kind;
	unsigned int scale; /* see snapshot.h */
	uint32_t most;	    /* series, for --list */
	void (*read)(struct reading *r);
};

/* One throttle_count file that counts: of siblings, which share a core or a socket, the first's. */
struct throttle {
	unsigned int cpu, package, core;
	bool of_package, of_core;
};

struct files {
	const char *sysfs;
	int clock; /* timerfd, -1: none */
	uint64_t clock_steps;
	struct throttle *throttles;
	size_t nr_throttles;
	char online[4096]; /* the CPUs that `throttles` were made for */
};

static void add_row(struct reading *r, const char *label, uint64_t part, uint64_t value)
{
	struct file_key key = { .part = part };

	snprintf(key.label, sizeof(key.label), "%s", label);
	r->rows++;
	if (!r->err)
		r->err = fold_row(r->fold, &key, &value);
}

/* ---- reading one file ---- */

static bool read_line(char *line, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, line, size - 1);
	close(fd);
	if (n < 0)
		return false;
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	return true;
}

static bool read_number(uint64_t *number, const char *path)
{
	char line[64], *end;

	if (!read_line(line, sizeof(line), path) || *line < '0' || *line > '9')
		return false;
	errno = 0;
	*number = strtoull(line, &end, 10);
	return !errno && !*end;
}

/* ---- /sys/kernel/X_count ---- */

/* oops and warn came with 6.2, the others later: what is there is read */
static void read_incidents(struct reading *r)
{
	static const char *const kinds[] = { "warn", "oops", "softlockup", "hardlockup",
					     "rcu_stall" };
	char path[512];
	uint64_t count;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		snprintf(path, sizeof(path), "%s/kernel/%s_count", r->files->sysfs, kinds[i]);
		if (read_number(&count, path))
			add_row(r, kinds[i], 0, count);
	}
}

/* ---- cpu*\/thermal_throttle ---- */

static bool cpu_number(const struct files *files, unsigned int cpu, const char *file,
		       uint64_t *number)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/%s", files->sysfs, cpu, file);
	return read_number(number, path);
}

/* A hot core tells each of its threads, a hot socket each of its cores: one of them counts. */
static int add_throttle(struct files *files, unsigned int cpu)
{
	struct throttle *bigger, new = { .cpu = cpu, .of_package = true, .of_core = true };
	uint64_t package, core, count;

	if (!cpu_number(files, cpu, "thermal_throttle/core_throttle_count", &count) ||
	    !cpu_number(files, cpu, "topology/physical_package_id", &package) ||
	    !cpu_number(files, cpu, "topology/core_id", &core))
		return 0;
	new.package = package;
	new.core = core;
	for (size_t i = 0; i < files->nr_throttles; i++) {
		const struct throttle *t = &files->throttles[i];

		if (t->package != package)
			continue;
		new.of_package = false;
		if (t->core == core)
			return 0;
	}
	bigger = reallocarray(files->throttles, files->nr_throttles + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	files->throttles = bigger;
	bigger[files->nr_throttles++] = new;
	return 0;
}

/* "0-3,8": which there are is asked again when CPUs come or go. */
static int find_throttles(struct files *files)
{
	char path[512], line[sizeof(files->online)], *at = line;
	int err = 0;

	snprintf(path, sizeof(path), "%s/devices/system/cpu/online", files->sysfs);
	if (!read_line(line, sizeof(line), path) || !strcmp(line, files->online))
		return 0;
	files->nr_throttles = 0;
	files->online[0] = 0;
	while (*at >= '0' && *at <= '9' && !err) {
		unsigned long first = strtoul(at, &at, 10), last = first;

		if (*at == '-')
			last = strtoul(at + 1, &at, 10);
		for (; first <= last && !err; first++)
			err = add_throttle(files, first);
		at += *at == ',';
	}
	if (!err)
		memcpy(files->online, line, sizeof(line));
	return err;
}

static void read_throttles(struct reading *r)
{
	uint64_t count;

	r->err = find_throttles(r->files);
	for (size_t i = 0; i < r->files->nr_throttles; i++) {
		const struct throttle *t = &r->files->throttles[i];

		if (cpu_number(r->files, t->cpu, "thermal_throttle/core_throttle_count", &count))
			add_row(r, "core", t->cpu, count);
		if (t->of_package &&
		    cpu_number(r->files, t->cpu, "thermal_throttle/package_throttle_count", &count))
			add_row(r, "package", t->cpu, count);
	}
}

/* ---- the clock ---- */

/*
 * The kernel takes a timer of this kind out of its reader's hands when the clock is set: the read
 * fails with ECANCELED, and the next step is told again. The time it waits for is one that the
 * clock cannot be set to (2242; settimeofday ends in 2232).
 */
static int open_clock(void)
{
	const struct itimerspec far = { .it_value.tv_sec = (time_t)1 << 33 };
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 &&
	    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int files_clock_fd(const struct files *files)
{
	return files->clock;
}

void files_clock_was_set(struct files *files)
{
	uint64_t times;

	if (files->clock >= 0 && read(files->clock, &times, sizeof(times)) < 0 &&
	    errno == ECANCELED)
		files->clock_steps++;
}

static void read_clock_steps(struct reading *r)
{
	if (r->files->clock < 0)
		return;
	files_clock_was_set(r->files);
	add_row(r, "", 0, r->files->clock_steps);
}

static void read_clock_offset(struct reading *r)
{
	struct timex now = { 0 };
	int64_t offset;

	if (adjtimex(&now) < 0)
		return;
	offset = now.status & STA_NANO ? now.offset : now.offset * 1000LL;
	/* In microseconds the kernel (5.10 here: kernel/time/ntp.c) divides the low 32 bits,
	 * unsigned: a negative offset comes back as 2^32 ns more. None is larger than MAXPHASE,
	 * half a second. */
	if (offset > 500000000LL)
		offset -= 1LL << 32;
	add_row(r, "", 0, (uint64_t)offset);
}

/* ---- /sys/fs/ext4 ---- */

static void read_filesystem_errors(struct reading *r)
{
	char path[512];
	struct dirent *entry;
	uint64_t count;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/fs/ext4", r->files->sysfs);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/fs/ext4/%s/errors_count", r->files->sysfs,
			 entry->d_name);
		if (read_number(&count, path)) /* there is a folder "features" as well */
			add_row(r, entry->d_name, 0, count);
	}
	closedir(dir);
}

/* ---- the tables ---- */

static const struct file_table tables[] = {
	{ "health", "ebpf_node_kernel_incidents_total", "kind",
	  "Times the kernel complained about itself since boot: a warning, an oops, a CPU or RCU "
	  "that "
	  "was stuck. Any: read dmesg; after an oops or a lockup plan a reboot.",
	  LEVEL_NODE, METRIC_COUNTER, 0, 5, read_incidents },
	{ "health", "ebpf_node_thermal_throttles_total", "scope",
	  "Times the processor slowed down because a core or a whole package was too hot. High: "
	  "check "
	  "fans and air.",
	  LEVEL_NODE, METRIC_COUNTER, 0, 2, read_throttles },
	{ "health", "ebpf_node_clock_steps_total", NULL,
	  "Times the clock was set, so that it jumped, since the exporter started. Many: time "
	  "synchronisation does not hold the clock.",
	  LEVEL_NODE, METRIC_COUNTER, 0, 1, read_clock_steps },
	{ "health", "ebpf_node_clock_offset_seconds", NULL,
	  "What the clock is still to be moved by, in small steps, to agree with its time source; "
	  "negative when it is ahead. Far from 0: time synchronisation does not keep up.",
	  LEVEL_NODE, METRIC_GAUGE, 9, 1, read_clock_offset },
	{ "health", "ebpf_device_filesystem_errors_total", "device",
	  "Errors that an ext4 file system found in itself, by device. Any: back up, then check it "
	  "(fsck).",
	  LEVEL_DEVICE, METRIC_COUNTER, 0, 256, read_filesystem_errors },
};

static int describe(struct table *table, const struct file_table *file)
{
	struct metric *metric = calloc(1, sizeof(*metric));
	struct label *label = calloc(1, sizeof(*label));
	struct cell *cell = calloc(1, sizeof(*cell));

	*table = (struct table){ .name = strdup(file->family),
				 .file = file,
				 .map_type = BPF_MAP_TYPE_ARRAY, /* a 0 in it is a statement */
				 .key_size = sizeof(struct file_key),
				 .value_size = sizeof(uint64_t),
				 .max_entries = file->most,
				 .level = file->level,
				 .cgroup_at = -1,
				 .labels = label,
				 .metrics = metric,
				 .cells = cell };
	if (!table->name || !metric || !label || !cell)
		return -ENOMEM;
	if (file->label) {
		table->nr_labels = 1;
		label->name = strdup(file->label);
		label->size = sizeof(((struct file_key *)0)->label);
		label->kind = &label_kind_chars;
		if (!label->name)
			return -ENOMEM;
	}
	table->nr_metrics = table->nr_cells = 1;
	cell->metric = metric;
	metric->member = strdup(file->family);
	metric->help = strdup(file->help);
	metric->family = strdup(file->family);
	metric->kind = file->kind;
	metric->scale = file->scale;
	return metric->member && metric->help && metric->family ? 0 : -ENOMEM;
}

int files_add_tables(const char *collector, struct schema *schema)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		struct table *bigger;
		int err;

		if (strcmp(tables[i].collector, collector))
			continue;
		bigger = reallocarray(schema->tables, schema->nr_tables + 1, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		schema->tables = bigger;
		err = describe(&bigger[schema->nr_tables++], &tables[i]);
		if (err)
			return err;
	}
	return 0;
}

int files_read(struct files *files, const struct file_table *file, struct fold_table *fold,
	       size_t *rows)
{
	struct reading r = { .files = files, .fold = fold };

	file->read(&r);
	*rows = r.rows;
	return r.err;
}

struct files *files_new(const char *sysfs)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->sysfs = sysfs;
	files->clock = open_clock();
	return files;
}

void files_free(struct files *files)
{
	if (!files)
		return;
	if (files->clock >= 0)
		close(files->clock);
	free(files->throttles);
	free(files);
}
