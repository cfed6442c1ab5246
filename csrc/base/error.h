#pragma once

#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace lenswright {

/// The candidate closest to `name` in edit distance; "" when none is close.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

/// "; did you mean 'x'?" for the nearest candidate, "" when none is close.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

/// `text` made safe to print: control characters and invalid UTF-8 escaped, long texts shortened.
std::string printable(std::string_view text);

/// The same in single quotes.
std::string in_quotes(std::string_view text);

/// A file or folder that is missing, in the way, or unusable: an errno with a sentence of our own.
class FileError : public std::system_error {
 public:
  FileError(int code, std::string message);
  ~FileError() override;
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// Throws a FileError of the current errno: "`what` 'path': the system's words".
[[noreturn]] void throw_errno(std::string_view what, std::string_view path);

}  // namespace lenswright
