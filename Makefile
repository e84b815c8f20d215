# The front door: `make run`, `make test`. The build itself is Meson's.
MODEL = HuggingFaceTB/SmolLM2-135M-Instruct-4bit
PREFIX = /usr/local
DEFAULT_MODEL = models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit
COMMAND = build/cli/whisperengine

# The prompt reaches the shell through the environment, as it was typed: no quote or dollar in it means anything.
ifeq ($(origin PROMPT),command line)
override PROMPT := $(value PROMPT)
export PROMPT
WITH_PROMPT = 1
endif

.PHONY: run desktop test bench command build install uninstall clean help
.SILENT:

run: command
	if [ "$(MODEL)" = HuggingFaceTB/SmolLM2-135M-Instruct-4bit ]; then \
	    scripts/fetch-default-model.sh $(COMMAND) $(DEFAULT_MODEL); fi
	if [ -n "$(WITH_PROMPT)" ]; then exec $(COMMAND) run -m "$(MODEL)" --temp 0 -p "$$PROMPT"; \
	elif [ -t 0 ] && [ -t 1 ]; then exec $(COMMAND) chat -m "$(MODEL)"; \
	else exec $(COMMAND) run -m "$(MODEL)" --temp 0 -p "What can you help me with?"; fi

# A build that was set up without GTK finds it now.
desktop:
	scripts/install-dependencies.sh desktop
	scripts/build.sh cli/whisperengine
	grep -q whisperengine-desktop build/build.ninja || meson setup --reconfigure build >/dev/null
	scripts/build.sh desktop/whisperengine-desktop
	scripts/fetch-default-model.sh $(COMMAND) $(DEFAULT_MODEL)
	exec build/desktop/whisperengine-desktop

test:
	scripts/install-dependencies.sh test
	scripts/build.sh
	scripts/fetch-default-model.sh $(COMMAND) $(DEFAULT_MODEL)
	scripts/test.sh "$(CURDIR)/$(DEFAULT_MODEL)"

bench: command
	if [ "$(MODEL)" = HuggingFaceTB/SmolLM2-135M-Instruct-4bit ]; then \
	    scripts/fetch-default-model.sh $(COMMAND) $(DEFAULT_MODEL); fi
	$(COMMAND) bench -m "$(MODEL)"

# What `run` and `bench` need; `build` makes the library, the tests and the rest too.
command:
	scripts/install-dependencies.sh build
	scripts/build.sh cli/whisperengine

build:
	scripts/install-dependencies.sh build
	scripts/build.sh

# The prefix stands in the pkg-config file, so it is set before the build.
install:
	scripts/install-dependencies.sh build
	scripts/build.sh cli/whisperengine
	[ "$$(cat build/prefix 2>/dev/null)" = "$(PREFIX)" ] || \
	    meson setup --reconfigure build --prefix "$(PREFIX)" >/dev/null
	printf '%s\n' "$(PREFIX)" >build/prefix
	scripts/build.sh product
	meson install -C build --no-rebuild --quiet
	[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

uninstall:
	[ ! -f build/build.ninja ] || ninja -C build --quiet uninstall >/dev/null

clean:
	rm -rf build build-asan build-tsan build-fuzz build-aarch64

help:
	echo "make run                   talk with a model (or PROMPT='...': one reply; MODEL=ORG/NAME: another one)"
	echo "make desktop               the desktop application (GTK 4)"
	echo "make test                  every test, also under the sanitizers, and the fuzzers"
	echo "make bench                 load time, prefill and decode rate, memory (MODEL=ORG/NAME)"
	echo "make install [PREFIX=DIR]  command, library, headers, pkg-config file; make uninstall removes them"
	echo "make clean                 remove what was built; models stay"
