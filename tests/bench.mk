# The benchmarks: each tests/bench/X.c is a program linked with the exporter's stages, each
# tests/bench/X.bpf.c an object. series.bpf.c is built for each number of series that a daemon is to
# show: it lies in a folder of its own then, for --collector.dir.
bench_dir     := $(BUILD)/bench
bench_sizes   := 10000 100000
bench_objects := $(patsubst tests/bench/%.bpf.c,$(bench_dir)/%.bpf.o,$(filter-out %/series.bpf.c,$(wildcard tests/bench/*.bpf.c))) \
                 $(bench_sizes:%=$(bench_dir)/%/series.bpf.o)
bench_tools   := $(patsubst tests/bench/%.c,$(bench_dir)/%,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))

bench: all $(bench_objects) $(bench_tools) ## measure against the budgets of the design, in under five minutes
	$(Q)bash tests/bench/run.sh

$(bench_dir)/%.bpf.o: tests/bench/%.bpf.c
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(bench_sizes:%=$(bench_dir)/%/series.bpf.o): $(bench_dir)/%/series.bpf.o: tests/bench/series.bpf.c
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -DROWS=$* -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(bench_dir)/%: tests/bench/%.c $(filter-out %/main.o,$(objects)) $(BUILD)/embedded.o
	$(say) BENCH $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -iquote tests/bench -MMD -MP $(LDFLAGS) $(filter %.c %.o,$^) $(LDLIBS) -o $@

-include $(wildcard $(bench_dir)/*.d $(bench_dir)/*/*.d)
