#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edits/aims.h"
#include "edits/edit.h"
#include "model/model.h"

namespace lenswright {

/// How strongly each writer is edited.
struct Strengths {
  double all = 1.0;                           // of writers not named below
  std::map<std::string, double> writers;      // by name
  std::map<std::string, std::string> spared;  // writers that are left alone, and why
};

/// What to take out, where and how.
struct Ablation {
  std::string method = "plain";  // of kMethods
  Directions directions;
  std::vector<std::string> writers = {"all"};
  Strengths strengths;
  double ridge = 0.0;
  Json provenance;  // an object: what the caller knows of where the directions came from
};

/// Takes directions out of what is written to the residual, by one of the methods of list.h. Where
/// what a writer wrote passes a norm before it is added, the directions are what before_norm makes
/// of them, at length 1: then nothing is left along them in what is added.
std::shared_ptr<Edit> ablate(const Model& model, const Ablation& ablation);

}  // namespace lenswright
