// Rows::as<T>(): T described by BOOST_DESCRIBE_STRUCT gets each member from the column of its name (a missing column is
// SqlError(decode); columns without a member are ignored; std::optional members take NULL). Any other T gets the only column.
#pragma once

#include <sluice/sql/row.hpp>

#include <boost/describe/members.hpp>
#include <boost/describe/modifiers.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>
#include <type_traits>

namespace sluice::sql {
namespace detail {

template <class T>
concept Described = boost::describe::has_describe_members<T>::value;

template <Described T>
T from_row(const Row& row) {
  using Members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;
  T out{};
  boost::mp11::mp_for_each<Members>([&](auto member) {
    using Type = std::remove_reference_t<decltype(out.*member.pointer)>;
    out.*member.pointer = row[member.name].template as<Type>();
  });
  return out;
}

void require_one_column(const std::vector<std::string>& columns);

}  // namespace detail

template <class T>
std::vector<T> Rows::as() const {
  std::vector<T> out;
  out.reserve(size());
  if constexpr (detail::Described<T>) {
    for (const Row& row : *this) out.push_back(detail::from_row<T>(row));
  } else {
    detail::require_one_column(columns());
    for (const Row& row : *this) out.push_back(row[0].template as<T>());
  }
  return out;
}

}  // namespace sluice::sql
