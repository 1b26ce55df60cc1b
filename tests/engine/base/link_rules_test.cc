#include "engine/base/link_rules.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

TEST(LinkSafetyTest, WhatRsyncTakesForUnsafeIsUnsafe) {
  for (const char* target :
       {"", "/", "/abs", "./../y", "../../../x", "..x/../y", ".././../x", "x/..", "../x/..", "../..", "../../.."}) {
    EXPECT_TRUE(IsUnsafeLink(target, 2)) << target;
  }
  for (const char* target : {"..", "../../", "../../x", ".", "./", "../../.", ".//x", "x//y", "..//", "../..//x",
                             "x/..y", "x/...", "..//../x", "../."}) {
    EXPECT_FALSE(IsUnsafeLink(target, 2)) << target;
  }
  for (const char* target : {"..", "../", "../x", "x/../y"}) EXPECT_TRUE(IsUnsafeLink(target, 0)) << target;
  EXPECT_FALSE(IsUnsafeLink("x", 0));
  EXPECT_TRUE(IsUnsafeLink("../../x", 1));
}

}  // namespace
}  // namespace uringsync
