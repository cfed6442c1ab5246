// Rope parameters as config.json has them: transformers, modeling_rope_utils.py.
#include "spec/families/rope.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"

namespace lenswright {
namespace {

const std::vector<std::string> kKeys = {"rope_type",        "type",
                                        "rope_theta",       "partial_rotary_factor",
                                        "factor",           "original_max_position_embeddings",
                                        "attention_factor", "beta_fast",
                                        "beta_slow",        "short_factor",
                                        "long_factor",      "low_freq_factor",
                                        "high_freq_factor", "mscale",
                                        "mscale_all_dim",   "truncate",
                                        "mrope_section",    "mrope_interleaved"};

[[noreturn]] void refuse(const std::string& where, const std::string& key,
                         const std::string& what) {
  throw std::invalid_argument("config.json: '" + where + "." + key + "' " + what);
}

// One object of parameters, every key of it known.
class Parameters {
 public:
  Parameters(const Json& json, std::string where, const std::vector<std::string>& more_keys)
      : json_(json), where_(std::move(where)) {
    const auto in = [](const std::vector<std::string>& keys, const std::string& key) {
      return std::find(keys.begin(), keys.end(), key) != keys.end();
    };
    for (const std::string& key : json_.keys()) {
      if (in(kKeys, key) || in(more_keys, key)) continue;
      refuse(where_, key,
             "is " + json_.at(key).dump() + ", which asks for a rotation that is not known" +
                 did_you_mean(key, kKeys));
    }
  }

  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  double number(const char* key, double otherwise) const {
    return has(key) ? json_.at(key).as_double() : otherwise;
  }
  double number_not_zero(const char* key, double otherwise) const {
    const double value = number(key, otherwise);
    return value == 0.0 ? otherwise : value;
  }
  double required(const char* key) const {
    if (!has(key)) refuse(where_, key, "is missing, which a scaled rotation needs");
    return json_.at(key).as_double();
  }
  bool flag(const char* key, bool otherwise) const {
    return has(key) ? json_.at(key).as_bool() : otherwise;
  }
  std::string type() const {
    for (const char* key : {"rope_type", "type"}) {
      if (has(key)) return json_.at(key).as_string();
    }
    return "default";
  }
  std::vector<double> list(const char* key, int64_t size) const {
    if (!has(key)) refuse(where_, key, "is missing, which a longrope rotation needs");
    const Json values = json_.at(key);
    if (!values.is_array() || static_cast<int64_t>(values.size()) != size) {
      refuse(where_, key, "has not the expected " + std::to_string(size) + " numbers");
    }
    std::vector<double> list;
    for (size_t i = 0; i < values.size(); ++i) list.push_back(values.at(i).as_double());
    return list;
  }

 private:
  Json json_;
  std::string where_;
};

// arXiv:2309.00071, section 3.4, as transformers generalises it.
double yarn_attention(double scale, double m) {
  return scale <= 1.0 ? 1.0 : 0.1 * m * std::log(scale) + 1.0;
}

void read_yarn(Rope& rope, const Parameters& p, int64_t n_ctx) {
  const double original = static_cast<double>(rope.original_ctx);
  rope.factor = p.number("factor", static_cast<double>(n_ctx) / original);
  const double m = p.number("mscale", 0.0), all = p.number("mscale_all_dim", 0.0);
  const double usual = m != 0.0 && all != 0.0
                           ? yarn_attention(rope.factor, m) / yarn_attention(rope.factor, all)
                           : yarn_attention(rope.factor, 1.0);
  rope.attention_factor = p.number("attention_factor", usual);
  rope.beta_fast = p.number_not_zero("beta_fast", 32.0);
  rope.beta_slow = p.number_not_zero("beta_slow", 1.0);
  rope.truncate = p.flag("truncate", true);
}

void read_longrope(Rope& rope, const Parameters& p, int64_t n_ctx) {
  const double original = static_cast<double>(rope.original_ctx);
  rope.short_factors = p.list("short_factor", rope.dim / 2);
  rope.long_factors = p.list("long_factor", rope.dim / 2);
  const double factor = p.number("factor", static_cast<double>(n_ctx) / original);
  const double usual = factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original));
  rope.attention_factor = p.number("attention_factor", usual);
}

void read_scaling(Rope& rope, const Parameters& p, const std::string& where, int64_t n_ctx) {
  const std::string type = p.type();
  if (type == "default") return;
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
    rope.factor = p.required("factor");
  } else if (type == "dynamic") {
    rope.scaling = RopeScaling::dynamic;
    rope.factor = p.required("factor");
    rope.original_ctx = n_ctx;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::llama3;
    rope.factor = p.required("factor");
    rope.low_freq_factor = p.required("low_freq_factor");
    rope.high_freq_factor = p.required("high_freq_factor");
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    read_yarn(rope, p, n_ctx);
  } else if (type == "longrope") {
    rope.scaling = RopeScaling::longrope;
    read_longrope(rope, p, n_ctx);
  } else {
    const std::vector<std::string> known = {"default", "linear", "dynamic",
                                            "llama3",  "yarn",   "longrope"};
    refuse(where, "rope_type",
           "is '" + type + "', expected default, linear, dynamic, llama3, yarn or longrope" +
               did_you_mean(type, known));
  }
}

}  // namespace

Rope rope_from(const Json& parameters, const std::string& where, int64_t d_head, int64_t n_ctx,
               const RopeDefaults& defaults) {
  const Parameters p(parameters, where, defaults.more_keys);
  Rope rope;
  rope.layout = defaults.layout;
  rope.theta = p.number("rope_theta", defaults.theta);
  const double partial = p.number("partial_rotary_factor", defaults.partial);
  if (partial != 1.0 && !defaults.may_be_partial) {
    refuse(where, "partial_rotary_factor", "is not 1, but the family's heads turn as wholes");
  }
  rope.dim = static_cast<int64_t>(static_cast<double>(d_head) * partial);
  rope.original_ctx = static_cast<int64_t>(
      p.number("original_max_position_embeddings", static_cast<double>(n_ctx)));
  if (rope.theta <= 0 || rope.original_ctx < 1) {
    refuse(where, "rope_theta", "and the original length must be positive");
  }
  read_scaling(rope, p, where, n_ctx);
  if (!(rope.factor > 0)) refuse(where, "factor", "must be positive");
  return rope;
}

Json rope_parameters(ConfigReader& config, const RopeDefaults& defaults) {
  // rope_scaling, where there is one, counts more than rope_parameters.
  const Json older = config.object("rope_scaling"), newer = config.object("rope_parameters");
  if (older.is_object() && older.size() > 0) return older;
  if (!newer.is_null()) return newer;
  return defaults.parameters.empty() ? Json::object()
                                     : Json::parse(defaults.parameters, "rope_parameters");
}

Rope read_rope(ConfigReader& config, int64_t d_head, int64_t n_ctx, const RopeDefaults& defaults) {
  // A top-level key fills what the object leaves out. transformers: standardize_rope_params.
  Json parameters = rope_parameters(config, defaults);
  RopeDefaults outer = defaults;
  outer.theta = config.number("rope_theta", defaults.theta);
  outer.partial = config.number("partial_rotary_factor", defaults.partial);
  if (config.has("original_max_position_embeddings")) {
    parameters.set("original_max_position_embeddings",
                   config.object("original_max_position_embeddings"));
  }
  const bool older = config.has("rope_scaling") && !config.has("rope_parameters");
  return rope_from(parameters, older ? "rope_scaling" : "rope_parameters", d_head, n_ctx, outer);
}

Json with_rope_type(Json config, std::string_view from, std::string_view to) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.contains(key) || !config.at(key).is_object()) continue;
    Json parameters = config.at(key);
    for (const char* type : {"rope_type", "type"}) {
      const bool there = parameters.contains(type) && parameters.at(type).is_string();
      if (there && parameters.at(type).as_string() == from) parameters.set(type, to);
    }
    config.set(key, parameters);
  }
  return config;
}

std::vector<Rope> ropes_by_layer_type(ConfigReader& config, int64_t d_head, int64_t n_ctx,
                                      const RopeDefaults& full, const RopeDefaults& sliding) {
  const Json parameters = config.object("rope_parameters");
  const auto of = [&](const std::string& type, const RopeDefaults& defaults, const Json& more) {
    Json own = Json::object();
    if (parameters.contains(type) && !parameters.at(type).is_null()) own = parameters.at(type);
    for (const auto& [key, value] : more.items()) own.set(key, value);
    if (own.contains("truncate")) own.erase("truncate");  // transformers looks elsewhere for it
    return rope_from(own, "rope_parameters." + type, d_head, n_ctx, defaults);
  };
  for (const auto& [key, value] : (parameters.is_null() ? Json::object() : parameters).items()) {
    if (key == "full_attention" || key == "sliding_attention") continue;
    refuse("rope_parameters", key,
           "is " + value.dump() + ", expected full_attention and sliding_attention only");
  }
  const Json scaling = config.object("rope_scaling");
  return {of("full_attention", full, scaling.is_null() ? Json::object() : scaling),
          of("sliding_attention", sliding, Json::object())};
}

}  // namespace lenswright
