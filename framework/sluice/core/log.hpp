// One log for a process: levels, text or JSON lines, stderr or a file. Any thread may log; a forked child logs to the
// same sink with its own name. Messages are plain strings: build them with text(…). Secrets never reach this interface.
#pragma once

#include <string>
#include <string_view>

namespace sluice::log {

enum class Level { debug, info, warning, error, off };

struct Settings {
  Level level = Level::info;
  bool json = false;      // one JSON object per line instead of text
  std::string file = {};  // empty: stderr
};

// Call once per process before logging (again after fork is harmless). Throws sluice::Error if the file cannot be opened.
void configure(const Settings& settings);

// The name in front of every line of this thread: "master", "admin", "web 0". Copied.
void set_name(std::string_view name);

// Opens the log file anew (after rotation); if that fails, says so and keeps the old one. No effect on stderr. Any thread.
void reopen();

bool enabled(Level level) noexcept;
void write(Level level, std::string_view message);

inline void debug(std::string_view m) { write(Level::debug, m); }
inline void info(std::string_view m) { write(Level::info, m); }
inline void warning(std::string_view m) { write(Level::warning, m); }
inline void error(std::string_view m) { write(Level::error, m); }

}  // namespace sluice::log
