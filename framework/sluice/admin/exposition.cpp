#include <sluice/admin/exposition.hpp>

#include <sluice/core/text.hpp>

#include <utility>

namespace sluice::admin {
namespace {

void escape(std::string& out, std::string_view value, bool quotes) {
  for (const char c : value) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
  family_ = name;
  detail::append(out_, "# HELP ");
  out_ += name;
  out_ += ' ';
  escape(out_, help, false);
  out_ += "\n# TYPE ";
  out_ += name;
  out_ += ' ';
  out_ += type;
  out_ += '\n';
}

void Exposition::name_and_labels(std::string_view suffix, Labels labels, std::string_view bound) {
  out_ += family_;
  out_ += suffix;
  char before = '{';
  const auto label = [&](std::string_view name, std::string_view value) {
    out_ += std::exchange(before, ',');
    out_ += name;
    out_ += "=\"";
    escape(out_, value, true);
    out_ += '"';
  };
  for (const Label& l : labels) label(l.name, l.value);
  if (!bound.empty()) label("le", bound);
  if (before == ',') out_ += '}';
  out_ += ' ';
}

void Exposition::sample(Labels labels, std::uint64_t value) {
  name_and_labels({}, labels);
  detail::append(out_, value);
  out_ += '\n';
}

void Exposition::sample(Labels labels, double value) {
  name_and_labels({}, labels);
  detail::append(out_, value);
  out_ += '\n';
}

void Exposition::histogram(Labels labels, const shm::Histogram& histogram) {
  std::uint64_t cumulative = 0;
  for (int i = 0; i < shm::Histogram::buckets; ++i) {
    cumulative += histogram.count[i].get();
    const bool last = i == shm::Histogram::buckets - 1;
    if (i % 2 != 0 && !last) continue;  // every second bound is enough for a time series
    name_and_labels("_bucket", labels, last ? "+Inf" : text(shm::Histogram::upper_bound_seconds(i)));
    detail::append(out_, cumulative);
    out_ += '\n';
  }
  name_and_labels("_sum", labels);
  detail::append(out_, static_cast<double>(histogram.sum_nanos.get()) * 1e-9);
  out_ += '\n';
  name_and_labels("_count", labels);
  detail::append(out_, cumulative);
  out_ += '\n';
}

}  // namespace sluice::admin
