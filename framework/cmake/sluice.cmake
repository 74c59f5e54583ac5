# What dependencies.cmake lists must be there to build; the installed package asks for the same by find_dependency().
macro(sluice_dependency)
  find_package(${ARGV} REQUIRED)
endmacro()
include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
include(GNUInstallDirs)

add_library(sluice_flags INTERFACE)
add_library(sluice::flags ALIAS sluice_flags)
set_target_properties(sluice_flags PROPERTIES EXPORT_NAME flags)
target_compile_features(sluice_flags INTERFACE cxx_std_20)
target_compile_definitions(sluice_flags INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_STD_INVOKE_RESULT
                           # Calls of the SQL interface are some coroutines deep: their frames are used again.
                           BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=4)
target_link_libraries(sluice_flags INTERFACE Boost::headers Threads::Threads)

# Warnings and sanitizers are ours, not our users'.
add_library(sluice_private_flags INTERFACE)
target_compile_options(sluice_private_flags INTERFACE -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Wold-style-cast)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # g++ 12 sees at -O2 what is not there: overlaps in std::string (GCC bug 105329), a foreign operator delete in Asio's
  # coroutine frames, uninitialised members of moved maps. clang looks at the same code.
  target_compile_options(sluice_private_flags INTERFACE -Wno-restrict -Wno-mismatched-new-delete -Wno-maybe-uninitialized)
endif()
if(SLUICE_WARNINGS_AS_ERRORS)
  target_compile_options(sluice_private_flags INTERFACE -Werror)
endif()
if(SLUICE_SANITIZE)
  target_compile_options(sluice_private_flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(sluice_private_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    # clang 14 cannot emit its marks of function types for coroutines ("Cannot represent a difference across sections").
    target_compile_options(sluice_private_flags INTERFACE -fno-sanitize=function)
  endif()
endif()
find_program(LLD ld.lld)
if(LLD)
  target_link_options(sluice_private_flags INTERFACE -fuse-ld=lld)
endif()

# sluice_module(<name> [OBJECT] [DIRECTORY dir] SLUICE <modules…> [LIBRARIES <outside…>]): one folder, one target sluice::<name>.
function(sluice_module name)
  cmake_parse_arguments(ARG "OBJECT" "DIRECTORY" "SLUICE;LIBRARIES" ${ARGN})
  if(NOT ARG_DIRECTORY)
    set(ARG_DIRECTORY ${name})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/sluice/${ARG_DIRECTORY}/*.cpp)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/sluice/${ARG_DIRECTORY}/*.hpp ${CMAKE_CURRENT_SOURCE_DIR}/sluice/${ARG_DIRECTORY}.hpp)
  if(ARG_OBJECT AND sources)
    set(kind OBJECT)
    set(scope PUBLIC)
  elseif(sources)
    set(kind STATIC)
    set(scope PUBLIC)
  else()
    set(kind INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(sluice_${name} ${kind} ${sources})
  add_library(sluice::${name} ALIAS sluice_${name})
  set_target_properties(sluice_${name} PROPERTIES EXPORT_NAME ${name})
  # The header set brings the include directory, is installed, and compiles header by header in all_verify_interface_header_sets.
  target_sources(sluice_${name} ${scope} FILE_SET HEADERS BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR} FILES ${headers})
  target_link_libraries(sluice_${name} ${scope} sluice::flags ${ARG_LIBRARIES})
  foreach(module ${ARG_SLUICE})
    target_link_libraries(sluice_${name} ${scope} sluice::${module})
  endforeach()
  if(NOT kind STREQUAL INTERFACE)
    target_link_libraries(sluice_${name} PRIVATE $<BUILD_INTERFACE:sluice_private_flags>)
  endif()
  set_property(GLOBAL APPEND PROPERTY SLUICE_MODULES sluice_${name})
endfunction()

# The package that find_package(sluice) finds: every module as sluice::<name>, its headers, and what they need from outside.
function(sluice_package)
  include(CMakePackageConfigHelpers)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/sluice)
  get_property(modules GLOBAL PROPERTY SLUICE_MODULES)
  install(TARGETS sluice_flags ${modules} EXPORT sluiceTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    OBJECTS DESTINATION ${CMAKE_INSTALL_LIBDIR}/sluice
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT sluiceTargets NAMESPACE sluice:: DESTINATION ${package})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/sluiceConfigVersion.cmake ${PROJECT_SOURCE_DIR}/framework/cmake/sluiceConfig.cmake
    ${PROJECT_SOURCE_DIR}/framework/cmake/dependencies.cmake ${PROJECT_SOURCE_DIR}/framework/cmake/FindMariaDBClient.cmake DESTINATION ${package})
endfunction()
