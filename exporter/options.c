// SPDX-License-Identifier: GPL-2.0-only
/*
 * options: argv -> struct options, by the table in options_flags.c.
 *
 * Not getopt_long(): it takes abbreviations, which a later flag silently turns into errors, it
 * knows no families such as --collector.<name>, and its messages say neither what was expected nor
 * what to do.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "options_flags.h"

#define MAX_FLAGS 64
#define MAX_NAME  128

/* Where the parser stands in argv. */
struct cursor {
	int argc, i;
	char **argv;
	bool operands_only; /* behind "--" */
};

int options_error(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	fprintf(stderr, "bpf_exporter: %s\n", text);
	return -EINVAL;
}

static const char *suffix(const struct option_flag *flag)
{
	return option_flag_is_family(flag) ? "NAME" : "";
}

static const struct option_flag *find_flag(const char *name, size_t len)
{
	for (const struct option_flag *flag = option_flags; flag->name; flag++) {
		if (strlen(flag->name) == len && !memcmp(flag->name, name, len))
			return flag;
	}
	return NULL;
}

/* The family whose prefix `name` has; exact flags such as collector.dir are looked for before. */
static const struct option_flag *find_family(const char *name)
{
	for (const struct option_flag *flag = option_flags; flag->name; flag++) {
		if (option_flag_is_family(flag) && !strncmp(name, flag->name, strlen(flag->name)))
			return flag;
	}
	return NULL;
}

static const struct option_flag *nearest_flag(const char *name)
{
	const char *words[MAX_FLAGS], *near;
	size_t nr = 0;

	for (const struct option_flag *flag = option_flags; flag->name && nr < MAX_FLAGS - 1;
	     flag++)
		words[nr++] = flag->name;
	words[nr] = NULL;
	near = options_nearest(name, words);
	return near ? find_flag(near, strlen(near)) : NULL;
}

/*
 * "--no-colector.tcp" is meant as a family with the name tcp: as a whole it may be nearer to
 * another flag.
 */
static const struct option_flag *nearest_family(const char *name, const char **rest)
{
	const char *dot = strchr(name, '.');
	const struct option_flag *near;
	char prefix[MAX_NAME];

	if (!dot || !option_is_collector_name(dot + 1))
		return NULL;
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(dot + 1 - name), name);
	near = nearest_flag(prefix);
	*rest = dot + 1;
	return near && option_flag_is_family(near) ? near : NULL;
}

/* `arg` is "--name" or "-name", with or without "=value". */
static int unknown_flag(const char *arg)
{
	int dashes = arg[1] == '-' ? 2 : 1, len = strcspn(arg, "=");
	const struct option_flag *near = NULL;
	const char *rest = NULL;
	char name[MAX_NAME];

	if (snprintf(name, sizeof(name), "%.*s", len - dashes, arg + dashes) < MAX_NAME) {
		near = nearest_family(name, &rest);
		if (!near)
			near = nearest_flag(name);
	}
	if (!near)
		return options_error("unknown flag %.*s. See --help.", len, arg);
	return options_error("unknown flag %.*s: did you mean --%s%s? See --help.", len, arg,
			     near->name, rest ? rest : suffix(near));
}

/* A value of a flag that takes none. --collector.dri=DIR was meant to be --collector.dir. */
static int needless_value(const struct option_flag *flag, const char *name, int len)
{
	static const char *const members[] = { "dir", NULL };
	char member[MAX_NAME];

	if (option_flag_is_family(flag)) {
		int prefix = strlen(flag->name);

		snprintf(member, sizeof(member), "%.*s", len - prefix, name + prefix);
		if (flag->name[0] == 'c' && options_nearest(member, members))
			return options_error("--%.*s takes no value: did you mean "
					     "--collector.dir=DIR? See --help.",
					     len, name);
	}
	return options_error("--%s: --%.*s takes no value: leave out %s. See --help.", name, len,
			     name, name + len);
}

/* The value behind '=' (`inline_value`) or, when the flag requires one, in the next argument. */
static int take_value(const struct option_flag *flag, struct cursor *at, const char *inline_value,
		      const char **value)
{
	const char *why = "is missing its value";

	*value = inline_value;
	if (!inline_value && flag->arg_optional)
		return 0;
	/* "--path.procfs --once" is a forgotten value, not a folder of that name. */
	if (!inline_value && at->i + 1 < at->argc && strncmp(at->argv[at->i + 1], "--", 2) != 0)
		*value = at->argv[++at->i];
	if (*value && **value)
		return 0;
	if (*value)
		why = "has an empty value";
	if (flag->arg_optional)
		return options_error("--%s %s: expected --%s or --%s=%s. See --help.", flag->name,
				     why, flag->name, flag->name, flag->arg);
	return options_error("--%s %s: expected --%s=%s. See --help.", flag->name, why, flag->name,
			     flag->arg);
}

static int parse_flag(struct options *options, struct cursor *at)
{
	const char *arg = at->argv[at->i], *name = arg + 2, *value, *inline_value;
	const struct option_flag *flag;
	int len, err;

	if (!strcmp(arg, "-h"))
		name = "help";
	else if (arg[1] != '-')
		return unknown_flag(arg);
	len = strcspn(name, "=");
	inline_value = name[len] ? name + len + 1 : NULL;

	flag = find_flag(name, len);
	if (!flag || option_flag_is_family(flag))
		flag = find_family(name);
	if (!flag)
		return unknown_flag(arg);
	if (!flag->arg && inline_value)
		return needless_value(flag, name, len);
	if (option_flag_is_family(flag)) {
		value = name + strlen(flag->name);
	} else if (!flag->arg) {
		value = NULL;
	} else {
		err = take_value(flag, at, inline_value, &value);
		if (err)
			return err;
	}
	return flag->parse(options, flag, value);
}

static int parse_operand(struct options *options, const char *arg)
{
	const char **grown;

	if (!*arg)
		return options_error("empty argument: expected a flag or a file: leave it out. "
				     "See --help.");
	grown = reallocarray(options->files, options->nr_files + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[options->nr_files++] = arg;
	options->files = grown;
	return 0;
}

static int parse_argument(struct options *options, struct cursor *at)
{
	const char *arg = at->argv[at->i];

	if (at->operands_only || arg[0] != '-' || !arg[1])
		return parse_operand(options, arg);
	if (!strcmp(arg, "--")) {
		at->operands_only = true;
		return 0;
	}
	return parse_flag(options, at);
}

/* What can be said only when all arguments are known. */
static int finish(struct options *options)
{
	if (options->nr_files && options->action != ACTION_LIST &&
	    options->action != ACTION_LIST_MARKDOWN && options->action != ACTION_HELP)
		return options_error("unexpected argument %s: only --list takes files. See --help.",
				     options->files[0]);
	if (options->stats && options->action != ACTION_ONCE)
		return options_error("--stats goes with --once: give both. See --help.");
	if (options->process_off)
		options->process_max_series = 0;
	if (options->nr_listen)
		return 0;
	options->listen = malloc(sizeof(*options->listen));
	if (!options->listen)
		return -ENOMEM;
	options->listen[options->nr_listen++] = ":9435";
	return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	struct cursor at = { .argc = argc, .argv = argv };
	int err = 0;

	*options = (struct options){
		.action = ACTION_SERVE,
		.telemetry_path = "/metrics",
		.procfs = "/proc",
		.sysfs = "/sys",
		.rootfs = "/",
		.probe_interval_ns = 1000000000,
		.process_retention_ns = 300 * 1000000000ULL,
		.cgroup_retention_ns = 3600 * 1000000000ULL,
		.process_max_series = 1000,
		.log_level = LOG_INFO,
		.log_format = LOG_LOGFMT,
	};
	for (at.i = 1; at.i < argc && !err; at.i++)
		err = parse_argument(options, &at);
	if (!err)
		err = finish(options);
	if (err == -ENOMEM)
		options_error("out of memory while reading the arguments");
	return err;
}

void options_free(struct options *options)
{
	if (!options)
		return;
	free(options->listen);
	free(options->collector_dirs);
	free(options->switches);
	free(options->cgroup_include);
	free(options->cgroup_exclude);
	free(options->files);
	*options = (struct options){ .action = ACTION_SERVE };
}
