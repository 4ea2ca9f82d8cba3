/* SPDX-License-Identifier: GPL-2.0-only */
#include "object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "kernel_btf.h"
#include "log.h"

#define MAX_SIZE                                                                                   \
	(16 << 20) /* a hundred times the largest object here; bounds what a wrong file costs */

/* libbpf's print callback has no argument, so its words wait here. Only one thread loads. */
static char first_warning[512], last_verifier[512];

static void keep_line(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = 0;
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/*
 * Of the verifier's log the last line before "processed N insns" says what it refused; after
 * "infinite loop detected" come two with the registers.
 */
static void keep_verifier_line(const char *log)
{
	const char *end = strstr(log, "\nprocessed "), *line;

	while (end) {
		for (line = end; line > log && line[-1] != '\n';)
			line--;
		if (line == log ||
		    !(starts_with(line, "cur state:") || starts_with(line, "old state:"))) {
			keep_line(last_verifier, sizeof(last_verifier), line, end - line);
			return;
		}
		end = line - 1; /* what the verifier compared, not what it said of it */
	}
}

/* What names a map or a program is nearer to the fault than what libbpf tried before. */
static bool names_part(const char *warning)
{
	return starts_with(warning, "map '") || starts_with(warning, "prog '");
}

__attribute__((format(printf, 2, 0))) static int print(enum libbpf_print_level level,
						       const char *format, va_list args)
{
	char *text = NULL;
	const char *what;
	size_t len;

	if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
		return 0;
	len = strcspn(text, "\n");
	what = starts_with(text, "libbpf: ") ? text + 8 : text;
	if (strstr(text, "BEGIN PROG LOAD LOG"))
		keep_verifier_line(text);
	else if (level == LIBBPF_WARN &&
		 (!*first_warning || (names_part(what) && !names_part(first_warning))))
		keep_line(first_warning, sizeof(first_warning), what, len - (what - text));
	log_debug("%.*s", (int)len, text);
	free(text);
	return 0;
}

void object_log_start(void)
{
	libbpf_set_print(print);
}

const char *object_log(void)
{
	return first_warning;
}

const char *object_verifier_log(void)
{
	return last_verifier;
}

void object_log_clear(void)
{
	first_warning[0] = last_verifier[0] = 0;
}

/* libbpf's own errors for these say "Invalid argument" at best. */
static const char *fault_of(const unsigned char *data, size_t size)
{
	Elf64_Ehdr header;

	if (!size)
		return "is empty";
	if (size < sizeof(header) || memcmp(data, ELFMAG, SELFMAG))
		return "is not an ELF object";
	memcpy(&header, data, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_BPF)
		return "is not a BPF object";
	if (!header.e_shoff || header.e_shoff > size ||
	    (size - header.e_shoff) / sizeof(Elf64_Shdr) < header.e_shnum)
		return "is truncated";
	for (int i = 0; i < header.e_shnum; i++) {
		Elf64_Shdr section;

		memcpy(&section, data + header.e_shoff + i * sizeof(section), sizeof(section));
		if (section.sh_type != SHT_NOBITS &&
		    (section.sh_offset > size || section.sh_size > size - section.sh_offset))
			return "is truncated";
	}
	return NULL;
}

struct bpf_object *object_open_bytes(const char *name, const void *data, size_t size,
				     const char *kernel, char *why, size_t why_size)
{
	/*
	 * Named, so that libbpf looks for a type that this kernel lacks there alone: else it goes
	 * on to the modules, which needs CAP_SYS_ADMIN, and fails (until 1.5).
	 */
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name,
		    .btf_custom_path = access(kernel, R_OK) ? NULL : kernel);
	const char *fault = fault_of(data, size);
	struct bpf_object *object;

	object_log_clear();
	if (fault) {
		snprintf(why, why_size, "%s; expected what `clang -target bpf -g -c` makes", fault);
		errno = EINVAL;
		return NULL;
	}
	object = bpf_object__open_mem(data, size, &opts);
	if (!object)
		snprintf(why, why_size, "cannot be opened: %s",
			 *object_log() ? object_log() : strerror(errno));
	return object;
}

/* Whoever can write the file, or swap it (or what a link leads to) in its folder, would run
 * programs in the kernel. */
static bool only_root_writes(const struct stat *st)
{
	return !st->st_uid && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_trusted(const char *path, const struct stat *file)
{
	char *copy = strdup(path), *real = realpath(path, NULL);
	struct stat folder, real_folder;
	bool trusted = copy && real && only_root_writes(file) && !stat(dirname(copy), &folder) &&
		       only_root_writes(&folder) && !stat(dirname(real), &real_folder) &&
		       only_root_writes(&real_folder);

	free(copy);
	free(real);
	return trusted;
}

static void *read_all(int fd, size_t size)
{
	char *data = malloc(size + 1);
	size_t have = 0;
	ssize_t n;

	while (data && have < size && (n = read(fd, data + have, size - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(data);
			return NULL;
		}
		have += n;
	}
	return data;
}

struct bpf_object *object_open_file(const char *path, bool trusted, char *why, size_t why_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct bpf_object *object = NULL;
	char *name = object_name(path);
	void *data = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, why_size, "cannot be read: %s; expected an object file (x.bpf.o)",
			 strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		snprintf(why, why_size, "is not a file; expected an object file (x.bpf.o)");
	} else if (st.st_size > MAX_SIZE) {
		snprintf(why, why_size,
			 "measures more than %d MiB; expected an object file (x.bpf.o)",
			 MAX_SIZE >> 20);
	} else if (trusted && !is_trusted(path, &st)) {
		snprintf(why, why_size,
			 "could be written by others than root; its programs would run in the "
			 "kernel: "
			 "chown root it and its folder, and chmod go-w both");
	} else if (!name || !(data = read_all(fd, st.st_size))) {
		snprintf(why, why_size, "cannot be read: %s", strerror(errno));
	} else {
		object = object_open_bytes(name, data, st.st_size, KERNEL_BTF, why, why_size);
	}
	free(data);
	free(name);
	if (fd >= 0)
		close(fd);
	return object;
}

char *object_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strndup(name, strcspn(name, "."));
}
