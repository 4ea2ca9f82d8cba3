# bpf_exporter: `make` builds build/bpf_exporter, without root, network or the build machine's BTF.
# There is no list of collectors or sources anywhere: everything is globbed.
VERSION   := 0.1.0
PREFIX    ?= /usr/local
DESTDIR   ?=
BUILD     ?= build$(if $(ARCH),/$(ARCH))
CLANG     ?= clang
LLVM_STRIP ?= llvm-strip
ifeq ($(origin CC),default)
CC := $(if $(shell command -v gcc),gcc,clang)
endif
# make ARCH=arm64: the libraries come from the root filesystem that tests/vm/fetch.sh keeps
ifeq ($(ARCH),arm64)
CROSS := arm64
CC := clang --target=aarch64-linux-gnu -fuse-ld=lld -Wno-unused-command-line-argument \
      --sysroot=$(or $(SYSROOT),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bpf_exporter/vm/root/arm64)
endif
ifneq ($(V),1)
Q := @
say = @printf '  %-5s %s\n'
else
say = @:
endif

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
          -Wcast-qual -Wpointer-arith -Wundef $(if $(WERROR),-Werror)
# the same bytes from every folder: no absolute path gets into an object
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 $(WARN) -ffile-prefix-map=$(CURDIR)=. -fstack-protector-strong -fPIE
CPPFLAGS += -D_GNU_SOURCE $(if $(filter -O%,$(CFLAGS)),-D_FORTIFY_SOURCE=2) -iquote exporter -iquote bpf -iquote $(BUILD)
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--build-id=sha1
LDLIBS := -lbpf -lelf -ljansson -lmicrohttpd -lseccomp -lz -lpthread
# ISA-L compresses scrapes six times as fast as zlib; `make ISAL=` builds without it
ISAL ?= $(shell echo | $(CC) -include isa-l.h -fsyntax-only -xc - 2>/dev/null && echo yes)
ifneq ($(ISAL),)
FEATURES := -DHAVE_ISAL
CPPFLAGS += $(FEATURES)
LDLIBS += -lisal
endif
BPFFLAGS := -target bpf -mcpu=v2 -g -O2 -Wall -Wextra -Wno-unused-parameter $(if $(WERROR),-Werror) \
            -ffile-prefix-map=$(CURDIR)=. -fdebug-compilation-dir=. -Ivmlinux -Ibpf

bpf_objects := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.bpf.o,$(sort $(wildcard bpf/*.bpf.c)))
objects     := $(patsubst exporter/%.c,$(BUILD)/exporter/%.o,$(sort $(wildcard exporter/*.c)))
program     := $(BUILD)/bpf_exporter
man_page    := $(BUILD)/bpf_exporter.8

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all run deps check check-deps bench lint install clean help FORCE

all: $(program) $(if $(CROSS),,$(man_page)) ## build build/bpf_exporter (default)

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

# An array of { name, first byte, size } of each object, ended by a NULL name: exporter/embedded.h.
# Rewritten only when it changes; by no date, as a collector that is removed leaves none.
$(BUILD)/embedded.S: $(bpf_objects) FORCE
	$(Q){ printf '.section .note.GNU-stack,"",%%progbits\n.section .rodata\n'; \
	for o in $(bpf_objects); do n=$$(basename $$o .bpf.o); \
	printf '.balign 16\n.L%s:\n.incbin "%s"\n.L%s_end:\n.L%s_name:\n.asciz "%s"\n' $$n $$o $$n $$n $$n; done; \
	printf '.section .data.rel.ro,"aw"\n.balign 8\n.globl embedded_objects\nembedded_objects:\n'; \
	for o in $(bpf_objects); do n=$$(basename $$o .bpf.o); \
	printf '.quad .L%s_name, .L%s\n.quad .L%s_end - .L%s\n' $$n $$n $$n $$n; done; \
	printf '.quad 0, 0, 0\n'; } > $@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/embedded.o: $(BUILD)/embedded.S $(bpf_objects)
	$(Q)$(CC) -c $< -o $@

# Rewritten only when it changes, so that nothing is built again for the same commit.
$(BUILD)/revision.h: FORCE
	$(Q)mkdir -p $(@D); r=$$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown); \
	printf '#define BPF_EXPORTER_VERSION "%s"\n#define BPF_EXPORTER_REVISION "%s"\n' $(VERSION) $$r > $@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/exporter/%.o: exporter/%.c | $(BUILD)/revision.h
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# A bad declaration in a collector fails here, by name: the new program reads all of them first.
$(program): $(objects) $(BUILD)/embedded.o
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@.new
	$(Q)$(if $(CROSS),,$(abspath $@).new --list $(bpf_objects) > /dev/null)
	$(Q)mv $@.new $@

$(man_page): $(program)
	$(Q)$(abspath $<) --help=man > $@

# What sudo builds stays with whose tree it is, who may build again without it.
hand_over = if [ "$$(id -u)" = 0 ] && [ -d $(BUILD) ]; then chown -R --reference=. $(BUILD); fi

run: deps ## install what is missing, build, start in the foreground on :9435
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)$(hand_over)
	$(Q)sh deploy/run.sh $(program) $(ARGS)

deps: ## install what building needs (apt; nothing when nothing is missing)
	$(Q)sh deploy/deps.sh build

check-deps: ## install what the tests need
	$(Q)sh deploy/deps.sh check

check: check-deps ## install what the tests need, build, run every test that this machine can run
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)bash tests/run.sh $(TESTS); rc=$$?; $(hand_over); exit $$rc

lint: ## clang-format, clang-tidy, cppcheck, shellcheck
	$(Q)bash tests/lint.sh

install: all ## install to $(DESTDIR)$(PREFIX)
	install -D -m 755 $(program) $(DESTDIR)$(PREFIX)/sbin/bpf_exporter
	install -D -m 644 $(man_page) $(DESTDIR)$(PREFIX)/share/man/man8/bpf_exporter.8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/sbin/bpf_exporter|$(PREFIX)/sbin/bpf_exporter|' deploy/bpf_exporter.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/bpf_exporter.service

clean: ## remove the build folder
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

-include $(bpf_objects:.o=.d) $(objects:.o=.d) $(wildcard $(BUILD)/tests/*.d)
include tests/unit.mk
include tests/bench.mk
include tests/soak.mk
include tests/vm.mk
