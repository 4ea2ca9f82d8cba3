// SPDX-License-Identifier: GPL-2.0-only
/* options_errors: every kind of wrong usage, with the exact line the user gets. */
#include <errno.h>

#include "options_parse.h"

#define BAD_NAME(family, name)                                                                     \
	{                                                                                          \
		{ "--" family name }, "--" family name ": expected --" family                      \
				      "NAME with a collector's name of a-z, 0-9 and "              \
				      "_, not dir. See --list."                                    \
	}
#define MISSING(flag, arg)                                                                         \
	{ { "--" flag },                                                                           \
	  "--" flag " is missing its value: expected --" flag "=" arg ". See --help." },           \
		{ { "--" flag, "--once" },                                                         \
		  "--" flag " is missing its value: expected --" flag "=" arg ". See --help." },   \
		{ { "--" flag "=" },                                                               \
		  "--" flag " has an empty value: expected --" flag "=" arg ". See --help." },     \
	{                                                                                          \
		{ "--" flag, "" },                                                                 \
			"--" flag " has an empty value: expected --" flag "=" arg ". See --help."  \
	}
#define NO_VALUE(flag)                                                                             \
	{                                                                                          \
		{ "--" flag "=1" },                                                                \
			"--" flag "=1: --" flag " takes no value: leave out =1. See --help."       \
	}
#define NO_DURATION(value)                                                                         \
	{                                                                                          \
		{ "--process.retention", value },                                                  \
			"--process.retention=" value                                               \
			": expected a duration such as 500ms, 30s or 1m30s "                       \
			"(units: ns, us, ms, s, m, h, d). See --help."                             \
	}
#define INTERVAL(value)                                                                            \
	{                                                                                          \
		{ "--ebpf-probe-interval=" value },                                                \
			"--ebpf-probe-interval=" value                                             \
			": out of range: expected 0 (poll at each scrape) or "                     \
			"10ms to 1h. See --help."                                                  \
	}
#define NO_COUNT(value)                                                                            \
	{                                                                                          \
		{ "--process.max-series", value },                                                 \
			"--process.max-series=" value                                              \
			": expected a whole number in digits, such as 1000. "                      \
			"See --help."                                                              \
	}
#define BIG_COUNT(value)                                                                           \
	{                                                                                          \
		{ "--process.max-series", value },                                                 \
			"--process.max-series=" value                                              \
			": out of range: expected 0 (no process-level series) to "                 \
			"1000000. See --help."                                                     \
	}
#define NO_PATH(value)                                                                             \
	{                                                                                          \
		{ "--web.telemetry-path=" value },                                                 \
			"--web.telemetry-path=" value                                              \
			": expected a path that starts with /, such as /metrics, "                 \
			"in ASCII and without blanks, ? and #. See --help."                        \
	}
#define UNKNOWN(arg, name, hint)                                                                   \
	{                                                                                          \
		{ arg }, "unknown flag " name ": did you mean " hint "? See --help."               \
	}
#define UNKNOWN_FAR(arg, name)                                                                     \
	{                                                                                          \
		{ arg }, "unknown flag " name ". See --help."                                      \
	}
#define OPERAND(name, ...)                                                                         \
	{                                                                                          \
		{ __VA_ARGS__ },                                                                   \
			"unexpected argument " name ": only --list takes files. See --help."       \
	}
#define BOTH(a, b)                                                                                 \
	{                                                                                          \
		{ a, b }, a " and " b " exclude each other: give one of them. See --help."         \
	}

static const struct {
	args_t args;
	const char *line; /* without "bpf_exporter: " and the line feed */
} errors[] = {
	MISSING("web.listen-address", "ADDR"),
	MISSING("web.telemetry-path", "PATH"),
	MISSING("collector.dir", "DIR"),
	MISSING("ebpf-probe-interval", "DURATION"),
	MISSING("process.retention", "DURATION"),
	MISSING("process.max-series", "N"),
	MISSING("cgroup.retention", "DURATION"),
	MISSING("path.procfs", "DIR"),
	MISSING("path.cgroupfs", "DIR"),
	MISSING("path.sysfs", "DIR"),
	MISSING("path.rootfs", "DIR"),
	MISSING("process", "on|off"),
	MISSING("cgroup.include", "GLOB"),
	MISSING("cgroup.exclude", "GLOB"),
	MISSING("labels.drop", "LABEL,..."),
	MISSING("log.level", "LEVEL"),
	MISSING("log.format", "FORMAT"),
	{ { "--list=" },
	  "--list has an empty value: expected --list or --list=markdown. See --help." },
	{ { "--help=" }, "--help has an empty value: expected --help or --help=man. See --help." },
	{ { "--list=md" }, "--list=md: expected --list or --list=markdown. See --help." },
	{ { "--help=me" }, "--help=me: expected --help or --help=man. See --help." },
	{ { "--labels.drop=pods" },
	  "--labels.drop=pods: expected some of cgroup, unit, namespace, pod and container, with commas "
	  "between: did you mean pod? See --help." },
	{ { "--labels.drop=pod,,unit" },
	  "--labels.drop=: expected some of cgroup, unit, namespace, pod and container, with commas "
	  "between. See --help." },
	{ { "--labels.drop=averyveryverylongword" },
	  "--labels.drop=averyveryverylongword: expected some of cgroup, unit, namespace, pod and "
	  "container, with commas between. See --help." },
	{ { "--process=of" }, "--process=of: expected on or off: did you mean off? See --help." },
	{ { "--stats" }, "--stats goes with --once: give both. See --help." },
	{ { "--stats", "--check" }, "--stats goes with --once: give both. See --help." },
	NO_VALUE("stats"),
	NO_VALUE("check"),
	NO_VALUE("once"),
	NO_VALUE("version"),
	NO_VALUE("collector.tcp"),
	NO_VALUE("no-collector.tcp"),
	{ { "--once=" }, "--once=: --once takes no value: leave out =. See --help." },
	{ { "--collector.dri=/x" },
	  "--collector.dri takes no value: did you mean --collector.dir=DIR? See --help." },
	BAD_NAME("collector.", ""),
	BAD_NAME("collector.", "Tcp"),
	BAD_NAME("collector.", "tcp-x"),
	BAD_NAME("no-collector.", ""),
	BAD_NAME("no-collector.", "a.b"),
	BAD_NAME("no-collector.", "dir"),
	NO_DURATION("5"),
	NO_DURATION("-1s"),
	NO_DURATION(" 1s"),
	INTERVAL("9999999ns"),
	INTERVAL("3600.000000001s"),
	INTERVAL("99999999999999999999d"),
	{ { "--cgroup.retention=3651d" },
	  "--cgroup.retention=3651d: out of range: expected 0 to 3650d. See --help." },
	NO_COUNT("-1"),
	NO_COUNT("+1"),
	NO_COUNT(" 1"),
	NO_COUNT("1k"),
	NO_COUNT("0x10"),
	BIG_COUNT("1000001"),
	BIG_COUNT("18446744073709551616"),
	BIG_COUNT("184467440737095516160000000000000000000001"),
	NO_PATH("metrics"),
	NO_PATH("/m?x"),
	NO_PATH("/a b"),
	{ { "--log.level=inf" },
	  "--log.level=inf: expected error, warn, info or debug: did you "
	  "mean info? See --help." },
	{ { "--log.level=loud" },
	  "--log.level=loud: expected error, warn, info or debug. See --help." },
	{ { "--log.format=xml" }, "--log.format=xml: expected logfmt or json. See --help." },
	UNKNOWN("--web.listen-adress", "--web.listen-adress", "--web.listen-address"),
	UNKNOWN("--ebpf-probe-intervall=1s", "--ebpf-probe-intervall", "--ebpf-probe-interval"),
	UNKNOWN("--lsit", "--lsit", "--list"),
	UNKNOWN("-help", "-help", "--help"),
	UNKNOWN("--no-colector.tcp", "--no-colector.tcp", "--no-collector.tcp"),
	UNKNOWN("--Collector.tcp", "--Collector.tcp", "--collector.tcp"),
	UNKNOWN("--colector.dir=/x", "--colector.dir", "--collector.dir"),
	UNKNOWN("--collector", "--collector", "--collector.NAME"),
	UNKNOWN_FAR("--frobnicate", "--frobnicate"),
	UNKNOWN_FAR("-x", "-x"),
	UNKNOWN_FAR("-h=man", "-h"),
	UNKNOWN_FAR("--=x", "--"),
	UNKNOWN_FAR("--a\nb\x1b[0m", "--a?b?[0m"),
	OPERAND("x.o", "x.o"),
	OPERAND("false", "--once", "false"),
	OPERAND("--once", "--", "--once"),
	OPERAND("-", "-"),
	{ { "--list", "" },
	  "empty argument: expected a flag or a file: leave it out. See --help." },
	BOTH("--once", "--check"),
	BOTH("--list", "--list=markdown"),
	BOTH("--version", "--once"),
	BOTH("--check", "--help=man"),
};

/* Catches wrong usage that is let through, and messages that do not say what to do about it. */
static void usage_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct options o;
		char *said, want[512];
		int err = parse(&o, errors[i].args, &said);

		options_free(&o);
		snprintf(want, sizeof(want), "bpf_exporter: %s\n", errors[i].line);
		if (err != -EINVAL || strcmp(said, want) != 0)
			fail_msg("got %d, %sinstead of %s", err, said, want);
		free(said);
	}
}

/* Catches a buffer overrun by, or a lost line for, an argument longer than anybody thought. */
static void huge_arguments(void **state)
{
	static const char *const heads[] = { "--",
					     "-",
					     "--collector.",
					     "--collector.A",
					     "--x=",
					     "--log.level=",
					     "--no-colector.",
					     "--collector.x=",
					     "" };
	static char text[100000];

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		const args_t args = { text };
		struct options o;
		char *said;
		int err;

		memset(text, 'a', sizeof(text) - 1);
		memcpy(text, heads[i], strlen(heads[i]));
		err = parse(&o, args, &said);
		options_free(&o);
		if (!strcmp(heads[i], "--collector.")) {
			assert_int_equal(err, 0); /* a name; the loader says it is unknown */
		} else {
			assert_int_equal(err, -EINVAL);
			assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		}
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_errors),
		cmocka_unit_test(huge_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
