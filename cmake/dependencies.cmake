# Small libraries: the system's where it has them, fetched at a fixed tag where it has not.
# No version range in FIND_PACKAGE_ARGS: Debian's Catch2 config rejects one.
include(FetchContent)
find_package(Threads REQUIRED)

FetchContent_Declare(nlohmann_json
  GIT_REPOSITORY https://github.com/nlohmann/json.git GIT_TAG v3.11.3
  FIND_PACKAGE_ARGS NAMES nlohmann_json)
FetchContent_MakeAvailable(nlohmann_json)

if(LENSWRIGHT_CORE)
  FetchContent_Declare(Eigen3
    GIT_REPOSITORY https://gitlab.com/libeigen/eigen.git GIT_TAG 3.4.0
    FIND_PACKAGE_ARGS NAMES Eigen3 NO_MODULE)
  FetchContent_MakeAvailable(Eigen3)
endif()

if(LENSWRIGHT_TESTS)
  FetchContent_Declare(Catch2
    GIT_REPOSITORY https://github.com/catchorg/Catch2.git GIT_TAG v3.5.4
    FIND_PACKAGE_ARGS NAMES Catch2)
  FetchContent_MakeAvailable(Catch2)
endif()
