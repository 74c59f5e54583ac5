# Everything that Sluice uses from outside: for its own build, and installed for those who use the package.
sluice_dependency(Threads)
sluice_dependency(Boost 1.81)
sluice_dependency(OpenSSL)
sluice_dependency(PostgreSQL)
sluice_dependency(SQLite3)
sluice_dependency(nlohmann_json)
sluice_dependency(yaml-cpp)
sluice_dependency(spdlog)
