#!/usr/bin/env bash
# libFuzzer with ASan and UBSan on every parser of untrusted text, then the safetensors reader against
# the reference implementation on 150,000 mutated files (target `differential`: needs the built
# package and Python's safetensors).
#
#   tests/fuzz/run.sh [SECONDS] [TARGET...]     seconds for each target (default 30)
#
# Begins with the seeds of corpus/, keeps what it finds in build/fuzz/, exits 1 at the first finding,
# whose input it leaves there as crash-* or timeout-*.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds="${1:-30}"
shift $(( $# > 0 ? 1 : 0 ))
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(header json index glob journal differential)

differential=""
for i in "${!targets[@]}"; do
  [ "${targets[$i]}" != differential ] || { differential=1; unset "targets[$i]"; }
done

compiler="${FUZZ_CXX:-}"
for candidate in clang++ clang++-{20,19,18,17,16,15,14}; do
  [ -n "$compiler" ] || ! command -v "$candidate" >/dev/null || compiler=$candidate
done
[ -n "$compiler" ] || { echo "fuzz: no clang++ (Debian: apt-get install clang libclang-rt-14-dev)" >&2; exit 1; }

out=build/fuzz
mkdir -p "$out"
flags=(-std=c++20 -O1 -g -fno-omit-frame-pointer -Icsrc
       -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
     "$compiler" -x c++ -fsanitize=fuzzer,address - -o "$out/probe" 2>"$out/probe.log"; then
  cat "$out/probe.log" >&2
  echo "fuzz: $compiler lacks libFuzzer (Debian: apt-get install libclang-rt-14-dev)" >&2
  exit 1
fi

# The libraries' sources once, instrumented; only what has changed is compiled again.
objects=()
jobs=0
for source in csrc/base/*.cpp csrc/io/*.cpp csrc/edits/{kernel,undo,undo_journal}.cpp; do
  object="$out/$(basename "$(dirname "$source")")_$(basename "$source" .cpp).o"
  objects+=("$object")
  newest=$(ls -t "$source" csrc/base/*.h csrc/io/*.h csrc/edits/{kernel,undo,undo_journal}.h | head -n 1)
  [ "$object" -nt "$newest" ] && continue
  "$compiler" "${flags[@]}" -c "$source" -o "$object" &
  jobs=$((jobs + 1))
  [ $((jobs % $(nproc))) -ne 0 ] || wait
done
wait

for target in "${targets[@]}"; do
  "$compiler" "${flags[@]}" -fsanitize=fuzzer "tests/fuzz/fuzz_$target.cpp" "${objects[@]}" \
    -lpthread -o "$out/fuzz_$target"
done
for target in "${targets[@]}"; do
  mkdir -p "$out/corpus_$target"
  echo "== fuzz: $target, $seconds s" >&2
  if ! "$out/fuzz_$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$out/" "$out/corpus_$target" \
    "tests/fuzz/corpus/$target" >"$out/$target.log" 2>&1; then
    cat "$out/$target.log" >&2
    exit 1
  fi
  grep -E 'executed_units|exec_per_sec|peak_rss' "$out/$target.log"
done
[ -z "$differential" ] || python tests/fuzz/differential.py 150000 "$RANDOM"
echo "fuzz: no findings in ${targets[*]}${differential:+ differential}" >&2
