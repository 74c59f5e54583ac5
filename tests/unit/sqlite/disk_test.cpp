// What a full or failing disk does: clear errors, nothing half-done, and writing goes on afterwards.
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <string>

#include "fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using sql::Class;
using sql::SqlError;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

awaitable<int> count(Open& db) {
  const sql::Rows rows = co_await db.run("SELECT count(*) FROM t");
  co_return rows[0][0].as<int>();
}

// The error of writing to a full disk, as everywhere in this file.
void check_full(const std::optional<SqlError>& error, const std::filesystem::path& file) {
  REQUIRE(error);
  const std::string what = error->what();
  CAPTURE(what);
  CHECK(error->error_class() == Class::disk);
  CHECK(error->native_code() == SQLITE_FULL);
  CHECK(contains(error->what(), "database or disk is full"));
  CHECK(contains(error->what(), file.native()));
}

// Makes every write of SQLite to files fail, as a disk does that went away or became read-only under it.
class FailingWrites {
 public:
  FailingWrites() : base_(sqlite3_vfs_find(nullptr)) {
    shim_ = *base_;
    shim_.zName = "failing";
    shim_.xOpen = &FailingWrites::open;
    base = base_;
    error = 0;
    REQUIRE(sqlite3_vfs_register(&shim_, 1) == SQLITE_OK);
  }
  FailingWrites(const FailingWrites&) = delete;
  FailingWrites& operator=(const FailingWrites&) = delete;
  ~FailingWrites() {
    sqlite3_vfs_register(base_, 1);
    sqlite3_vfs_unregister(&shim_);
  }
  static inline std::atomic<int> error{0};  // errno of the writes; 0: they succeed

 private:
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    const int rc = base->xOpen(vfs, name, file, flags, out);
    if (!file->pMethods) return rc;
    write = file->pMethods->xWrite;  // the same for all kinds of files, which differ in other things
    sqlite3_io_methods& methods = methods_of[file->pMethods];
    methods = *file->pMethods;
    methods.xWrite = [](sqlite3_file* f, const void* data, int size, sqlite3_int64 at) {
      return error == 0 ? write(f, data, size, at) : SQLITE_IOERR_WRITE;
    };
    control = file->pMethods->xFileControl;
    methods.xFileControl = [](sqlite3_file* f, int op, void* argument) {
      if (op != SQLITE_FCNTL_LAST_ERRNO || error == 0) return control(f, op, argument);
      *static_cast<int*>(argument) = error;
      return SQLITE_OK;
    };
    file->pMethods = &methods;
    return rc;
  }
  static inline int (*write)(sqlite3_file*, const void*, int, sqlite3_int64) = nullptr;
  static inline int (*control)(sqlite3_file*, int, void*) = nullptr;
  static inline std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods_of;
  static inline sqlite3_vfs* base = nullptr;
  sqlite3_vfs* base_;
  sqlite3_vfs shim_;
};

// Runs `test` in a child process that may mount file systems which nobody else sees. Returns what it said, "" if all was well;
// nothing if that is not allowed: it needs root.
template <class F>
std::optional<std::string> with_mounts(F test) {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool alone = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (!alone) ::_exit(1);
    std::string said;
    try {
      said = test();
    } catch (const std::exception& e) {
      said = std::string("threw: ") + e.what();
    }
    const ssize_t written = ::write(pipe[1], said.data(), said.size());
    ::_exit(written == static_cast<ssize_t>(said.size()) ? 0 : 2);
  }
  ::close(pipe[1]);
  std::string said;
  std::array<char, 1024> buffer;
  for (ssize_t n = 0; (n = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) said.append(buffer.data(), static_cast<std::size_t>(n));
  ::close(pipe[0]);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 1) return std::nullopt;
  CHECK(WEXITSTATUS(status) == 0);
  return said;
}

std::string what_of(const std::optional<SqlError>& error) { return error ? error->what() : "no error"; }

}  // namespace

TEST_CASE("a full database is a clear error that leaves nothing of the statement, inside and outside of a transaction") {
  const TemporaryDirectory directory;
  const auto file = directory / "full.db";
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(file));
    co_await db.connect();
    co_await db.run("CREATE TABLE t (b BLOB)");
    co_await db.run("PRAGMA max_page_count = 8");
    const sql::Bytes big(100'000, std::byte{7}), small(10, std::byte{7});
    const auto alone = co_await thrown<SqlError>(db.run("INSERT INTO t VALUES ($1)", big));
    check_full(alone, file);
    CHECK(alone->statement() == "INSERT INTO t VALUES ($1)");
    CHECK_FALSE(db.connection().broken);
    const int none = co_await count(db);
    CHECK(none == 0);

    co_await db.begin();
    co_await db.run("INSERT INTO t VALUES ($1)", small);
    const auto inside = co_await thrown<SqlError>(db.run("INSERT INTO t VALUES ($1)", big));
    check_full(inside, file);
    // SQLite may have given up the whole transaction: then nobody may believe that it goes on.
    const auto further = co_await thrown<SqlError>(db.run("INSERT INTO t VALUES ($1)", small));
    const bool over = further.has_value();
    if (over) CHECK(contains(further->what(), "the transaction is over"));
    const auto commit = co_await thrown<SqlError>(db.commit());
    CHECK(commit.has_value() == over);
    const int kept = co_await count(db);
    CHECK(kept == (over ? 0 : 2));

    co_await db.run("PRAGMA max_page_count = 1000");
    co_await db.run("INSERT INTO t VALUES ($1)", big);
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a full disk is a clear error for a statement, a begin and a commit, and space makes writing go on") {
  const TemporaryDirectory directory;
  const auto said = with_mounts([&]() -> std::string {
    if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=256k") != 0) return "mount";
    std::string wrong;
    auto body = [&]() -> awaitable<void> {
      Open db(url_of(directory / "a.db"));
      co_await db.connect();
      co_await db.run("CREATE TABLE t (b BLOB)");
      const sql::Bytes big(1'000'000, std::byte{7}), small(10'000, std::byte{7});
      const auto expect = [&](const char* where, const std::optional<SqlError>& error) {
        const std::string what = what_of(error);
        if (!error || error->error_class() != Class::disk || !contains(what, "database or disk is full") || !contains(what, "a.db"))
          wrong += std::string(where) + ": " + what + "\n";
      };
      const auto alone = co_await thrown<SqlError>(db.run("INSERT INTO t VALUES ($1)", big));
      expect("alone", alone);
      // Until not even a page more has room; the log's own room is what the failed statement had filled.
      const int ballast = ::open((directory / "ballast").c_str(), O_CREAT | O_WRONLY, 0600);
      const std::string block(4096, 'x');
      while (::write(ballast, block.data(), block.size()) > 0) {
      }
      co_await db.begin();
      const auto inside = co_await thrown<SqlError>(db.run("INSERT INTO t VALUES ($1)", big));
      std::optional<SqlError> commit;
      if (!inside) commit = co_await thrown<SqlError>(db.commit());
      expect("inside", inside ? inside : commit);
      co_await db.session().rollback(Deadline::never());
      ::close(ballast);
      std::filesystem::remove(directory / "ballast");
      if (db.connection().broken) {
        wrong += "the connection is broken\n";
      } else {
        co_await db.run("INSERT INTO t VALUES ($1)", small);
        const int rows = co_await count(db);
        if (rows != 1) wrong += "rows: " + std::to_string(rows) + "\n";
      }
      co_await db.close();
    };
    on_loop(body);
    return wrong;
  });
  if (!said) {
    MESSAGE("skipped: no file system may be mounted here");
    return;
  }
  CHECK(*said == "");
}

TEST_CASE("a file system that can only be read is named as such when a connection is opened, also while others run") {
  const TemporaryDirectory directory;
  const auto said = with_mounts([&]() -> std::string {
    if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=1m") != 0) return "mount";
    std::string wrong;
    const auto expect = [&](const char* where, const std::string& what) {
      if (!contains(what, "is mounted read-only")) wrong += std::string(where) + ": " + what + "\n";
    };
    auto make = [&]() -> awaitable<void> {
      Open db(url_of(directory / "a.db"));
      co_await db.connect();
      co_await db.run("CREATE TABLE t (n INTEGER)");
      co_await db.close();
    };
    on_loop(make);
    if (::mount(nullptr, directory.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return "remount";
    auto body = [&]() -> awaitable<void> {
      Open known(url_of(directory / "a.db")), fresh(url_of(directory / "fresh.db"));
      const auto file = co_await thrown<pool::ConnectFailed>(known.connect());
      expect("file", file ? file->what() : "no error");
      const auto absent = co_await thrown<pool::ConnectFailed>(fresh.connect());
      expect("directory", absent ? absent->what() : "no error");
    };
    on_loop(body);
    return wrong;
  });
  if (!said) {
    MESSAGE("skipped: no file system may be mounted here");
    return;
  }
  CHECK(*said == "");
}

TEST_CASE("a disk that fails while a connection runs is told with the system's reason, and ends that connection only") {
  const TemporaryDirectory directory;
  const auto file = directory / "a.db";
  FailingWrites disk;
  auto body = [&]() -> awaitable<void> {
    Open db(url_of(file));
    co_await db.connect();
    co_await db.run("CREATE TABLE t (b BLOB)");
    co_await db.run("INSERT INTO t VALUES (1)");
    for (const int reason : {EROFS, EIO}) {
      CAPTURE(reason);
      co_await db.begin();
      co_await db.run("INSERT INTO t VALUES (2)");
      FailingWrites::error = reason;
      const auto commit = co_await thrown<SqlError>(db.commit());
      FailingWrites::error = 0;
      REQUIRE(commit);
      const std::string what = commit->what();
      CAPTURE(what);
      CHECK(commit->error_class() == Class::disk);
      CHECK(commit->phase() == sql::Phase::commit);
      CHECK(contains(commit->what(), reason == EROFS ? "Read-only file system" : "Input/output error"));
      CHECK(contains(commit->what(), file.native()));
      CHECK(db.connection().broken);
      co_await db.close();
      co_await db.connect();
      const int rows = co_await count(db);
      CHECK(rows == 1);
    }
    co_await db.close();
  };
  on_loop(body);
}

TEST_CASE("a value beyond SQLite's limit is an error of class type, and the connection goes on") {
  auto body = []() -> awaitable<void> {
    Open db("sqlite::memory:");
    co_await db.connect();
    const auto error = co_await thrown<SqlError>(db.run("SELECT zeroblob($1)", 2'000'000'000));
    REQUIRE(error);
    CHECK(error->error_class() == Class::type);
    CHECK(error->native_code() == SQLITE_TOOBIG);
    CHECK(contains(error->what(), "string or blob too big"));
    CHECK_FALSE(db.connection().broken);
    const sql::Rows rows = co_await db.run("SELECT 1");
    CHECK(rows[0][0].as<int>() == 1);
    co_await db.close();
  };
  on_loop(body);
}
