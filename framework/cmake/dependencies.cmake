# Everything that Sluice uses from outside: for its own build, and installed for those who use the package.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})  # FindMariaDBClient
sluice_dependency(Threads)
sluice_dependency(Boost 1.81)
sluice_dependency(OpenSSL)
sluice_dependency(PostgreSQL)
sluice_dependency(SQLite3)
sluice_dependency(MariaDBClient)
sluice_dependency(nlohmann_json)
sluice_dependency(yaml-cpp)
sluice_dependency(spdlog)
