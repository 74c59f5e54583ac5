// Text from shared memory as it may leave the process: valid UTF-8 (a worker may have died while writing, or cut a
// character in half) and without secrets (driver messages can quote a connection string). Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::admin {

// Invalid bytes become "?", control characters become spaces; passwords in URLs (user:***@host) and in key=value pairs
// (password, passwd, pwd, token, secret and keys that end in them) become "***".
std::string presentable(std::string_view text);

}  // namespace sluice::admin
