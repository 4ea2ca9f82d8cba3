/* SPDX-License-Identifier: GPL-2.0-only */
#include "self.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "clock.h"
#include "group_name.h"
#include "histogram.h"
#include "label.h"
#include "version.h"

/* Every family, in one place: name, kind, scale (9: ns shown as seconds), help. */
#define OWN_FAMILIES(X)                                                                            \
	X(BUILD_INFO, "bpf_exporter_build_info", GAUGE, 0,                                         \
	  "Always 1; what this exporter was built from.")                                          \
	X(KERNEL_INFO, "bpf_exporter_kernel_info", GAUGE, 0,                                       \
	  "Always 1; the kernel, its lockdown mode and its cgroup hierarchy.")                     \
	X(SANDBOX, "bpf_exporter_sandbox", GAUGE, 0,                                               \
	  "1 when this layer confines the exporter, else 0; user is 0 for root.")                  \
	X(CAPABILITY, "bpf_exporter_capability_kept", GAUGE, 0,                                    \
	  "1 for each capability that is still held because polling fails without; usually there " \
	  "is none.")                                                                              \
	X(COLLECTOR_UP, "bpf_exporter_collector_up", GAUGE, 0,                                     \
	  "1 when the collector's programs are attached and its last poll was good, else 0.")      \
	X(COLLECTOR_ERROR, "bpf_exporter_collector_error", GAUGE, 0,                               \
	  "1 for each collector that does not run, or not whole, by the reason.")                  \
	X(PROGRAM_ATTACHED, "bpf_exporter_program_attached", GAUGE, 0,                             \
	  "1 when the program is attached; variant is the shape of its hook on this kernel.")      \
	X(MISSED_RUNS, "bpf_exporter_program_missed_runs_total", COUNTER, 0,                       \
	  "Events that the program did not see because it ran already on that CPU when they "      \
	  "came: they are in no count.")                                                           \
	X(MAP_ENTRIES, "bpf_exporter_map_entries", GAUGE, 0,                                       \
	  "Rows in the table at the last poll; arrays are not among them.")                        \
	X(MAP_CAPACITY, "bpf_exporter_map_capacity", GAUGE, 0, "Rows the table has room for.")     \
	X(MAP_MEMORY, "bpf_exporter_map_memory_bytes", GAUGE, 0, "Kernel memory of the table.")    \
	X(OVERFLOW, "bpf_exporter_table_overflow_total", COUNTER, 0,                               \
	  "Updates that found the table full and went to a coarser row: totals stay right, "       \
	  "attribution suffers.")                                                                  \
	X(POLL_DURATION, "bpf_exporter_poll_duration_seconds", HISTOGRAM, 9,                       \
	  "Time to read and fold a collector's tables, per poll.")                                 \
	X(POLLS_MISSED, "bpf_exporter_polls_missed_total", COUNTER, 0,                             \
	  "Polls that did not happen because the one before took longer than the interval.")       \
	X(LAST_POLL, "bpf_exporter_last_poll_timestamp_seconds", GAUGE, 9,                         \
	  "When the collector was last polled without an error.")                                  \
	X(SCRAPES, "bpf_exporter_scrapes_total", COUNTER, 0,                                       \
	  "HTTP requests, by class of the answer.")                                                \
	X(SCRAPE_DURATION, "bpf_exporter_scrape_duration_seconds", HISTOGRAM, 9,                   \
	  "Time to answer a scrape: render and hand over.")                                        \
	X(SCRAPE_BYTES, "bpf_exporter_scrape_response_bytes", GAUGE, 0,                            \
	  "Size of the last scrape's body.")                                                       \
	X(SERIES, "bpf_exporter_series", GAUGE, 0, "Series shown, by level.")                      \
	X(SERIES_HIDDEN, "bpf_exporter_series_hidden", GAUGE, 0,                                   \
	  "Series per process beyond --process.max-series, not shown; their groups count them.")   \
	X(TRACKED_PIDS, "bpf_exporter_tracked_pids", GAUGE, 0,                                     \
	  "Processes that have rows or series.")                                                   \
	X(FOLDED_PIDS, "bpf_exporter_folded_pids_total", COUNTER, 0,                               \
	  "Ended processes that no series tells apart any more; their groups count them. exited: " \
	  "--process.retention is over; hidden: they were beyond --process.max-series.")           \
	X(TRACKED_CGROUPS, "bpf_exporter_tracked_cgroups", GAUGE, 0, "Control groups that exist.") \
	X(RESOLUTIONS, "bpf_exporter_cgroup_resolutions_total", COUNTER, 0,                        \
	  "Cgroups that got their labels, by what they were known by; unresolved: a pod or a "     \
	  "container whose name nobody told within 30 s.")                                         \
	X(ROWS_REAPED, "bpf_exporter_rows_reaped_total", COUNTER, 0,                               \
	  "Rows taken out of the tables because their process or group is gone; their counts "     \
	  "stay.")                                                                                 \
	X(CPU, "process_cpu_seconds_total", COUNTER, 9,                                            \
	  "CPU time of the exporter, user and system.")                                            \
	X(RESIDENT, "process_resident_memory_bytes", GAUGE, 0, "Resident memory of the exporter.") \
	X(OPEN_FDS, "process_open_fds", GAUGE, 0, "Open file descriptors of the exporter.")        \
	X(START_TIME, "process_start_time_seconds", GAUGE, 9, "When the exporter started.")

#define ENUM(id, name, kind, scale, help) ID_##id,
enum { OWN_FAMILIES(ENUM) NR_FAMILIES };
#define SPEC(id, name, kind, scale, help) { name, METRIC_##kind, scale, help },
static const struct {
	const char *name;
	enum metric_kind kind;
	unsigned int scale;
	const char *help;
} specs[] = { OWN_FAMILIES(SPEC) };

struct self {
	struct families *families;
	struct family *f[NR_FAMILIES];
};

struct self *self_new(struct families *families)
{
	struct self *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->families = families;
	for (int i = 0; i < NR_FAMILIES; i++) {
		self->f[i] = families_add(families, specs[i].name, specs[i].help, specs[i].kind,
					  specs[i].scale, LEVEL_OTHER);
		if (!self->f[i]) {
			free(self);
			return NULL;
		}
		self->f[i]->own = true;
	}
	return self;
}

void self_free(struct self *self)
{
	free(self);
}

/* The series of a family with up to three labels; names and values in turn, ended by NULL. */
static struct series *series_of(struct self *self, int id, const char *const *labels)
{
	struct buffer text = { 0 };
	struct series *series = NULL;

	for (; labels && *labels; labels += 2)
		label_add(&text, labels[0], labels[1], strlen(labels[1]));
	if (!text.failed)
		series = family_series(self->f[id], text.data ? text.data : "", text.len);
	buffer_free(&text);
	return series;
}

#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A failed allocation costs this value of this poll. */
static void set(struct self *self, int id, const char *const *labels, uint64_t value)
{
	struct series *series = series_of(self, id, labels);

	if (series)
		series->value = value;
}

/* Of two numbers that grow beside each other, and are read one after the other. */
static void set_at_least(struct self *self, int id, const char *const *labels, uint64_t value)
{
	struct series *series = series_of(self, id, labels);

	if (series && series->value < value)
		series->value = value;
}

/* 0 is what could not be read: that is no statement about memory. */
static void set_known(struct self *self, int id, const char *const *labels, uint64_t value)
{
	if (value)
		set(self, id, labels, value);
}

static void set_histogram(struct self *self, int id, const char *const *labels,
			  const uint64_t *slots)
{
	struct series *series = series_of(self, id, labels);

	if (series)
		memcpy(series->slots, slots, (HIST_SLOTS + 1) * sizeof(*slots));
}

/* ---- once ---- */

/* "none [integrity] confidentiality" -> "integrity" */
static void read_lockdown(char *out, size_t size)
{
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "";
	char *open, *close;

	snprintf(out, size, "unknown");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file) && (open = strchr(line, '[')) &&
	    (close = strchr(open, ']')))
		snprintf(out, size, "%.*s", (int)(close - open - 1), open + 1);
	fclose(file);
}

/* The kernel's own figure for a map: "memlock:" of its descriptor's fdinfo. */
static uint64_t map_memory(const char *procfs, int fd)
{
	unsigned long long bytes = 0;
	char path[512], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/self/fdinfo/%d", procfs, fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	if (file)
		fclose(file);
	return bytes;
}

static void describe_collector(struct self *self, const struct collector *c, const char *procfs)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		const struct program *p = &c->programs[i];

		if ((p->is_optional && p->is_missing) || p->is_nested)
			continue;
		set(self, ID_PROGRAM_ATTACHED,
		    LABELS("collector", c->name, "program", bpf_program__name(p->bpf), "variant",
			   p->is_missing ? "missing"
			   : p->variant	 ? p->variant
					 : p->hook),
		    p->link != NULL);
	}
	for (size_t i = 0; i < c->schema.nr_tables && c->state <= COLLECTOR_PARTIAL; i++) {
		const struct table *table = &c->schema.tables[i];

		if (table->file)
			continue;
		set(self, ID_MAP_CAPACITY, LABELS("map", table->name), table->max_entries);
		set_known(self, ID_MAP_MEMORY, LABELS("map", table->name),
			  map_memory(procfs, bpf_map__fd(table->map)));
	}
}

void self_describe(struct self *self, const struct collectors *collectors,
		   const struct cgroup_mounts *mounts, const char *procfs)
{
	struct utsname uname_buffer = { 0 };
	char lockdown[32];

	uname(&uname_buffer);
	read_lockdown(lockdown, sizeof(lockdown));
	set(self, ID_BUILD_INFO,
	    LABELS("version", BPF_EXPORTER_VERSION, "revision", BPF_EXPORTER_REVISION, "libbpf",
		   libbpf_version_string(), "compiler", __VERSION__),
	    1);
	set(self, ID_KERNEL_INFO,
	    LABELS("release", uname_buffer.release, "machine", uname_buffer.machine, "lockdown",
		   lockdown, "cgroup_mode", cgroup_mode_names[mounts->mode]),
	    1);
	set(self, ID_START_TIME, NULL, unix_ns());
	for (size_t i = 0; i < collectors->n; i++)
		describe_collector(self, &collectors->list[i], procfs);
}

void self_sandbox(struct self *self, const struct privilege_report *report)
{
	const struct {
		const char *layer;
		bool on;
	} layers[] = {
		{ "capabilities", report->dropped },	  { "user", report->uid != 0 },
		{ "no_new_privs", report->no_new_privs }, { "landlock", report->landlock > 0 },
		{ "seccomp", report->seccomp },
	};

	for (size_t i = 0; i < sizeof(layers) / sizeof(*layers); i++)
		set(self, ID_SANDBOX, LABELS("layer", layers[i].layer), layers[i].on);
	for (int i = 0; i < 64; i++)
		if (report->kept >> i & 1 && privilege_capability_name(i))
			set(self, ID_CAPABILITY, LABELS("capability", privilege_capability_name(i)),
			    1);
}

/* ---- each poll ---- */

/*
 * The kernel counts what it left out (recursion_misses, since 5.12; of tracepoints since it does
 * so, 6.1). Where a second program was there for that, only what neither of them saw is missed.
 */
static void update_programs(struct self *self, const struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		const struct program *p = &c->programs[i];
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		uint64_t missed, rescued;

		if (!p->link || p->is_iterator || p->is_nested)
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(p->bpf), &info, &size) ||
		    size < offsetof(struct bpf_prog_info, recursion_misses) +
				    sizeof(info.recursion_misses))
			continue;
		missed = info.recursion_misses;
		rescued = p->rescued ? __atomic_load_n(p->rescued, __ATOMIC_RELAXED) : 0;
		set_at_least(self, ID_MISSED_RUNS,
			     LABELS("collector", c->name, "program", bpf_program__name(p->bpf)),
			     missed > rescued ? missed - rescued : 0);
	}
}

static void update_collectors(struct self *self, const struct poller *poller)
{
	const struct collectors *collectors = poller->collectors;

	for (size_t i = 0; i < collectors->n; i++) {
		const struct collector *c = &collectors->list[i];
		bool up = c->state == COLLECTOR_UP || c->state == COLLECTOR_PARTIAL;

		for (size_t k = 0; k < poller->nr_polled; k++)
			if (poller->polled[k].collector == c)
				up = up && !poller->polled[k].err;
		if (c->state != COLLECTOR_OFF)
			set(self, ID_COLLECTOR_UP, LABELS("collector", c->name), up);
		if (c->error)
			set(self, ID_COLLECTOR_ERROR,
			    LABELS("collector", c->name, "reason", c->error), 1);
		update_programs(self, c);
	}
	for (size_t i = 0; i < poller->nr_polled; i++) {
		const struct polled_collector *p = &poller->polled[i];

		set_histogram(self, ID_POLL_DURATION, LABELS("collector", p->collector->name),
			      p->slots);
		set(self, ID_LAST_POLL, LABELS("collector", p->collector->name), p->last_unix_ns);
	}
	for (size_t i = 0; i < poller->nr_tables; i++) {
		const struct polled_table *t = &poller->tables[i];

		if (t->table->file)
			continue;
		if (!table_is_array(t->table)) /* which always has all of them */
			set(self, ID_MAP_ENTRIES, LABELS("map", t->table->name), t->rows);
		if (t->told.lost)
			set(self, ID_OVERFLOW, LABELS("table", t->table->name),
			    __atomic_load_n(t->told.lost, __ATOMIC_RELAXED));
	}
}

static void count_family(struct family *family, void *arg)
{
	uint64_t *counts = arg; /* shown per level, then hidden */

	if (family->own)
		return;
	counts[family->level] += family->nr_series - family->nr_nameless - family->hidden;
	counts[LEVEL_OTHER + 1] += family->hidden;
}

static void update_serve(struct self *self, const struct serve_stats *serve)
{
	static const char *const codes[] = { NULL, NULL, "2xx", "3xx", "4xx", "5xx" };

	for (int i = 2; i < 6; i++)
		if (serve->scrapes_by_code[i] || i == 2)
			set(self, ID_SCRAPES, LABELS("code", codes[i]), serve->scrapes_by_code[i]);
	set_histogram(self, ID_SCRAPE_DURATION, NULL, serve->duration_slots);
	set(self, ID_SCRAPE_BYTES, NULL, serve->last_bytes);
}

static uint64_t resident_bytes(const char *procfs)
{
	unsigned long long pages = 0;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/self/statm", procfs);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/* The size of the folder since 6.2 (f1f1f2569901); before, it is 0 and the entries are counted. */
static uint64_t open_fds(const char *procfs)
{
	uint64_t n = 0;
	struct stat st;
	char path[512];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/self/fd", procfs);
	if (!stat(path, &st) && st.st_size)
		return st.st_size;
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

void self_update(struct self *self, const struct self_input *input)
{
	uint64_t counts[LEVEL_OTHER + 2] = { 0 };
	struct timespec cpu;

	update_collectors(self, input->poller);
	families_each(self->families, count_family, counts);
	for (int i = 0; i <= LEVEL_OTHER; i++)
		if (counts[i] || i <= LEVEL_CGROUP)
			set(self, ID_SERIES, LABELS("level", level_names[i]), counts[i]);
	set(self, ID_SERIES_HIDDEN, NULL, counts[LEVEL_OTHER + 1]);
	set(self, ID_POLLS_MISSED, NULL, input->polls_missed);
	set(self, ID_TRACKED_PIDS, NULL, processes_count(input->processes));
	for (int i = 0; i < NR_FOLDED; i++)
		set(self, ID_FOLDED_PIDS, LABELS("reason", folded_names[i]),
		    processes_folded(input->processes)[i]);
	set(self, ID_TRACKED_CGROUPS, NULL, groups_count(input->groups));
	for (int i = 0; i < NR_RESOLUTIONS; i++)
		set(self, ID_RESOLUTIONS, LABELS("result", resolution_names[i]),
		    groups_resolutions(input->groups)[i]);
	set(self, ID_ROWS_REAPED, NULL, fold_reaped(input->fold));
	if (input->serve)
		update_serve(self, input->serve);
	if (!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu)) /* a real system call */
		set(self, ID_CPU, NULL, timespec_ns(cpu));
	set_known(self, ID_RESIDENT, NULL, resident_bytes(input->procfs));
	set_known(self, ID_OPEN_FDS, NULL, open_fds(input->procfs));
}
