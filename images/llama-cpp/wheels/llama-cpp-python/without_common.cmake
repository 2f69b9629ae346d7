# Included after project(llama_cpp) of llama-cpp-python's CMakeLists.txt, which forces the cache variable:
# a normal variable comes first. And one file for each library, without links that a wheel would copy.
set(LLAMA_BUILD_COMMON OFF)
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON)
