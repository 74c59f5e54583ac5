#include <sluice/core/text.hpp>

#include <algorithm>
#include <vector>

namespace sluice {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view closest(std::string_view word, const std::string_view* first, const std::string_view* last) {
  std::string_view best;
  std::size_t best_distance = std::min<std::size_t>(4, std::max<std::size_t>(1, word.size() / 2)) + 1;
  for (; first != last; ++first) {
    const std::size_t distance = edit_distance(word, *first);
    if (distance < best_distance) {
      best_distance = distance;
      best = *first;
    }
  }
  return best;
}

}  // namespace sluice
