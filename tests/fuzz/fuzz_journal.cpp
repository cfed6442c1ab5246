// The journal that leads back from an edited checkpoint: any file must be read or refused, any
// piece decoded or refused, and what was encoded must come back bit for bit.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "base/corrections.h"
#include "edits/undo.h"
#include "edits/undo_journal.h"
#include "io/checkpoint_error.h"

using namespace lenswright;

namespace {

constexpr int64_t kRows = 3, kColumns = 5;
constexpr std::array<double, 16> kNumbers = {
    0, 1, -1, 0.5, 3, -2.25, 1e-300, 1e300, 1e-45, 3.4e38, -0.0, 65e3, 6e-08, 1e-5, -1e20, 0.999};

// Takes what it needs from the front of the input; zeros behind its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(std::as_bytes(std::span(data, size))) {}
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<uint8_t>(rest_[0]);
    rest_ = rest_.subspan(1);
    return value;
  }
  std::vector<std::byte> bytes(size_t count) {
    std::vector<std::byte> taken(count);
    const size_t there = std::min(count, rest_.size());
    std::copy_n(rest_.begin(), there, taken.begin());
    rest_ = rest_.subspan(there);
    return taken;
  }
  std::vector<double> numbers(int64_t count) {
    std::vector<double> taken(static_cast<size_t>(count));
    for (double& number : taken) number = kNumbers[byte() % kNumbers.size()];
    return taken;
  }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

// An edit of a small matrix, of any form.
struct Matrix {
  explicit Matrix(Input& input) {
    constexpr std::array kTypes = {Dtype::f64, Dtype::f32, Dtype::bf16, Dtype::f16};
    const uint8_t form = input.byte(), sizes = input.byte();
    stored = {kTypes[form & 3U], nullptr, kRows, kColumns, (form >> 2U) & 1};
    const int64_t out = stored.residual_axis == 0 ? kRows : kColumns;
    const int64_t in = stored.residual_axis == 0 ? kColumns : kRows;
    const int64_t rank = sizes % 3, added = sizes / 3 % 3;
    if ((form & 8U) != 0) s = input.numbers(out);
    if ((form & 16U) != 0) c = input.numbers(in);
    u = input.numbers(rank * out);
    v = input.numbers(rank * out);
    a = input.numbers(added * out);
    b = input.numbers(added * in);
    along = input.numbers(rank * in);
  }
  Undo undo() const { return {stored, {s, u, v, c, a, b}, "fuzz"}; }
  size_t bytes() const { return static_cast<size_t>(kRows * stored.row_bytes()); }

  StoredMatrix stored;
  std::vector<double> s, u, v, c, a, b, along;
};

void decode_piece(Input& input) {
  const Matrix matrix(input);
  const std::vector<std::byte> after = input.bytes(matrix.bytes());
  std::vector<std::byte> before(matrix.bytes());
  Undo undo = matrix.undo();
  undo.keep(matrix.along);
  undo.decode(0, kRows, after.data(), input.rest(), before.data());
}

void round_trip(Input& input) {
  const Matrix matrix(input);
  const std::vector<std::byte> before = input.bytes(matrix.bytes()),
                               after = input.bytes(matrix.bytes());
  std::vector<std::byte> back(matrix.bytes());
  Undo coder = matrix.undo(), decoder = matrix.undo();
  decoder.set(coder.keep(matrix.along));
  const std::vector<std::byte> piece = coder.encode(0, kRows, before.data(), after.data());
  decoder.decode(0, kRows, after.data(), piece, back.data());
  if (back != before) std::abort();
  const std::vector<std::byte> plain(input.rest().begin(), input.rest().end());
  std::vector<std::byte> again(plain.size());
  decode_bytes(encode_bytes(plain), again);
  if (again != plain) std::abort();
}

// Every piece and range that a reader of this file could be asked for.
void read_all(const UndoReader& reader) {
  uint64_t total = 0;
  std::vector<std::byte> to(64);
  for (size_t i = 0; i < reader.pieces(); ++i) {
    const std::vector<std::byte> piece = reader.piece(i);
    total += piece.size();
    decode_bytes(piece, to);
  }
  if (total > reader.bytes()) std::abort();
  const Json& about = reader.about();
  if (!about.is_object() || !about.contains("tensors")) return;
  for (const auto& [name, json] : about.at("tensors").items()) {
    const PieceRange range = reader.range(json);
    if (range.first + range.count > reader.pieces()) std::abort();
  }
}

struct Descriptor {
  const int number;
  ~Descriptor() { close(number); }
};

void read_file(std::span<const std::byte> bytes) {
  const Descriptor file{memfd_create("journal", 0)};
  if (file.number < 0 || write(file.number, bytes.data(), bytes.size()) < 0) std::abort();
  read_all(UndoReader("/proc/self/fd/" + std::to_string(file.number)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  try {
    switch (input.byte() % 4) {
      case 0:
        read_file(input.rest());
        break;
      case 1:
        decode_piece(input);
        break;
      case 2: {
        std::vector<std::byte> to(input.byte());
        decode_bytes(input.rest(), to);
        break;
      }
      default:
        round_trip(input);
    }
  } catch (const std::invalid_argument&) {
  } catch (const CheckpointError&) {
  }
  return 0;
}
