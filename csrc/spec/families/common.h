#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/config_reader.h"
#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

// What the rows of several families have in common.

/// A size under the first of these names that is there; `otherwise` where none is.
int64_t size_under(ConfigReader& config, const std::vector<std::string>& names, int64_t otherwise);

/// d_model shared evenly between n_heads, each with keys and values of its own. Throws
/// std::invalid_argument that gives both numbers.
void share_width(Spec& spec);

/// Throws the same where d_model is no multiple of n_heads.
void check_width(const Spec& spec);

/// The same, and where head_dim is there and says otherwise.
void expect_shared_width(const Spec& spec, ConfigReader& config);

/// Every projection has a bias, or none has.
Biases same_biases(bool biased);

/// 1 / √d_head.
double usual_scale(const Spec& spec);

/// Layers, widths and heads under the keys most families use, all of them required; keys and values
/// are as many as queries.
void read_sizes(Spec& spec, ConfigReader& config);

/// Dropout and first values, which act in training only, and how classifiers sum up a text, under
/// all the names families have for them.
void harmless_in_training(ConfigReader& config);

/// Throws std::invalid_argument by key unless the value is this one, or absent.
void expect_flag(ConfigReader& config, std::string_view key, bool value, std::string_view why);
void expect_number(ConfigReader& config, std::string_view key, double value, std::string_view why);
void expect_text(ConfigReader& config, std::string_view key, std::string_view value,
                 std::string_view why);

/// "blocks.3."
std::string block_prefix(int64_t layer);

/// A matrix and a norm whose biases the family always has; Rows::linear takes them as they come.
void biased_linear(Rows& rows, const std::string& prefix, const std::string& part,
                   const std::string& source, int64_t outputs, int64_t inputs,
                   Layout layout = Layout::out_in);
void biased_norm(Rows& rows, const std::string& canonical, const std::string& source, int64_t size);

/// A matrix, with a bias as it comes or without.
void linear(Rows& rows, const std::string& prefix, const std::string& part,
            const std::string& source, int64_t outputs, int64_t inputs, bool may_be_biased);

/// Queries, keys, values and what attention writes, under Llama's names.
void self_attention(Rows& rows, const std::string& to, const std::string& from, const Spec& spec);

}  // namespace lenswright
