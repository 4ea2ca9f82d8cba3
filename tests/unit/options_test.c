// SPDX-License-Identifier: GPL-2.0-only
/* options: the command line, its messages, --help and the man page. */
#include <errno.h>
#include <stdbool.h>

#include "group_name.h"
#include "options_flags.h"
#include "options_parse.h"

#define SEC 1000000000ULL

/* Fails the test unless `args` are accepted without a word. */
static void parse_ok(struct options *options, const args_t args)
{
	char *said;
	int err = parse(options, args, &said);

	if (err || *said)
		fail_msg("%s: got %d, %s", args[0], err, said);
	free(said);
}

/* Catches a default that differs from the documented one, or an uninitialised member. */
static void defaults(void **state)
{
	const args_t none = { NULL };
	struct options o;

	(void)state;
	parse_ok(&o, none);
	assert_int_equal(o.action, ACTION_SERVE);
	assert_int_equal(o.nr_listen, 1);
	assert_string_equal(o.listen[0], ":9435");
	assert_string_equal(o.telemetry_path, "/metrics");
	assert_int_equal(o.nr_collector_dirs + o.nr_switches + o.nr_files, 0);
	assert_string_equal(o.procfs, "/proc");
	assert_null(o.cgroupfs);
	assert_string_equal(o.sysfs, "/sys");
	assert_string_equal(o.rootfs, "/");
	assert_int_equal(o.nr_cgroup_include + o.nr_cgroup_exclude, 0);
	assert_int_equal(o.labels_drop, 0);
	assert_false(o.stats);
	assert_int_equal(o.probe_interval_ns, SEC);
	assert_int_equal(o.process_retention_ns, 300 * SEC);
	assert_int_equal(o.cgroup_retention_ns, 3600 * SEC);
	assert_int_equal(o.process_max_series, 1000);
	assert_int_equal(o.log_level, LOG_INFO);
	assert_int_equal(o.log_format, LOG_LOGFMT);
	options_free(&o);
	options_free(&o); /* a second time is harmless */
}

#define MEMBER(m) offsetof(struct options, m), sizeof(((struct options *)NULL)->m)

/* Catches a flag that sets another member, or understands only one of its two forms. */
static void values(void **state)
{
	static const struct {
		const char *flag, *value;
		size_t offset, size;
		uint64_t number;
		bool text; /* the member is the value itself */
	} cases[] = {
		{ "--web.telemetry-path", "/m", MEMBER(telemetry_path), 0, true },
		{ "--path.procfs", "/host/proc", MEMBER(procfs), 0, true },
		{ "--path.cgroupfs", "/host/cg", MEMBER(cgroupfs), 0, true },
		{ "--path.sysfs", "-x=y", MEMBER(sysfs), 0, true },
		{ "--path.rootfs", "/host", MEMBER(rootfs), 0, true },
		{ "--labels.drop", "pod", MEMBER(labels_drop), 1 << GROUP_LABEL_POD, false },
		{ "--labels.drop", "unit,namespace,unit", MEMBER(labels_drop),
		  1 << GROUP_LABEL_UNIT | 1 << GROUP_LABEL_NAMESPACE, false },
		{ "--process", "off", MEMBER(process_max_series), 0, false },
		{ "--process", "on", MEMBER(process_max_series), 1000, false },
		{ "--ebpf-probe-interval", "0", MEMBER(probe_interval_ns), 0, false },
		{ "--ebpf-probe-interval", "10ms", MEMBER(probe_interval_ns), SEC / 100, false },
		{ "--ebpf-probe-interval", "1h", MEMBER(probe_interval_ns), 3600 * SEC, false },
		{ "--process.retention", "1m30s", MEMBER(process_retention_ns), 90 * SEC, false },
		{ "--process.retention", "0", MEMBER(process_retention_ns), 0, false },
		{ "--cgroup.retention", "3650d", MEMBER(cgroup_retention_ns), 315360000 * SEC,
		  false },
		{ "--process.max-series", "0", MEMBER(process_max_series), 0, false },
		{ "--process.max-series", "1000000", MEMBER(process_max_series), 1000000, false },
		{ "--log.level", "error", MEMBER(log_level), LOG_ERROR, false },
		{ "--log.level", "warn", MEMBER(log_level), LOG_WARN, false },
		{ "--log.level", "info", MEMBER(log_level), LOG_INFO, false },
		{ "--log.level", "debug", MEMBER(log_level), LOG_DEBUG, false },
		{ "--log.format", "logfmt", MEMBER(log_format), LOG_LOGFMT, false },
		{ "--log.format", "json", MEMBER(log_format), LOG_JSON, false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
		size_t c = i / 2;
		char joined[64];
		const args_t inline_form = { joined }, two = { cases[c].flag, cases[c].value };
		struct options o;
		const char *text;
		uint64_t number = 0;

		snprintf(joined, sizeof(joined), "%s=%s", cases[c].flag, cases[c].value);
		parse_ok(&o, i % 2 ? two : inline_form);
		if (cases[c].text) {
			memcpy(&text, (char *)&o + cases[c].offset, sizeof(text));
			assert_string_equal(text, cases[c].value);
		} else {
			memcpy(&number, (char *)&o + cases[c].offset, cases[c].size);
			assert_int_equal(number, cases[c].number);
		}
		options_free(&o);
	}
}

/* Catches a repeated flag that replaces the earlier ones, and a default kept beside given ones. */
static void repeatables(void **state)
{
	const args_t args = { "--web.listen-address=:1", "--collector.dir", "/a",
			      "--web.listen-address",	 "[::1]:2",	    "--collector.dir=/b",
			      "--web.listen-address=h:3", "--cgroup.include=kube-*", "--cgroup.exclude",
			      "/a/*", "--cgroup.include", "b" };
	struct options o;

	(void)state;
	parse_ok(&o, args);
	assert_int_equal(o.nr_listen, 3);
	assert_string_equal(o.listen[0], ":1");
	assert_string_equal(o.listen[1], "[::1]:2");
	assert_string_equal(o.listen[2], "h:3");
	assert_int_equal(o.nr_collector_dirs, 2);
	assert_string_equal(o.collector_dirs[0], "/a");
	assert_string_equal(o.collector_dirs[1], "/b");
	assert_int_equal(o.nr_cgroup_include, 2);
	assert_string_equal(o.cgroup_include[0], "kube-*");
	assert_string_equal(o.cgroup_include[1], "b");
	assert_int_equal(o.nr_cgroup_exclude, 1);
	assert_string_equal(o.cgroup_exclude[0], "/a/*");
	options_free(&o);
}

/* Catches switches that are merged or reordered: the last one of a name counts. */
static void switches(void **state)
{
	const args_t args = { "--no-collector.tcp", "--collector.oom_2", "--collector.tcp",
			      "--no-collector.dirs" };
	static const struct collector_switch want[] = {
		{ "tcp", false }, { "oom_2", true }, { "tcp", true }, { "dirs", false }
	};
	struct options o;

	(void)state;
	parse_ok(&o, args);
	assert_int_equal(o.nr_switches, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(o.switches[i].name, want[i].name);
		assert_int_equal(o.switches[i].on, want[i].on);
	}
	options_free(&o);
}

/* Catches an optional value taken from the next argument, and operands lost or misplaced. */
static void actions(void **state)
{
	static const struct {
		args_t args;
		enum action action;
		size_t nr_files;
	} cases[] = {
		{ { "--list" }, ACTION_LIST, 0 },
		{ { "--list", "markdown" }, ACTION_LIST, 1 },
		{ { "a.o", "--list=markdown", "b.o" }, ACTION_LIST_MARKDOWN, 2 },
		{ { "--list", "--", "--once", "-" }, ACTION_LIST, 2 },
		{ { "--list", "--list", "--log.level", "warn", "x" }, ACTION_LIST, 1 },
		{ { "--check" }, ACTION_CHECK, 0 },
		{ { "--once", "--once" }, ACTION_ONCE, 0 },
		{ { "--version" }, ACTION_VERSION, 0 },
		{ { "--help" }, ACTION_HELP, 0 },
		{ { "-h" }, ACTION_HELP, 0 },
		{ { "--help=man" }, ACTION_MAN, 0 },
		/* Adding --help to any command line explains it. */
		{ { "--once", "--help" }, ACTION_HELP, 0 },
		{ { "-h", "--check", "me" }, ACTION_HELP, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct options o;

		parse_ok(&o, cases[i].args);
		if (o.action != cases[i].action || o.nr_files != cases[i].nr_files)
			fail_msg("case %zu: action %d, %zu files", i, o.action, o.nr_files);
		options_free(&o);
	}
}

/* Catches earlier values lost from memory when a later argument is wrong (under ASan). */
static void free_after_error(void **state)
{
	const args_t args = { "--web.listen-address=:1", "--collector.a", "--collector.dir=/x", "f",
			      "--bogus" };
	struct options o;
	char *said;

	(void)state;
	assert_int_equal(parse(&o, args, &said), -EINVAL);
	assert_string_equal(said, "bpf_exporter: unknown flag --bogus. See --help.\n");
	free(said);
	options_free(&o);
	options_free(NULL);
}

/* Catches a wrong edit distance (a swap is one edit), a wrong limit and a wrong choice of two. */
static void nearest(void **state)
{
	static const char *const words[] = {
		"tcp", "udp", "oomkill", "syscalls", "softirqs", NULL
	};
	static const char *const none[] = { NULL };
	static const struct {
		const char *word, *want;
	} cases[] = {
		{ "tcp", "tcp" },
		{ "tpc", "tcp" },
		{ "tc", "tcp" },
		{ "tcpp", "tcp" },
		{ "xdp", "udp" },
		{ "oomkil", "oomkill" },
		{ "okill", NULL },
		{ "oom_kill", "oomkill" },
		{ "sycalls", "syscalls" },
		{ "softriq", "softirqs" },
		{ "ucp", "tcp" }, /* as near as udp: the first */
		{ "abc", NULL },
		{ "", NULL },
		{ "t", NULL },
	};
	char huge[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *got = options_nearest(cases[i].word, words);

		if (!got != !cases[i].want || (got && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: got %s", cases[i].word, got ? got : "nothing");
	}
	assert_null(options_nearest("tcp", none));
	memset(huge, 't', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_null(options_nearest(huge, words));
	assert_null(options_nearest("tcp", (const char *const[]){ huge, NULL }));
	huge[64] = '\0'; /* the longest word that is compared */
	assert_ptr_equal(options_nearest(huge, (const char *const[]){ huge, NULL }), huge);
}

static char *printed(void (*print)(FILE *out))
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print(out);
	fclose(out);
	return text;
}

/* Catches a flag without help, a ragged column, a line that wraps, a help text of three lines. */
static void help(void **state)
{
	char *text = printed(options_help), *line = text, *end;
	int continued = 0;

	(void)state;
	assert_memory_equal(text, "bpf_exporter serves ", 20);
	for (; (end = strchr(line, '\n')); line = end + 1) {
		bool flag = !strncmp(line, "  --", 4), more = !strncmp(line, "        ", 8);

		*end = '\0';
		if (strlen(line) > 100)
			fail_msg("longer than 100 columns: %s", line);
		if ((flag || (more && line[20] == ' ')) && (line[33] != ' ' || line[34] == ' '))
			fail_msg("not aligned: %s", line);
		continued = more ? continued + 1 : 0;
		if (continued > 1 && line[20] == ' ')
			fail_msg("a third line: %s", line);
		*end = '\n';
	}
	assert_int_equal(*line, '\0');
	for (const struct option_flag *flag = option_flags; flag->name; flag++) {
		char start[64];

		snprintf(start, sizeof(start), "\n  --%s%s%s%s", flag->name,
			 flag->arg_optional ? "[" : "", flag->arg ? "=" : "",
			 flag->arg ? flag->arg : "");
		assert_non_null(strstr(text, start));
	}
	assert_non_null(strstr(text, "0 ok, 1 failure at run time, 2 wrong usage"));
	assert_string_equal(text + strlen(text) - 50,
			    "The metrics are at http://localhost:9435/metrics.\n");
	free(text);
}

/* Catches a '-' that would be typeset as a hyphen, text taken for a request, a missing section. */
static void man(void **state)
{
	static const char *const sections[] = { "NAME",	    "SYNOPSIS",	   "DESCRIPTION",
						"OPTIONS",  "EXIT STATUS", "FILES",
						"SECURITY", "EXAMPLES",	   "SEE ALSO" };
	static const char *const requests[] = {
		".TH ", ".SH ",	 ".SS ",  ".TP\n", ".PP\n", ".B ",
		".BR ", ".br\n", ".EX\n", ".EE\n", ".UR ",  ".UE\n"
	};
	char *text = printed(options_man), *at = text;

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		char want[32];

		snprintf(want, sizeof(want), "\n.SH %s\n", sections[i]);
		at = strstr(at, want); /* in this order */
		if (!at)
			fail_msg("no section %s here", sections[i]);
	}
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		bool request = false;

		for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
			request |= !strncmp(line, requests[i], strlen(requests[i]));
		if (*line == '\'' || *line == '\n' || (*line == '.' && !request))
			fail_msg("not a request: %.30s", line);
		if (strncmp(line, ".TH ", 4) == 0)
			continue; /* the date */
		for (char *c = line; *c != '\n'; c++) {
			if (*c == '-' && (c == line || c[-1] != '\\'))
				fail_msg("a bare '-': %.30s", line);
		}
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),    cmocka_unit_test(values),
		cmocka_unit_test(repeatables), cmocka_unit_test(switches),
		cmocka_unit_test(actions),     cmocka_unit_test(free_after_error),
		cmocka_unit_test(nearest),     cmocka_unit_test(help),
		cmocka_unit_test(man),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
