// Lists the tensors of a checkpoint: list_tensors FOLDER
#include <exception>
#include <iostream>
#include <stdexcept>

#include "io/checkpoint.h"

int main(int argc, char** argv) try {
  if (argc != 2) throw std::invalid_argument("usage: list_tensors FOLDER");
  const auto checkpoint = lenswright::Checkpoint::open(argv[1]);
  for (const auto& tensor : checkpoint->tensors()) {
    std::cout << tensor.name << ' ' << lenswright::wire_name(tensor.dtype) << " [";
    for (const char* comma = ""; const auto size : tensor.shape) {
      std::cout << comma << size;
      comma = ", ";
    }
    std::cout << "]\n";
  }
} catch (const std::exception& error) {
  std::cerr << "list_tensors: " << error.what() << '\n';
  return 2;
}
