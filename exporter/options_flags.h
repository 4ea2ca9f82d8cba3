/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * options_flags: the table of flags (options_flags.c), from which options.c parses and
 * options_help.c and options_man.c print. Private to options*.c.
 */
#pragma once

#include "options.h"

struct option_flag {
	/* Without "--". One that ends with '.' is a family: "collector." and a collector's name. */
	const char *name;
	const char *arg;   /* what --help calls the value; NULL: the flag takes none */
	bool arg_optional; /* the value comes only with '=' */
	const char *group; /* the heading in --help; flags of a group stand together */
	const char *help;  /* one or two lines of --help; also the man page's paragraph */
	/*
	 * Stores the value (NULL: none was given; of a family: the name). Returns 0, -ENOMEM, or
	 * -EINVAL after options_error().
	 */
	int (*parse)(struct options *options, const struct option_flag *flag, const char *value);
	size_t offset; /* of the member of struct options that parse() sets */
	/* Of numbers and durations: the range, and how a message calls it. 0 passes with zero_ok.
	 */
	uint64_t min, max;
	bool zero_ok;
	const char *range;
};

/* Ends with a flag without a name. */
extern const struct option_flag option_flags[];

bool option_flag_is_family(const struct option_flag *flag);

/* Prints "bpf_exporter: <text>" as one line on stderr, whatever the text holds. Returns -EINVAL. */
int options_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
