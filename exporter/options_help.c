// SPDX-License-Identifier: GPL-2.0-only
/*
 * options_help: --help, from the table of flags.
 */
#include <string.h>

#include "options_flags.h"

#define WIDTH  100
#define COLUMN 34 /* where the help texts start */

/* "--list[=markdown]", "--collector.NAME" */
static void print_flag(FILE *out, const struct option_flag *flag)
{
	char text[COLUMN];

	snprintf(text, sizeof(text), "--%s%s%s%s%s%s", flag->name,
		 option_flag_is_family(flag) ? "NAME" : "", flag->arg_optional ? "[" : "",
		 flag->arg ? "=" : "", flag->arg ? flag->arg : "", flag->arg_optional ? "]" : "");
	fprintf(out, "  %-*s", COLUMN - 2, text);
}

/* Breaks the text at blanks so that no line gets longer than WIDTH. */
static void print_wrapped(FILE *out, const char *text)
{
	while (strlen(text) > WIDTH - COLUMN) {
		int len = WIDTH - COLUMN;

		while (len > 0 && text[len] != ' ')
			len--;
		if (!len) /* a word of a whole line: leave it whole */
			break;
		fprintf(out, "%.*s\n%*s", len, text, COLUMN, "");
		text += len + 1;
	}
	fprintf(out, "%s\n", text);
}

void options_help(FILE *out)
{
	const char *group = "";

	fputs("bpf_exporter serves kernel events, counted by eBPF per process and cgroup, as "
	      "Prometheus metrics.\n\n"
	      "Usage: bpf_exporter [FLAG...]\n"
	      "       bpf_exporter --list[=markdown] [FILE...]\n",
	      out);
	for (const struct option_flag *flag = option_flags; flag->name; flag++) {
		if (strcmp(group, flag->group) != 0)
			fprintf(out, "\n%s:\n", flag->group);
		group = flag->group;
		print_flag(out, flag);
		print_wrapped(out, flag->help);
	}
	fputs("\nDURATION is a number with a unit (ns, us, ms, s, m, h, d), such as 500ms or "
	      "1m30s, "
	      "or 0.\n\n"
	      "Exit codes: 0 ok, 1 failure at run time, 2 wrong usage.\n"
	      "The metrics are at http://localhost:9435/metrics.\n",
	      out);
}
