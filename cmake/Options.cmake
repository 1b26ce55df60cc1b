# Warnings and instrumentation for our own code.
add_library(us_options INTERFACE)
target_include_directories(us_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/uringsync>)
target_compile_features(us_options INTERFACE cxx_std_20)
add_library(us_warnings INTERFACE)
target_compile_options(us_warnings INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
if(URINGSYNC_SANITIZE)
  # Not vptr: its check opens a pipe to see whether an object's memory is there, and calls every object invalid in a process that is
  # out of descriptors, which tests bring about.
  add_compile_options(-fsanitize=${URINGSYNC_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${URINGSYNC_SANITIZE})
endif()
if(URINGSYNC_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()
if(URINGSYNC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
