#include <sluice/config/translate.hpp>

#include <sluice/config/apply.hpp>
#include <sluice/config/complete.hpp>
#include <sluice/config/translate_collect.hpp>
#include <sluice/config/validate.hpp>
#include <sluice/core/text.hpp>

#include <map>
#include <sstream>

namespace sluice::config {
namespace {

// The second half: pools get their names, urls are put together, and the result is held against our own rules.
class Finisher {
 public:
  Finisher(const Ecosystem& from, const std::string& file, Collected collected) : from_(from), file_(file), collected_(std::move(collected)) {}

  Translation run() {
    name_pools();
    for (auto& [pool, url] : collected_.urls) finish_url(pool, url);
    out_.from = from_.title;
    out_.file = file_;
    out_.remarks = std::move(collected_.remarks);
    out_.problems = std::move(collected_.problems);
    write();
    check();
    return std::move(out_);
  }

 private:
  // A single pool is called main, and so is Django's default one.
  void name_pools() {
    std::map<std::string, std::string> names;
    for (const auto& [pool, url] : collected_.urls) names[pool] = pool;
    for (const auto& [name, slot] : collected_.values) {
      if (name.starts_with("pools.")) names.emplace(name.substr(6, name.find('.', 6) - 6), "");
    }
    const bool single = names.size() == 1 || (names.size() == 2 && names.contains("main"));
    for (auto& [pool, name] : names) name = (single && !names.contains("main")) || pool == "default" ? "main" : pool;
    std::map<std::string, Collected::Slot> values;
    for (auto& [name, slot] : collected_.values) {
      std::string renamed = name;
      for (const std::string_view section : {"pools.", "servers."}) {
        if (!name.starts_with(section)) continue;
        const std::size_t end = name.find('.', section.size());
        const auto found = names.find(name.substr(section.size(), end - section.size()));
        if (found != names.end()) renamed = text(section, found->second, name.substr(end));
      }
      values.emplace(std::move(renamed), std::move(slot));
    }
    collected_.values = std::move(values);
    std::map<std::string, UrlParts> urls;
    for (auto& [pool, url] : collected_.urls) urls.emplace(names[pool], std::move(url));
    for (const auto& [pool, name] : names) urls[name];
    if (urls.empty()) urls["main"];
    collected_.urls = std::move(urls);
  }

  void finish_url(const std::string& pool, UrlParts& parts) {
    const std::string name = text("pools.", pool, ".url");
    Collected::Slot slot;
    slot.line = parts.line;
    slot.theirs = parts.line == 0 ? "" : parts.whole() ? "url" : "its parts";
    if (parts.empty()) {
      slot.value = text("${DATABASE_URL:-", from_.missing, "}");
      slot.remark = "the file names no server: set DATABASE_URL, or write the url here";
    } else {
      slot.value = parts.text(from_.scheme);
      if (!parts.password.empty() && !is_variable(parts.password)) slot.remark = "holds a password: ${NAME} or url_file keep it out of this file";
      if (const std::string why = parts.remark(); !why.empty()) slot.remark += text(slot.remark.empty() ? "" : "; ", why);
    }
    collected_.values[name] = std::move(slot);
  }

  void write() {
    for (const Option& option : options()) {
      for (const auto& [name, slot] : collected_.values) {
        const auto match = find_option(name, Spelling::exact);
        if (match && match->option == &option) out_.options.push_back({name, slot.value, slot.theirs, slot.remark});
      }
    }
  }

  // The result must be a configuration: what this framework refuses is said now, with their names.
  void check() {
    Loaded loaded;
    Problems problems;
    std::vector<Assignment> assignments;
    for (const Translated& option : out_.options) {
      auto match = find_option(option.name, Spelling::exact);
      const bool url = option.name.ends_with(".url");
      if (is_variable(option.value) && !url) continue;
      const Collected::Slot& slot = collected_.values.at(option.name);
      assignments.push_back({std::move(*match), Raw{Raw::Form::words, is_variable(option.value) ? std::string(from_.missing) : option.value},
                             slot.line == 0 ? "translated" : text(file_, ":", slot.line, " ", slot.theirs), Layer::file});
    }
    Application application;
    application.executable = "app";
    apply(assignments, loaded, problems);
    complete(loaded, application);
    validate(loaded, application, problems);
    try {
      problems.throw_if_any();
    } catch (const ConfigError& error) {
      std::istringstream lines(error.what());
      for (std::string line; std::getline(lines, line);) out_.problems.push_back(line);
    }
  }

  const Ecosystem& from_;
  const std::string& file_;
  Collected collected_;
  Translation out_;
};

}  // namespace

Translation translate(const Ecosystem& from, const std::string& content, const std::string& file) {
  return Finisher(from, file, collect(from, content, file)).run();
}

}  // namespace sluice::config
