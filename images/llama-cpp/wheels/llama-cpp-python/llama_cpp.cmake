# Included after project(llama_cpp) of llama-cpp-python's CMakeLists.txt.

# It forces the cache variable on: a normal variable comes first.
set(LLAMA_BUILD_COMMON OFF)

# One file for each library, without links that a wheel would copy.
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON)

# The images' root file system has no libgomp, which only this wheel needs.
execute_process(
  COMMAND ${CMAKE_C_COMPILER} -print-file-name=libgomp.so.1
  OUTPUT_VARIABLE libgomp
  OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
file(REAL_PATH ${libgomp} libgomp)
install(PROGRAMS ${libgomp} DESTINATION llama_cpp/lib RENAME libgomp.so.1)
