#include <sluice/drivers/mysql/replies.hpp>

#include <utility>

namespace sluice::mysql {

Replies::Replies(MYSQL* connection) : connection_(connection) {
  methods_.library = connection->methods;
  static_cast<st_mariadb_methods&>(methods_) = *methods_.library;
  methods_.db_read_query_result = read_query_result;
  connection->methods = &methods_;
}

Replies::~Replies() {
  send_only(false);
  connection_->methods = methods_.library;
}

void Replies::send_only(bool on) {
  const my_bool value = on ? 1 : 0;
  mysql_options(connection_, MARIADB_OPT_SKIP_READ_RESPONSE, &value);
}

int Replies::read(MYSQL_STMT* statement, my_bool& failed, int ready) {
  if (ready) return mysql_read_query_result_cont(&failed, connection_, ready);
  methods_.statement = statement;
  return mysql_read_query_result_start(&failed, connection_);
}

int Replies::read_query_result(MYSQL* connection) {
  auto& methods = static_cast<Methods&>(const_cast<st_mariadb_methods&>(*connection->methods));  // ours;
  MYSQL_STMT* const statement = std::exchange(methods.statement, nullptr);
  if (!statement) return methods.library->db_read_query_result(connection);
  // Sending has prepared the objects for one answer, and there may be several.
  statement->result.rows = 0;
  statement->field_count = 0;  // see MysqlSession::execution()
  connection->net.last_errno = 0;
  if (methods.library->db_read_execute_response(statement)) return 1;
  return statement->field_count > 0 ? mysql_stmt_store_result(statement) : 0;
}

}  // namespace sluice::mysql
