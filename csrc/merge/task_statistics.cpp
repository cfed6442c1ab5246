#include "merge/task_statistics.h"

#include <algorithm>
#include <cmath>

#include "base/widen.h"
#include "merge/cut.h"
#include "merge/kernel.h"
#include "merge/pool.h"

namespace lenswright {
namespace {

TaskStatistics empty(const TensorInfo& tensor, size_t models) {
  TaskStatistics out;
  out.tensor = tensor.name;
  out.gram = Gram(models);
  out.sizes.resize(models);
  out.changed.resize(models);
  return out;
}

void add(const TaskStatistics& tile, TaskStatistics& sum) {
  sum.elements += tile.elements;
  sum.base_norm += tile.base_norm;
  sum.gram.add(tile.gram);
  for (size_t i = 0; i < sum.sizes.size(); ++i) {
    sum.sizes[i] += tile.sizes[i];
    sum.changed[i] += tile.changed[i];
  }
  sum.shared += tile.shared;
  sum.conflicts += tile.conflicts;
}

// base_norm holds the square until all is added.
void add_strip(const double* base, const std::vector<double*>& deltas, int64_t n,
               TaskStatistics& out) {
  out.elements += n;
  out.base_norm += dot(base, base, n);
  const std::vector<const double*> x(deltas.begin(), deltas.end());
  add_products(x, n, out.gram);
  for (size_t i = 0; i < deltas.size(); ++i) {
    out.sizes[i] += sum_abs(deltas[i], n);
    out.changed[i] += count_nonzero(deltas[i], n);
  }
  for (int64_t e = 0; e < n; ++e) {
    int up = 0, down = 0;
    for (const double* delta : deltas) {
      up += delta[e] > 0 ? 1 : 0;
      down += delta[e] < 0 ? 1 : 0;
    }
    out.shared += up + down > 1 ? 1 : 0;
    out.conflicts += up > 0 && down > 0 ? 1 : 0;
  }
}

class OneTensor {
 public:
  OneTensor(const Input& base, const Inputs& models, const TensorInfo& tensor)
      : base_(base), models_(models), tensor_(tensor) {
    for (const auto& model : models) infos_.push_back(model->find(tensor.name));
  }

  bool comparable() const {
    return can_widen(tensor_.dtype) && std::ranges::all_of(infos_, [&](const TensorInfo* info) {
             return info != nullptr && info->shape == tensor_.shape && can_widen(info->dtype);
           });
  }

  TaskStatistics run(Pool& pool, Progress* progress) const {
    const Tiling tiling(Shape2::of(tensor_.shape), Cut::elements);
    std::vector<TaskStatistics> tiles(static_cast<size_t>(tiling.tiles()),
                                      empty(tensor_, models_.size()));
    pool.run(tiling.tiles(), [&](int64_t i, int) {
      tile(tiling, i, tiles[static_cast<size_t>(i)]);
      if (progress) progress->step(tiling.tile(i).count * element_bytes(tensor_.dtype));
    });
    TaskStatistics sum = empty(tensor_, models_.size());
    for (const TaskStatistics& one : tiles) add(one, sum);
    sum.base_norm = std::sqrt(sum.base_norm);
    return sum;
  }

 private:
  void tile(const Tiling& tiling, int64_t index, TaskStatistics& out) const {
    thread_local std::vector<std::vector<double>> rooms;
    rooms.resize(models_.size() + 1);
    for (auto& room : rooms) room.resize(kStrip);
    std::vector<double*> deltas;
    for (size_t i = 0; i < models_.size(); ++i) deltas.push_back(rooms[i + 1].data());
    for (int64_t s = 0; s < tiling.strips(index); ++s) {
      const Run run = tiling.strip(index, s);
      load(base_, tensor_, run, rooms[0].data());
      for (size_t i = 0; i < models_.size(); ++i) {
        load(*models_[i], *infos_[i], run, deltas[i]);
        subtract(deltas[i], rooms[0].data(), run.count, deltas[i]);
      }
      add_strip(rooms[0].data(), deltas, run.count, out);
    }
  }

  static void load(const Input& input, const TensorInfo& info, Run run, double* out) {
    const auto width = static_cast<uint64_t>(element_bytes(info.dtype));
    std::byte raw[kStrip * sizeof(double)];
    widen(info.dtype,
          input.read(info, static_cast<uint64_t>(run.first) * width,
                     static_cast<uint64_t>(run.count) * width, raw),
          run.count, out);
  }

  const Input& base_;
  const Inputs& models_;
  const TensorInfo& tensor_;
  std::vector<const TensorInfo*> infos_;
};

}  // namespace

double TaskStatistics::cosine(size_t a, size_t b) const {
  const double norms = norm(a) * norm(b);
  return norms == 0 ? 0 : gram(a, b) / norms;
}

double TaskStatistics::density(size_t model) const {
  const double squares = gram(model, model) * static_cast<double>(elements);
  return squares == 0 ? 0 : sizes[model] * sizes[model] / squares;
}

std::vector<TaskStatistics> task_statistics(const Input& base, const Inputs& models,
                                            Progress* progress, int threads) {
  Pool pool(threads);
  std::vector<TaskStatistics> out;
  uint64_t total = 0;
  for (const TensorInfo& tensor : base.tensors()) total += tensor.bytes();
  if (progress) progress->set_total(static_cast<int64_t>(total));
  for (const TensorInfo& tensor : base.tensors()) {
    const OneTensor one(base, models, tensor);
    if (one.comparable()) {
      out.push_back(one.run(pool, progress));
    } else if (progress) {
      progress->step(static_cast<int64_t>(tensor.bytes()));
    }
  }
  if (progress) progress->finish();
  return out;
}

}  // namespace lenswright
