#include <sluice/admin/translate.hpp>

#include <sluice/config/file.hpp>
#include <sluice/config/loader.hpp>
#include <sluice/config/translate.hpp>
#include <sluice/core/error.hpp>
#include <sluice/core/text.hpp>

#include <iostream>
#include <nlohmann/json.hpp>

namespace sluice::admin {
namespace {

using nlohmann::json;

config::Translation translation_of(const Invocation& asked) {
  const bool standard_input = asked.values[1] == "-";
  const auto content = config::read_file(standard_input ? "/dev/stdin" : asked.values[1]);
  if (!content) throw ExitError(ExitCode::usage, text("file ", asked.values[1], ": cannot be read (", content.problem, "); check the path"));
  try {
    return config::translate(*config::find_ecosystem(asked.from), content.value, standard_input ? "<stdin>" : asked.values[1]);
  } catch (const config::ConfigError& error) {
    throw ExitError(ExitCode::config, error.what());
  }
}

json as_json(const config::Translation& translation) {
  json options = json::array(), remarks = json::array();
  for (const config::Translated& option : translation.options)
    options.push_back({{"name", option.name}, {"value", option.value}, {"theirs", option.theirs}, {"remark", option.remark}});
  for (const config::Remark& remark : translation.remarks) remarks.push_back({{"theirs", remark.theirs}, {"line", remark.line}, {"said", remark.said}});
  return {{"from", translation.from}, {"options", options}, {"remarks", remarks}, {"problems", translation.problems}, {"text", config::to_text(translation)}};
}

}  // namespace

int translate(const Invocation& asked, const std::string& program) {
  if (asked.table) {
    config::print_coming_from(std::cout);
    return 0;
  }
  const config::Translation translation = translation_of(asked);
  if (asked.json) {
    std::cout << as_json(translation).dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  } else {
    std::cout << config::to_text(translation);
  }
  std::cout.flush();
  for (const std::string& problem : translation.problems) std::cerr << program << ": " << problem << '\n';
  return translation.problems.empty() ? 0 : to_int(ExitCode::config);
}

}  // namespace sluice::admin
