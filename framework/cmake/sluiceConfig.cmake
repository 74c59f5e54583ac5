# find_package(sluice): link sluice::launch, the worker classes (sluice::workers) and the drivers that the application uses
# (sluice::sqlite, sluice::postgres, sluice::mysql). A driver that is linked registers itself.
include(CMakeFindDependencyMacro)
macro(sluice_dependency)
  find_dependency(${ARGV})
endmacro()
include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
if(DEFINED sluice_FOUND AND NOT sluice_FOUND)
  return()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/sluiceTargets.cmake)
