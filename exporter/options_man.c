// SPDX-License-Identifier: GPL-2.0-only
/*
 * options_man: the man page (roff, man(7) macros), with its OPTIONS from the table of flags.
 *
 * Text below is plain; escape() makes roff of it. Requests and macros are written as they are.
 */
#include <string.h>

#include "options_flags.h"
#include "version.h"

/* When the text of this page last changed: fixed, so that the same source gives the same page. */
#define DATE "2026-11-24"

#define WIDTH 64 /* of a line of plain text; no word is longer */

/*
 * A plain '-' may become a typographic hyphen, which nobody can paste into a shell; '.' and '\'' at
 * the start of a line are requests; '\\' starts an escape.
 */
static void escape(FILE *out, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		switch (*text) {
		case '-':
			fputs("\\-", out);
			break;
		case '\\':
			fputs("\\e", out);
			break;
		case '\'':
			fputs("\\(aq", out);
			break;
		case '.':
			fputs(line_start ? "\\&." : ".", out);
			break;
		case '`':
			fputs("\\(ga", out);
			break;
		case '^':
			fputs("\\(ha", out);
			break;
		case '~':
			fputs("\\(ti", out);
			break;
		default:
			fputc(*text, out);
		}
		line_start = *text == '\n';
	}
}

/* Lines short enough for an editor, and each sentence on its own, as roff wants it to space them.
 */
static void paragraph(FILE *out, const char *text)
{
	char line[WIDTH + 1];

	while (*text) {
		const char *stop = strstr(text, ". ");
		size_t len = stop ? (size_t)(stop + 1 - text) : strlen(text);

		if (len > WIDTH) {
			for (len = WIDTH; len > 1 && text[len] != ' '; len--)
				;
		}
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		escape(out, line);
		fputc('\n', out);
		text += len;
		while (*text == ' ')
			text++;
	}
}

static void option(FILE *out, const struct option_flag *flag)
{
	fputs(".TP\n\\fB", out);
	escape(out, "--");
	escape(out, flag->name);
	fputs("\\fR", out);
	if (option_flag_is_family(flag))
		fputs("\\fINAME\\fR", out);
	if (flag->arg) {
		/* The words of an optional value are literal, names of required ones are not. */
		fputs(flag->arg_optional ? "[\\fB=" : "=\\fI", out);
		escape(out, flag->arg);
		fputs(flag->arg_optional ? "\\fR]" : "\\fR", out);
	}
	fputc('\n', out);
	paragraph(out, flag->help);
}

static void options(FILE *out)
{
	const char *group = "";

	fputs(".SH OPTIONS\n", out);
	paragraph(out, "A required value follows its flag after = or as the next argument. "
		       "A DURATION is a number with a unit (ns, us, ms, s, m, h, d), such as 500ms "
		       "or 1m30s, or 0. "
		       "Of the environment only NOTIFY_SOCKET is read (readiness for systemd).");
	for (const struct option_flag *flag = option_flags; flag->name; flag++) {
		if (strcmp(group, flag->group) != 0) {
			fputs(".SS ", out);
			escape(out, flag->group);
			fputc('\n', out);
		}
		group = flag->group;
		option(out, flag);
	}
}

/* A term in bold and its explanation. */
static void item(FILE *out, const char *term, const char *text)
{
	fputs(".TP\n\\fB", out);
	escape(out, term);
	fputs("\\fR\n", out);
	paragraph(out, text);
}

/* What it does, then the command. */
static void example(FILE *out, const char *what, const char *command)
{
	fputs(".TP\n", out);
	paragraph(out, what);
	fputs(".EX\n", out);
	escape(out, command);
	fputs("\n.EE\n", out);
}

static void head(FILE *out)
{
	fputs(".TH BPF_EXPORTER 8 \"" DATE "\" \"bpf_exporter ", out);
	escape(out, BPF_EXPORTER_VERSION);
	fputs("\" \"System Administration\"\n"
	      ".SH NAME\nbpf_exporter \\- serve kernel events counted by eBPF as Prometheus "
	      "metrics\n"
	      ".SH SYNOPSIS\n"
	      ".B bpf_exporter\n[\\fIFLAG\\fR...]\n.br\n"
	      ".B bpf_exporter \\-\\-list\\fR[\\fB=markdown\\fR] [\\fIFILE\\fR...]\n"
	      ".SH DESCRIPTION\n",
	      out);
	paragraph(out,
		  "bpf_exporter loads eBPF programs that count kernel events per process and per "
		  "cgroup in BPF maps, polls the maps at an interval and serves the counts over "
		  "HTTP as Prometheus metrics. "
		  "Each collector is one object file, described by its own BTF. "
		  "A collector that this kernel cannot run is left out, and the log and a metric "
		  "say why. "
		  "A scrape never reads a map, unless --ebpf-probe-interval=0 asks for it.");
}

static void tail(FILE *out)
{
	fputs(".SH EXIT STATUS\n", out);
	item(out, "0", "Success, or ended by SIGTERM or SIGINT.");
	item(out, "1", "Failure at run time; the log says what failed and why.");
	item(out, "2", "Wrong usage; one line on stderr names the argument and what was expected.");
	fputs(".SH FILES\n", out);
	item(out, "/sys/kernel/btf/vmlinux",
	     "The running kernel's types, which the programs are "
	     "adapted to when they are loaded.");
	item(out, "/proc", "Processes and mounts; see --path.procfs.");
	item(out, "/sys/fs/cgroup", "The usual place of the cgroup tree; see --path.cgroupfs.");
	fputs(".SH SECURITY\n", out);
	paragraph(out,
		  "Needs CAP_BPF and CAP_PERFMON to load and attach the programs. "
		  "Run it as root or give it these two. "
		  "Before the first request is served it gives up what a child process shows "
		  "to be unneeded: all capabilities on most kernels (CAP_BPF stays where reading "
		  "a map needs it, CAP_DAC_READ_SEARCH where a cgroup folder is not readable by "
		  "all, or a container runtime is there, which keeps its containers' names for "
		  "root). "
		  "It becomes --user, rules out new privileges, and confines itself by Landlock "
		  "(reading below procfs, sysfs, the cgroup tree and the runtimes' folders only) "
		  "and seccomp (the system "
		  "calls of polling and serving only). "
		  "The log, /health and bpf_exporter_sandbox say which of these are in force.");
	fputs(".PP\n", out);
	paragraph(out,
		  "A program in --collector.dir runs in the kernel: such files and their folder "
		  "are refused unless root owns them. "
		  "Whoever reaches the listen address reads command names and cgroup names of "
		  "all users; bind it to an address that only Prometheus reaches.");
	fputs(".SH EXAMPLES\n", out);
	example(out, "Serve on the loopback address only:",
		"bpf_exporter --web.listen-address=127.0.0.1:9435");
	example(out, "Say which collectors this kernel can run:", "bpf_exporter --check");
	example(out, "Without series per process, polled every 10 seconds:",
		"bpf_exporter --process.max-series=0 --ebpf-probe-interval=10s");
	example(out,
		"The metrics of an object file of your own:", "bpf_exporter --list ./mine.bpf.o");
	fputs(".SH SEE ALSO\n.BR bpf (2),\n.BR capabilities (7),\n.BR cgroups (7),\n.BR bpftool "
	      "(8)\n"
	      ".PP\n",
	      out);
	fputs(".UR https://prometheus.io/docs/\nPrometheus\n.UE\n", out);
}

void options_man(FILE *out)
{
	head(out);
	options(out);
	tail(out);
}
