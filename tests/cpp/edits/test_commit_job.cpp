#include "edits/commit_job.h"

#include <ATen/ATen.h>

#include "base/sha256.h"
#include "io/files.h"
#include "io/writer.h"
#include "tensors.h"

namespace lenswright::test_commit_job {
namespace {

constexpr int64_t kExperts = 4, kRows = 300, kColumns = 700;

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

at::Tensor without(const at::Tensor& matrix, const at::Tensor& v, int residual_axis) {
  const at::Tensor w = residual_axis == 0 ? matrix : matrix.t();
  const at::Tensor left = w - at::outer(v, at::matmul(v, w));
  return residual_axis == 0 ? left : left.t();
}

// A file with one tensor, some of whose matrices a job writes to another.
struct Scene {
  explicit Scene(int axis, const std::vector<int64_t>& slices)
      : residual_axis(axis),
        v(test::waves({axis == 0 ? kRows : kColumns}, 2.1)),
        value(test::waves({kExperts, kRows, kColumns}, 0.7)) {
    v = v / v.norm();
    const std::vector<TensorSpec> specs = {{"down", Dtype::f64, value.sizes().vec()}};
    FolderWriter writer(folder / "in");
    writer.shard("model.safetensors", specs, {}).pwrite("down", 0, bytes_of(value));
    writer.commit();
    checkpoint = Checkpoint::open(folder / "in");
    const auto numbers = std::span(v.const_data_ptr<double>(), static_cast<size_t>(v.numel()));
    target = {checkpoint->info("down"), {}};
    for (int64_t slice : slices) {
      target.change.pieces.push_back({slice, {{}, numbers, numbers, {}, {}, {}}, axis});
    }
  }

  // What the job leaves in the file, and its hash.
  std::pair<at::Tensor, std::string> run() {
    const std::vector<TensorSpec> specs = {{"down", Dtype::f64, value.sizes().vec()}};
    FileWriter file(folder / "out.safetensors", specs, {});
    CommitJob job(*checkpoint, target, file);
    for (size_t segment = 0; segment < job.segments(); ++segment) {
      for (int64_t i = 0; i < job.slabs(segment); ++i) job.write(segment, i, nullptr);
    }
    file.finish();
    const auto written = Checkpoint::open(folder / "out.safetensors");
    const at::Tensor result = at::empty_like(value);
    const auto data = written->data(written->info("down"));
    std::copy(data.begin(), data.end(), static_cast<std::byte*>(result.mutable_data_ptr()));
    return {result, job.hash()};
  }

  test::TempFolder folder;
  int residual_axis;
  at::Tensor v, value;
  std::shared_ptr<Checkpoint> checkpoint;
  CommitTarget target;
};

}  // namespace

TEST_CASE("slices are edited, the others copied, and all of them hashed in order") {
  const std::vector<std::vector<int64_t>> some = {{0}, {3}, {1, 2}, {0, 2}, {0, 1, 2, 3}};
  for (const int axis : {0, 1}) {
    for (const auto& slices : some) {
      Scene scene(axis, slices);
      const auto [result, hash] = scene.run();
      REQUIRE(hash == Sha256::hex(bytes_of(result)));
      for (int64_t expert = 0; expert < kExperts; ++expert) {
        const bool edited = std::find(slices.begin(), slices.end(), expert) != slices.end();
        const at::Tensor before = scene.value[expert];
        if (edited) {
          REQUIRE(test::relative(result[expert], without(before, scene.v, axis)) < 1e-14);
        } else {
          REQUIRE(test::same(result[expert], before));
        }
      }
    }
  }
}

}  // namespace lenswright::test_commit_job
