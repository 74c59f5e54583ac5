// Writes the Prometheus text format 0.0.4: families with HELP and TYPE, escaped labels, histograms with cumulative buckets.
// All samples of a family must follow its family() call. Pure.
#pragma once

#include <sluice/shm/histogram.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace sluice::admin {

class Exposition {
 public:
  struct Label {
    std::string_view name;
    std::string_view value;
  };
  using Labels = std::initializer_list<Label>;

  // `type`: "counter", "gauge" or "histogram".
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(Labels labels, std::uint64_t value);
  void sample(Labels labels, double value);
  // Buckets of 1 µs × 4^i and +Inf, _sum and _count, all from one reading of the cells.
  void histogram(Labels labels, const shm::Histogram& histogram);

  std::string take() && { return std::move(out_); }

 private:
  void name_and_labels(std::string_view suffix, Labels labels, std::string_view bound = {});

  std::string out_;
  std::string family_;
};

}  // namespace sluice::admin
