#include <sluice/core/text.hpp>
#include <sluice/sql/row.hpp>

#include <algorithm>
#include <utility>

namespace sluice::sql {
namespace {

SqlError decode_error(const std::string& message) { return SqlError(Phase::decode, Class::type, "", 0, message); }

std::string listed(const std::vector<std::string>& columns) {
  std::string out;
  for (const std::string& c : columns) out += text(out.empty() ? "" : ", ", c);
  return out.empty() ? "none" : out;
}

}  // namespace

bool Row::has(std::string_view column) const noexcept { return std::find(set_->columns.begin(), set_->columns.end(), column) != set_->columns.end(); }

std::size_t Row::find(std::string_view column) const {
  const auto at = std::find(set_->columns.begin(), set_->columns.end(), column);
  if (at == set_->columns.end()) throw decode_error(text("the result has no column \"", column, "\"; its columns: ", listed(set_->columns.list())));
  return static_cast<std::size_t>(at - set_->columns.begin());
}

Field Row::at(std::size_t position) const {
  if (position >= size()) throw decode_error(text("the result has no column at position ", position, ", only ", size(), " columns from 0"));
  return Field(set_, cell(position));
}

Row Rows::operator[](std::size_t index) const {
  if (index >= size()) throw decode_error(text("the result has no row ", index, ", only ", size(), size() == 1 ? " row" : " rows", " from 0"));
  return Row(set_, index);
}

Rows Rows::from(std::size_t index) const {
  auto rest = std::make_shared<ResultSet>();
  if (set_) rest->columns = set_->columns;
  for (; index < size(); ++index, ++rest->row_count)
    for (std::size_t c = 0; c < rest->columns.size(); ++c) rest->cells.push_back(operator[](index)[c].value());
  return Rows(std::move(rest));
}

const std::vector<std::string>& Rows::columns() const noexcept {
  static const std::vector<std::string> none;
  return set_ ? set_->columns.list() : none;
}

void detail::require_one_column(const std::vector<std::string>& columns) {
  if (columns.size() > 1)
    throw decode_error(
        text("rows of ", columns.size(), " columns (", listed(columns), ") read as a single value; describe a struct with BOOST_DESCRIBE_STRUCT"));
}

}  // namespace sluice::sql
