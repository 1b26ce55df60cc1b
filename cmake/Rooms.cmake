# Several sources compiled as one ("unity" build) read their common headers once: a third of the time for tests. Files that give a name in an
# unnamed namespace that a neighbour gives as well cannot join in and are compiled alone; cmake/alone.txt names them. Where the compiler
# tells a redefinition between two files of a room, rename one of the two or add a file to that list.
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/alone.txt)
file(STRINGS ${PROJECT_SOURCE_DIR}/cmake/alone.txt us_alone REGEX "^[^#]")
list(TRANSFORM us_alone PREPEND ${PROJECT_SOURCE_DIR}/)

# us_join(TARGET SOURCES...): compiles SOURCES of TARGET eight at a time.
function(us_join target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  foreach(source ${ARGN})
    if(source IN_LIST us_alone)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# us_room(NAME DEPS...): the library us_<NAME with / as _> of every .cc in this directory (mains excluded).
function(us_room name)
  string(REPLACE "/" "_" target "us_${name}")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "(^|/)main\\.cc$")
  if(sources)
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PUBLIC us_options PRIVATE us_warnings)
    target_link_libraries(${target} PUBLIC ${ARGN})
    if(URINGSYNC_JOIN_SOURCES STREQUAL "all")
      us_join(${target} ${sources})
    endif()
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE us_options ${ARGN})
  endif()
endfunction()

# us_test(NAME DEPS...): one gtest binary of every *_test.cc in this directory, run as one ctest entry.
function(us_test name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(sources)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE ${ARGN} us_warnings GTest::gtest GTest::gmock GTest::gtest_main)
    if(URINGSYNC_JOIN_SOURCES)
      us_join(${name} ${sources})
    endif()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endif()
endfunction()
