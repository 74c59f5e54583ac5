#include <sluice/core/text.hpp>
#include <sluice/drivers/sqlite/error.hpp>

#include <sqlite3.h>
#include <unistd.h>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace sluice::sqlite {
namespace {

// The errno behind it, 0 if that is not known. For what COMMIT could not write SQLite keeps it with the file only.
int system_reason(sqlite3* db, int code) noexcept {
  if ((code & 0xff) == SQLITE_CANTOPEN) return sqlite3_system_errno(db);
  if ((code & 0xff) != SQLITE_IOERR) return 0;
  int reason = sqlite3_system_errno(db);
  sqlite3_file* log = nullptr;
  if (reason == 0 && sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log && log->pMethods && log->pMethods->xFileControl)
    log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &reason);
  if (reason == 0) sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &reason);
  return reason;
}

}  // namespace

sql::Class classify(sql::Phase phase, int code) noexcept {
  using sql::Class;
  switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: return Class::unique_violation;
    case SQLITE_CONSTRAINT_FOREIGNKEY: return Class::foreign_key_violation;
    case SQLITE_CONSTRAINT_NOTNULL: return Class::not_null_violation;
    case SQLITE_CONSTRAINT_CHECK: return Class::check_violation;
    case SQLITE_CONSTRAINT_DATATYPE: return Class::type;
    default: break;
  }
  switch (code & 0xff) {
    case SQLITE_ERROR: return phase == sql::Phase::prepare ? Class::syntax : Class::other;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return Class::busy;
    case SQLITE_INTERRUPT: return Class::cancelled;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Class::disk;
    case SQLITE_PERM:
    case SQLITE_AUTH: return Class::permission;
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE: return Class::type;
    default: return Class::other;
  }
}

sql::SqlError make_error(sql::Phase phase, sqlite3* db, int code, const std::string& statement) {
  const std::string message = db && sqlite3_extended_errcode(db) == code ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  const std::string shortened = sql::shorten(statement);
  if (const sql::Class error_class = classify(phase, code); error_class == sql::Class::disk) {
    const char* file = db ? sqlite3_db_filename(db, "main") : nullptr;
    const int reason = db ? system_reason(db, code) : 0;
    return sql::SqlError(phase, error_class, "", code,
                         text(message, reason ? text(": ", std::generic_category().message(reason)) : "", file && *file ? text(", file ", file) : "",
                              " (SQLite ", code, shortened.empty() ? "" : ", in: ", shortened, ")"),
                         shortened);
  }
  return sql::SqlError(phase, classify(phase, code), "", code, text(message, " (SQLite ", code, shortened.empty() ? "" : ", in: ", shortened, ")"), shortened);
}

bool ends_connection(int code) noexcept {
  switch (code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_MISUSE: return true;
    default: return false;
  }
}

std::string explain_cannot_open(const std::string& path, bool read_only, bool create, const std::string& sqlite_message) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path file = fs::absolute(path, error);
  const fs::path directory = file.parent_path();
  const std::string head = text("cannot open SQLite database ", file.native(), ": ");
  if (!fs::exists(directory, error))
    return text(head, "directory ", directory.native(), error ? text(" cannot be read (", error.message(), ")") : " does not exist", "; create it or change the pool's url");
  if (!fs::is_directory(directory, error)) return text(head, directory.native(), " is not a directory; change the pool's url");
  if (fs::is_directory(file, error)) return text(head, "it is a directory; the pool's url must name a file");
  // Root may write everything, but not here.
  const bool found = fs::exists(file, error);
  if (!read_only && ::access((found ? file : directory).c_str(), W_OK) != 0 && errno == EROFS)
    return text(head, "its file system is mounted read-only; mount it for writing, ",
                found ? "add mode=ro to the pool's url" : "change the pool's url");
  if (!found) {
    if (!create || read_only) return text(head, "it does not exist and the url's mode does not allow to make it; create it or use mode=rwc");
    if (::access(directory.c_str(), W_OK | X_OK) != 0)
      return text(head, "user ", ::geteuid(), " may not create files in ", directory.native(), "; give it write permission there or change the pool's url");
  } else if (::access(file.c_str(), R_OK) != 0) {
    return text(head, "user ", ::geteuid(), " may not read it; change its permissions or the pool's url");
  } else if (!read_only && ::access(file.c_str(), W_OK) != 0) {
    return text(head, "user ", ::geteuid(), " may not write it; change its permissions or add mode=ro to the pool's url");
  } else if (!read_only && ::access(directory.c_str(), W_OK | X_OK) != 0) {
    return text(head, "user ", ::geteuid(), " may not create files in ", directory.native(), ", which SQLite needs for its log (-wal, -shm); give it write permission there");
  }
  return head + sqlite_message;
}

}  // namespace sluice::sqlite
