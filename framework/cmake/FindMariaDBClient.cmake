# MariaDB Connector/C as MariaDB::Client. It must have the non-blocking calls (mysql_real_query_start and its like), which
# Oracle's libmysqlclient does not have: that one is refused here rather than when the driver fails to link.
include(CheckCXXSourceCompiles)
include(FindPackageHandleStandardArgs)

find_path(MariaDBClient_INCLUDE_DIR mysql.h PATH_SUFFIXES mariadb mysql)
find_library(MariaDBClient_LIBRARY NAMES mariadb mariadbclient mysqlclient)
mark_as_advanced(MariaDBClient_INCLUDE_DIR MariaDBClient_LIBRARY)

set(reason "install MariaDB Connector/C (Debian: libmariadb-dev)")
if(MariaDBClient_INCLUDE_DIR AND MariaDBClient_LIBRARY)
  set(CMAKE_REQUIRED_INCLUDES ${MariaDBClient_INCLUDE_DIR})
  set(CMAKE_REQUIRED_LIBRARIES ${MariaDBClient_LIBRARY})
  set(CMAKE_REQUIRED_QUIET ON)
  check_cxx_source_compiles("#include <mysql.h>
int main() { int failed = 0; return mysql_real_query_start(&failed, nullptr, nullptr, 0) + (MYSQL_WAIT_READ == 0); }" MariaDBClient_NONBLOCKING)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  unset(CMAKE_REQUIRED_QUIET)
  if(NOT MariaDBClient_NONBLOCKING)
    set(reason "${MariaDBClient_LIBRARY} lacks the non-blocking calls (mysql_real_query_start): it is not MariaDB Connector/C. Install that (Debian: \
libmariadb-dev) and, if both are there, set MariaDBClient_INCLUDE_DIR and MariaDBClient_LIBRARY to it")
  endif()
endif()

find_package_handle_standard_args(MariaDBClient REQUIRED_VARS MariaDBClient_LIBRARY MariaDBClient_INCLUDE_DIR MariaDBClient_NONBLOCKING
  REASON_FAILURE_MESSAGE "${reason}")

if(MariaDBClient_FOUND AND NOT TARGET MariaDB::Client)
  add_library(MariaDB::Client UNKNOWN IMPORTED)
  set_target_properties(MariaDB::Client PROPERTIES IMPORTED_LOCATION ${MariaDBClient_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${MariaDBClient_INCLUDE_DIR})
endif()
