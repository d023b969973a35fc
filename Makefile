# The front door: each line is one line into CMake. `make` builds everything.
.PHONY: all server web test check asan tsan fuzz bench clean
all: server web
build/%/build.ninja:
	cmake --preset $* > /dev/null
server: build/release/build.ninja
	cmake --build build/release --target coincast
release: build/release/build.ninja
	cmake --build build/release
asan tsan debug clang: %: build/%/build.ninja
	cmake --build build/$@
fuzz: build/fuzz/build.ninja
	cmake --build build/fuzz
	scripts/fuzz
web:
	@echo "the pages of web/light need no build; 'make server' embeds them"
bench: release
	bench/run
test:
	./test
check:
	scripts/check-layers
	scripts/check-format
	scripts/check-docs
clean:
	rm -rf build
