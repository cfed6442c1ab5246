// Runs a model on token ids, watches the last residual and prints what comes next:
//   next_token FOLDER ID...
#include <ATen/ATen.h>

#include <iostream>

#include "model/model.h"

namespace lw = lenswright;

int main(int argc, char** argv) try {
  if (argc < 3) throw std::invalid_argument("usage: next_token FOLDER ID...");
  const auto model = lw::Model::load(lw::Checkpoint::open(argv[1]), {});
  std::vector<int64_t> ids;
  for (int i = 2; i < argc; ++i) ids.push_back(std::stoll(argv[i]));
  const auto tokens = at::tensor(ids, at::kLong).unsqueeze(0);

  const int last = static_cast<int>(model->spec().n_layers) - 1;
  lw::Taps taps;
  taps.read({lw::Site::resid_post, last}, [](const at::Tensor& residual) {
    std::cout << "norm " << residual.select(1, -1).norm().item<double>() << '\n';
  });
  const auto output = model->run({lw::Batch(tokens, {}, lw::Side::right)}, taps, {});
  std::cout << "next " << output.logits.select(1, -1).argmax().item<int64_t>() << '\n';
} catch (const std::exception& error) {
  std::cerr << "next_token: " << error.what() << '\n';
  return 2;
}
