// SPDX-License-Identifier: GPL-2.0-only
/*
 * options_flags: the one table of flags, and how the value of each kind is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "group_name.h"
#include "options_flags.h"
#include "serve.h"

static void *member(struct options *options, const struct option_flag *flag)
{
	return (char *)options + flag->offset;
}

static int bad_value(const struct option_flag *flag, const char *value, const char *expected)
{
	return options_error("--%s=%s: expected %s. See --help.", flag->name, value, expected);
}

static int parse_string(struct options *options, const struct option_flag *flag, const char *value)
{
	*(const char **)member(options, flag) = value;
	return 0;
}

static int parse_user(struct options *options, const struct option_flag *flag, const char *value)
{
	if (!*value)
		return bad_value(flag, value, "the name or number of a user");
	return parse_string(options, flag, value);
}

static int append(const char ***list, size_t *nr, const char *value)
{
	const char **grown = reallocarray(*list, *nr + 1, sizeof(**list));

	if (!grown)
		return -ENOMEM;
	grown[(*nr)++] = value;
	*list = grown;
	return 0;
}

static int parse_listen(struct options *options, const struct option_flag *flag, const char *value)
{
	const char *why = serve_bad_address(value);

	if (why)
		return options_error("--%s=%s: %s; " SERVE_ADDRESSES ". See --help.", flag->name,
				     value, why);
	return append(&options->listen, &options->nr_listen, value);
}

static int parse_dir(struct options *options, const struct option_flag *flag, const char *value)
{
	(void)flag;
	return append(&options->collector_dirs, &options->nr_collector_dirs, value);
}

/* Globs of fnmatch(3); `*` goes over '/' too. */
static int parse_include(struct options *options, const struct option_flag *flag, const char *value)
{
	if (!*value)
		return bad_value(flag, value, "a glob, such as \"kube-*\" or \"/machine.slice/*\"");
	return append(&options->cgroup_include, &options->nr_cgroup_include, value);
}

static int parse_exclude(struct options *options, const struct option_flag *flag, const char *value)
{
	if (!*value)
		return bad_value(flag, value, "a glob, such as \"kube-*\" or \"/machine.slice/*\"");
	return append(&options->cgroup_exclude, &options->nr_cgroup_exclude, value);
}

/* A query or fragment is cut off a request's path before it is compared: it would never match. */
static int parse_url_path(struct options *options, const struct option_flag *flag,
			  const char *value)
{
	bool ok = value[0] == '/';

	for (const char *c = value; *c; c++)
		ok = ok && *c > ' ' && *c < 0x7f && *c != '?' && *c != '#';
	if (!ok)
		return bad_value(flag, value,
				 "a path that starts with /, such as /metrics, in "
				 "ASCII and without blanks, ? and #");
	return parse_string(options, flag, value);
}

static int in_range(const struct option_flag *flag, const char *value, uint64_t number)
{
	if ((number == 0 && flag->zero_ok) || (number >= flag->min && number <= flag->max))
		return 0;
	return options_error("--%s=%s: out of range: expected %s. See --help.", flag->name, value,
			     flag->range);
}

static int parse_duration(struct options *options, const struct option_flag *flag,
			  const char *value)
{
	uint64_t ns = 0;
	int err = duration_parse(value, &ns);

	if (err == -EINVAL)
		return bad_value(flag, value,
				 "a duration such as 500ms, 30s or 1m30s (units: ns, "
				 "us, ms, s, m, h, d)");
	err = in_range(flag, value, err ? UINT64_MAX : ns);
	if (!err)
		*(uint64_t *)member(options, flag) = ns;
	return err;
}

static int parse_count(struct options *options, const struct option_flag *flag, const char *value)
{
	uint64_t number = 0;
	int err;

	/* By hand: strtoull() takes blanks and signs, and makes 18446744073709551615 of "-1". */
	for (const char *c = value; *c; c++) {
		if (*c < '0' || *c > '9')
			return bad_value(flag, value, "a whole number in digits, such as 1000");
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *c - '0', &number))
			number = UINT64_MAX / 10; /* stays out of range */
	}
	err = in_range(flag, value, number);
	if (!err)
		*(size_t *)member(options, flag) = number;
	return err;
}

static int parse_word(const struct option_flag *flag, const char *value, const char *const *words,
		      const char *expected)
{
	const char *near;

	for (int i = 0; words[i]; i++) {
		if (!strcmp(value, words[i]))
			return i;
	}
	near = options_nearest(value, words);
	if (near)
		return options_error("--%s=%s: expected %s: did you mean %s? See --help.",
				     flag->name, value, expected, near);
	return bad_value(flag, value, expected);
}

static int parse_log_level(struct options *options, const struct option_flag *flag,
			   const char *value)
{
	static const char *const words[] = { "error", "warn", "info", "debug", NULL };
	int level = parse_word(flag, value, words, "error, warn, info or debug");

	if (level < 0)
		return level;
	options->log_level = level;
	return 0;
}

static int parse_log_format(struct options *options, const struct option_flag *flag,
			    const char *value)
{
	static const char *const words[] = { "logfmt", "json", NULL };
	int format = parse_word(flag, value, words, "logfmt or json");

	if (format < 0)
		return format;
	options->log_format = format;
	return 0;
}

static int parse_labels(struct options *options, const struct option_flag *flag, const char *value)
{
	for (const char *at = value;; at++) {
		char word[16] = "";
		size_t n = strcspn(at, ",");
		int label;

		snprintf(word, sizeof(word), "%.*s", (int)n, at);
		label = parse_word(
			flag, n < sizeof(word) ? word : value, group_label_names,
			"some of cgroup, unit, namespace, pod and container, with commas between");
		if (label < 0)
			return label;
		options->labels_drop |= 1U << label;
		at += n;
		if (!*at)
			return 0;
	}
}

static int parse_process(struct options *options, const struct option_flag *flag, const char *value)
{
	static const char *const words[] = { "off", "on", NULL };
	int on = parse_word(flag, value, words, "on or off");

	if (on < 0)
		return on;
	options->process_off = !on;
	return 0;
}

bool option_flag_is_family(const struct option_flag *flag)
{
	return flag->name[strlen(flag->name) - 1] == '.';
}

bool option_is_collector_name(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] &&
	       strcmp(name, "dir") != 0;
}

static int parse_switch(struct options *options, const struct option_flag *flag, const char *value)
{
	struct collector_switch *grown;

	if (!option_is_collector_name(value))
		return options_error("--%s%s: expected --%sNAME with a collector's name of a-z, "
				     "0-9 and _, not dir. See --list.",
				     flag->name, value, flag->name);
	grown = reallocarray(options->switches, options->nr_switches + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[options->nr_switches].name = value;
	grown[options->nr_switches++].on = flag->name[0] != 'n';
	options->switches = grown;
	return 0;
}

/* The action's flag as the user wrote it, for the message about two of them. */
static const char *const action_names[] = {
	[ACTION_LIST] = "--list",	[ACTION_LIST_MARKDOWN] = "--list=markdown",
	[ACTION_CHECK] = "--check",	[ACTION_ONCE] = "--once",
	[ACTION_HELP] = "--help",	[ACTION_MAN] = "--help=man",
	[ACTION_VERSION] = "--version",
};

static int set_action(struct options *options, enum action action)
{
	enum action other = options->action;

	/* --help added to any command line explains it, as everywhere. */
	if (other == ACTION_HELP)
		return 0;
	if (other != ACTION_SERVE && other != action && action != ACTION_HELP)
		return options_error("%s and %s exclude each other: give one of them. See --help.",
				     action_names[other], action_names[action]);
	options->action = action;
	return 0;
}

static int parse_list(struct options *options, const struct option_flag *flag, const char *value)
{
	if (value && strcmp(value, "markdown"))
		return bad_value(flag, value, "--list or --list=markdown");
	return set_action(options, value ? ACTION_LIST_MARKDOWN : ACTION_LIST);
}

static int parse_check(struct options *options, const struct option_flag *flag, const char *value)
{
	(void)flag;
	(void)value;
	return set_action(options, ACTION_CHECK);
}

static int parse_once(struct options *options, const struct option_flag *flag, const char *value)
{
	(void)flag;
	(void)value;
	return set_action(options, ACTION_ONCE);
}

static int parse_stats(struct options *options, const struct option_flag *flag, const char *value)
{
	(void)flag;
	(void)value;
	options->stats = true;
	return 0;
}

static int parse_version(struct options *options, const struct option_flag *flag, const char *value)
{
	(void)flag;
	(void)value;
	return set_action(options, ACTION_VERSION);
}

static int parse_help(struct options *options, const struct option_flag *flag, const char *value)
{
	if (value && strcmp(value, "man"))
		return bad_value(flag, value, "--help or --help=man");
	return set_action(options, value ? ACTION_MAN : ACTION_HELP);
}

#define WEB	  "Web"
#define COLLECTOR "Collectors"
#define SERIES	  "Polling and series"
#define PATHS	  "Paths"
#define SECURITY  "Security"
#define LOGGING	  "Logging"
#define ACTIONS	  "Instead of serving (one of them)"

#define MEMBER(name) .offset = offsetof(struct options, name)

#define MS   1000000ULL
#define HOUR 3600000000000ULL
#define DAY  (24 * HOUR)
/* Retentions are added to clock readings: far below 64 bits of nanoseconds (584 years). */
#define RETENTION .max = 3650 * DAY, .zero_ok = true, .range = "0 to 3650d"

#define FLAG(name_, arg_, group_, ...)                                                             \
	.name = name_, .arg = arg_, .group = group_, .parse = __VA_ARGS__

/* --help and the man page keep this order. */
const struct option_flag option_flags[] = {
	{ FLAG("web.listen-address", "ADDR", WEB, parse_listen),
	  .help = "Address to serve on: HOST:PORT, :PORT or [IPV6]:PORT. Repeatable. Default: "
		  ":9435." },
	{ FLAG("web.telemetry-path", "PATH", WEB, parse_url_path, MEMBER(telemetry_path)),
	  .help = "Path of the metrics. Default: /metrics." },

	{ FLAG("collector.", NULL, COLLECTOR, parse_switch),
	  .help = "Switch collector NAME on. The last switch of a NAME counts. Names: see "
		  "--list." },
	{ FLAG("no-collector.", NULL, COLLECTOR, parse_switch),
	  .help = "Switch collector NAME off." },
	{ FLAG("collector.dir", "DIR", COLLECTOR, parse_dir),
	  .help = "Also load the *.bpf.o files in DIR; files and DIR must be owned by root. "
		  "Repeatable." },

	{ FLAG("ebpf-probe-interval", "DURATION", SERIES, parse_duration,
	       MEMBER(probe_interval_ns)),
	  .min = 10 * MS, .max = HOUR, .zero_ok = true,
	  .range = "0 (poll at each scrape) or 10ms to 1h",
	  .help = "Time between two polls of the kernel's tables, 10ms to 1h; 0: poll at each "
		  "scrape. Default: 1s." },
	{ FLAG("process", "on|off", SERIES, parse_process),
	  .help = "Series per process; off: only groups have series. Default: on." },
	{ FLAG("process.retention", "DURATION", SERIES, parse_duration,
	       MEMBER(process_retention_ns), RETENTION),
	  .help = "How long a dead process keeps its series. Default: 5m." },
	{ FLAG("process.max-series", "N", SERIES, parse_count, MEMBER(process_max_series)),
	  .max = 1000000, .zero_ok = true, .range = "0 (no process-level series) to 1000000",
	  .help = "Most process-level series of one metric, the largest win; 0: none at all. "
		  "Default: 1000." },
	{ FLAG("cgroup.retention", "DURATION", SERIES, parse_duration, MEMBER(cgroup_retention_ns),
	       RETENTION),
	  .help = "How long a removed cgroup keeps its series; its totals then move to "
		  "cgroup=\"(removed)\". Default: 1h." },
	{ FLAG("cgroup.include", "GLOB", SERIES, parse_include),
	  .help = "Show only groups whose path, unit or namespace matches; the others add up in "
		  "cgroup=\"(other)\". Repeatable." },
	{ FLAG("cgroup.exclude", "GLOB", SERIES, parse_exclude),
	  .help = "Do not show groups whose path, unit or namespace matches; they add up in "
		  "cgroup=\"(other)\". Repeatable." },
	{ FLAG("labels.drop", "LABEL,...", SERIES, parse_labels),
	  .help = "Leave out these labels of groups (of cgroup, unit, namespace, pod, container); "
		  "what has the same labels then adds up." },

	{ FLAG("path.procfs", "DIR", PATHS, parse_string, MEMBER(procfs)),
	  .help = "Where procfs is mounted. Default: /proc." },
	{ FLAG("path.cgroupfs", "DIR", PATHS, parse_string, MEMBER(cgroupfs)),
	  .help = "Where the cgroup tree is mounted. Default: found in the mount table." },
	{ FLAG("path.sysfs", "DIR", PATHS, parse_string, MEMBER(sysfs)),
	  .help = "Where sysfs is mounted. Default: /sys." },
	{ FLAG("path.rootfs", "DIR", PATHS, parse_string, MEMBER(rootfs)),
	  .help = "Where the node's root folder is mounted, for the names of pods and containers "
		  "(/var/log/pods, /run/containerd, ...). Default: /." },

	{ FLAG("user", "NAME", SECURITY, parse_user, MEMBER(user)),
	  .help = "User, by name or number, to become once the programs are attached. Default: "
		  "nobody when started by root, else no change." },

	{ FLAG("log.level", "LEVEL", LOGGING, parse_log_level),
	  .help = "Least severe messages printed: error, warn, info or debug. Default: info." },
	{ FLAG("log.format", "FORMAT", LOGGING, parse_log_format),
	  .help = "logfmt or json, on stderr. Default: logfmt." },

	{ FLAG("list", "markdown", ACTIONS, parse_list), .arg_optional = true,
	  .help = "List the metrics of the object files FILE..., or of all collectors, without "
		  "loading them; =markdown: as a table." },
	{ FLAG("check", NULL, ACTIONS, parse_check),
	  .help = "Load and attach every collector, print one line for each, exit." },
	{ FLAG("once", NULL, ACTIONS, parse_once),
	  .help = "Print the metrics once on stdout, exit." },
	{ FLAG("stats", NULL, ACTIONS, parse_stats),
	  .help = "With --once: print the ten families with the most series instead." },
	{ FLAG("version", NULL, ACTIONS, parse_version), .help = "Print the version, exit." },
	{ FLAG("help", "man", ACTIONS, parse_help), .arg_optional = true,
	  .help = "Print this help, exit; =man: the man page. Also -h." },
	{ .name = NULL },
};
