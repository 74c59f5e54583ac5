// The tables, and 1000 users to begin with. Each script may run again at any time: what exists stays as it is.
#pragma once

#include <string>

namespace orders {

std::string postgres_schema();
std::string sqlite_schema();
std::string mysql_schema();  // MariaDB and MySQL

}  // namespace orders
