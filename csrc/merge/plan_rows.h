#pragma once

#include <string>
#include <vector>

#include "merge/job.h"

namespace lenswright {

/// Gives the operands of a vocabulary's tensor their rows by token; nothing where `vocabulary`
/// (see MergeOptions) is null. std::invalid_argument: a token whose id is beyond a tensor's rows.
void set_rows(Job& job, const Json& vocabulary);

/// Requires operands of one shape. Where only the vocabularies' sizes differ, compat keeps the rows
/// that all of them have, as mergekit does, and notes it.
void cut_rows(Job& job, Mode mode, std::vector<std::string>& notes);

}  // namespace lenswright
