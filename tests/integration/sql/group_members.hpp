// The members of a group on one session, as whoever runs groups keeps them.
#pragma once

#include <sluice/sql/session.hpp>

#include <exception>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "fixture.hpp"

namespace sluice::test {

struct Members {
  using Outcome = sql::GroupMember::Outcome;

  std::list<sql::GroupMember> all;
  std::list<std::string> texts;

  template <class... Args>
  sql::GroupMember& add(std::string_view sql, const Args&... args) {
    sql::GroupMember& member = all.emplace_back();
    member.text = &texts.emplace_back(sql);
    member.parameters = sql::make_parameters(sql, args...);
    return member;
  }
  // What concerns all of them is the failure of each that is still open.
  awaitable<void> run(sql::Session& on, bool chained = false, Duration patience = 20s) {
    std::vector<sql::GroupMember*> pointers;
    for (sql::GroupMember& member : all) {
      member.outcome = Outcome::open;
      pointers.push_back(&member);
    }
    std::exception_ptr failure;
    try {
      co_await on.run_group(pointers, chained, scaled(patience));
    } catch (const Error&) {
      failure = std::current_exception();
    }
    for (sql::GroupMember& member : all) {
      if (member.outcome != Outcome::open) continue;
      member.outcome = Outcome::failed;
      member.failure = failure;
    }
  }
};

}  // namespace sluice::test
