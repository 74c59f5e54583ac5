// A pool's url, put together from the parts that other configurations hold.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::config {

// Our scheme for a driver's or dialect's name: postgres for "django.db.backends.postgresql", "pgsql", "postgresql+psycopg2", "jdbc:postgresql".
std::string scheme_named(std::string_view name);

struct UrlParts {
  std::string scheme, host, port, user, password, database;
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string variable;  // the whole url is one: "${DATABASE_URL}"
  int line = 0;          // of the first part; 0: none

  bool empty() const;
  bool whole() const noexcept { return whole_; }
  // Takes a url apart; gives back its parameters, which may be options of the pool.
  std::vector<std::pair<std::string, std::string>> take_url(std::string_view url);
  std::string text(std::string_view usual_scheme) const;
  // What a reader should know about it; may be empty.
  std::string remark() const;

 private:
  bool whole_ = false;
};

}  // namespace sluice::config
