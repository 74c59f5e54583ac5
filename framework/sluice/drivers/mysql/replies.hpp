// Statements that are sent before the answers to earlier ones were read, while an object of this exists. One loop's own.
//
// Connector/C sends without reading by MARIADB_OPT_SKIP_READ_RESPONSE, and reads such an answer by db_read_execute_response of the
// connection's table of methods (CONC-533). There is no _start/_cont call for that, so the table is replaced meanwhile, as the library's
// plugins do, by one whose db_read_query_result reads a statement's whole answer: mysql_read_query_result_start runs it
// in the library's own context, where it can be suspended.
#pragma once

#include <mysql.h>

namespace sluice::mysql {

class Replies {
 public:
  // `connection` is between two calls, and outlives this.
  explicit Replies(MYSQL* connection);
  ~Replies();
  Replies(const Replies&) = delete;
  Replies& operator=(const Replies&) = delete;

  // mysql_stmt_execute sends only.
  void send_only(bool on);
  // The step of a Call that reads the next answer, which is `statement`'s: its rows are in the library's memory then.
  // `failed`: not 0 if it is an error, the statement's.
  int read(MYSQL_STMT* statement, my_bool& failed, int ready);

 private:
  struct Methods : st_mariadb_methods {
    const st_mariadb_methods* library = nullptr;
    MYSQL_STMT* statement = nullptr;  // whose answer is read
  };
  static int read_query_result(MYSQL* connection);

  MYSQL* connection_;
  Methods methods_;
};

}  // namespace sluice::mysql
