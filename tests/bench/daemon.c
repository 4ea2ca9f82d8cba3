/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real daemon, with all its collectors: daemon EXPORTER start | FOLDER SERIES...
 *
 *	daemon EXPORTER start		from fork to the first scrape that is answered with metrics
 *	daemon EXPORTER serve FOLDER	with FOLDER/SERIES/series.bpf.o: memory, scrapes, idle polls
 *
 * Scrapes come from one client over one connection. Each asks for a generation that nobody has asked
 * for, as every real scrape does: what is measured is rendering, compressing and sending.
 */
#include <zlib.h>

#include "daemon.h"

#define IDLE_S 15

static size_t series_of_body(void)
{
	size_t n = 0;

	for (const char *line = body; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		n += *line != '#';
	return n;
}

/* ---- rows ---- */

static void start_row(void)
{
	double took[5], median;
	size_t n = sizeof(took) / sizeof(*took);

	for (size_t i = 0; i < n; i++) {
		uint64_t begin = monotonic_ns();
		pid_t pid = start("1s", NULL);
		int fd = dial_ready(pid);

		took[i] = (monotonic_ns() - begin) / 1e9;
		close(fd);
		stop(pid);
	}
	median = quantile(took, n, 0.5); /* sorts */
	table_row("start to first ready scrape, all collectors", "0.6 s", median <= 0.6, "%.2f s (median of 5; %.2f to %.2f)", median, took[0], took[n - 1]);
}

static void wait_for_series(int fd, size_t series)
{
	for (int i = 0; i < 200; i++) {
		if (get(fd, 0) == 200 && series_of_body() >= series)
			return;
		usleep(100000);
	}
	give_up("the daemon shows %zu series, not %zu", series_of_body(), series);
}

/* Scrapes each generation once per encoding; in ms. */
static void scrape_all(int fd, size_t n, useconds_t apart, double *plain, double *gzip)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t begin = monotonic_ns();

		if (get(fd, 1) != 200)
			give_up("a scrape failed");
		gzip[i] = (monotonic_ns() - begin) / 1e6;
		begin = monotonic_ns();
		if (get(fd, 0) != 200)
			give_up("a scrape failed");
		plain[i] = (monotonic_ns() - begin) / 1e6;
		usleep(apart);
	}
}

struct served {
	double resident, settled, peak, idle, gzip[3], plain[3]; /* p50, p99, least */
	size_t series, bytes;
};

static void sum_up(double *values, size_t n, double *out)
{
	out[0] = quantile(values, n, 0.5);
	out[1] = quantile(values, n, 0.99);
	out[2] = values[0];
}

static void serve(const char *folder, size_t size, struct served *s)
{
	size_t n = size > 10000 ? 100 : 200;
	double *gzip = calloc(n, sizeof(*gzip)), *plain = calloc(n, sizeof(*plain));
	uint64_t begin, cpu;
	char dir[512];
	pid_t pid;
	int fd;

	snprintf(dir, sizeof(dir), "%s/%zu", folder, size);
	/* memory and idle polls: as it runs in real life */
	pid = start("1s", dir);
	fd = dial_ready(pid);
	wait_for_series(fd, size);
	s->series = series_of_body();
	s->bytes = body_len;
	for (int i = 0; i < 3; i++) {
		if (get(fd, 1) != 200 || get(fd, 0) != 200)
			give_up("a scrape failed");
		if (status_mb(pid, "VmRSS:") > s->resident)
			s->resident = status_mb(pid, "VmRSS:");
		sleep(1);
	}
	sleep(2);
	begin = monotonic_ns();
	cpu = cpu_ns(pid);
	sleep(size > 10000 ? 5 : IDLE_S);
	s->idle = 100.0 * (double)(cpu_ns(pid) - cpu) / (double)(monotonic_ns() - begin);
	s->settled = status_mb(pid, "VmRSS:");
	s->peak = status_mb(pid, "VmHWM:");
	close(fd);
	stop(pid);
	/* scrapes: a generation for each */
	pid = start(size > 10000 ? "300ms" : "50ms", dir);
	fd = dial_ready(pid);
	wait_for_series(fd, size);
	scrape_all(fd, n, size > 10000 ? 300000 : 50000, plain, gzip);
	sum_up(plain, n, s->plain);
	sum_up(gzip, n, s->gzip);
	close(fd);
	stop(pid);
	free(gzip);
	free(plain);
}

static void serve_rows(const char *folder)
{
	struct served a = { 0 }, b = { 0 };

	serve(folder, 10000, &a);
	serve(folder, 100000, &b);
	table_row("1 Hz polling, 10,000 series, idle: of one core", "0.2 %", a.idle <= 0.2,
		  "%.2f %% (100,000 series: %.1f %%)", a.idle, b.idle);
	table_row("resident memory, scraped, 10k / 100k series", "10 / 30 MB", a.resident <= 10 && b.resident <= 30,
		  "%.1f / %.1f MB (%.1f / %.1f when no scrape was in the last 2 s)", a.resident, b.resident,
		  a.settled, b.settled);
	table_row("  its peak, at start or at a scrape", "-", NO_BUDGET, "%.1f / %.1f MB", a.peak, b.peak);
	table_row("gzip scrape p99 over loopback, 10k / 100k series", "5 / 20 ms",
		  a.gzip[1] <= 5 && b.gzip[1] <= 20, "%.1f / %.1f ms (median %.1f / %.1f)", a.gzip[1], b.gzip[1],
		  a.gzip[0], b.gzip[0]);
	table_row("plain scrape p99 over loopback, 10k / 100k series", "5 / 20 ms",
		  a.plain[1] <= 5 && b.plain[1] <= 20, "%.1f / %.1f ms (median %.1f / %.1f; %.1f / %.1f MB)",
		  a.plain[1], b.plain[1], a.plain[0], b.plain[0], a.bytes / 1e6, b.bytes / 1e6);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		give_up("usage: daemon EXPORTER start | serve FOLDER");
	exporter = argv[1];
	if (argc == 3 && !strcmp(argv[2], "start"))
		start_row();
	else if (argc == 4 && !strcmp(argv[2], "serve"))
		serve_rows(argv[3]);
	else
		give_up("usage: daemon EXPORTER start | serve FOLDER");
	return 0;
}
