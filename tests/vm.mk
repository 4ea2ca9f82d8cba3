# Included by the Makefile: the kernels.
.PHONY: check-vm kernel-contract kernel-contract-update print-cc

check-vm: check-deps ## boot kernels in QEMU: KERNEL=6.1 (else all), TEST=tcp (else all truths); see tests/vm/run.sh
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)KERNEL=$(KERNEL) TEST=$(TEST) bash tests/vm/run.sh

kernel-contract: $(bpf_objects) ## what the programs need of a kernel, against each known kernel's BTF (and BTF=FILE)
	$(Q)python3 tests/contract/contract.py check $(BUILD)/bpf $(or $(BTF),tests/contract/*.btf)

kernel-contract-update: $(bpf_objects) # cuts the known kernels' BTF again, from the kernels that check-vm keeps
	$(Q)bash tests/contract/update.sh $(BUILD)/bpf

print-cc: # the compiler, for what is built beside the program
	@echo '$(CC)'
