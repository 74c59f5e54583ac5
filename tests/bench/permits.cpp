// The permit table and the master: one claim and release of a row without competition, in a table that is empty and in one
// where only the last row is free, within the worker's limit and above it; and a tick of the master over everything it reads.
#include <bench/measure.hpp>
#include <bench/stub.hpp>

#include <sluice/supervise/aggregation.hpp>
#include <sluice/supervise/budget_keeper.hpp>

#include <memory>

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr std::uint32_t workers = 8;

// A server's table as 8 workers see it, lending on; we are the life of slot 0.
class Table {
 public:
  Table(std::uint32_t rows, std::uint32_t taken, std::uint32_t limit) : rows_(rows), limits_(workers), wants_(workers), server_(1) {
    budget::resize(rows_.all(), rows, 0);
    server_[0].budget.set(rows);
    for (std::uint32_t slot = 0; slot < workers; ++slot) limits_[slot].store(limit);
    for (std::uint32_t i = 0; i < taken; ++i) {
      const auto slot = static_cast<std::uint16_t>(1 + i % (workers - 1));
      rows_[i].owner.store(budget::Owner{budget::RowState::leased, budget::Life{slot, 1}}.pack());
    }
    budget::Terms terms;
    terms.limits = limits_.all();
    terms.wants = wants_.all();
    terms.elastic = true;
    terms.max_connecting = 2;
    terms.server = &server_[0];
    share_ = std::make_unique<budget::Share>(rows_.all(), 0, budget::Life{0, 1}, std::move(terms));
  }
  double claim_and_release(std::uint64_t n) {
    return nanos_each(n, [this](std::uint64_t k) {
      for (std::uint64_t i = 0; i < k; ++i) {
        const auto row = share_->claim(1);
        if (!row) throw std::runtime_error("no row: the benchmark's table is wrong");
        share_->released(*row, 1);
      }
    });
  }

 private:
  Shared<shm::Row> rows_;
  Shared<std::atomic<std::uint32_t>> limits_;
  Shared<std::atomic<std::uint64_t>> wants_;
  Shared<shm::Server> server_;
  std::unique_ptr<budget::Share> share_;
};

// What nobody can do without who keeps floors by looking at what the others hold: one look at each row, the compare-and-swap
// that takes a word, and the sequentially consistent store that frees it.
double one_look(std::uint32_t rows, std::uint64_t n) {
  static Shared<shm::Row> table(5000);
  return nanos_each(n, [rows](std::uint64_t k) {
    for (std::uint64_t i = 0; i < k; ++i) {
      std::uint64_t sum = 0;
      for (std::uint32_t row = 0; row < rows; ++row) sum += table[row].owner.load();
      keep(sum);
      std::uint64_t word = 0;
      table[0].owner.compare_exchange_strong(word, 1);
      table[0].owner.store(0);
    }
  });
}

void claims(const char* name, std::uint32_t rows, std::uint32_t taken, std::uint32_t limit, double figure) {
  Table table(rows, taken, limit);
  const std::uint64_t n = 1'000'000 / rows;
  const Pairs pairs = take_turns(
      11, [&] { return table.claim_and_release(n); }, [&] { return one_look(rows, n); });
  report(name, pairs, "ns", "× one look at each row, a compare-and-swap and a store", figure > 0 ? at_most(figure, pairs.value()) : Figure{});
}

class Master {
 public:
  static constexpr std::uint32_t slots = 256, servers = 4;

  explicit Master(std::uint32_t rows) : segment_(make(rows)), keeper_(segment_, configured(rows), std::vector<bool>(servers, false), false) {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      active_[slot] = true;
      draining_[slot] = false;
      segment_.slots()[slot].generation.set(1);
      segment_.slots()[slot].state.set(static_cast<std::uint64_t>(shm::SlotState::ready));
    }
    tick();
    for (std::uint32_t server = 0; server < servers; ++server) {
      std::uint32_t i = 0;
      for (shm::Row& row : segment_.rows(server)) {
        if (budget::Owner::unpack(row.owner.load()).state != budget::RowState::free) continue;
        row.owner.store(budget::Owner{budget::RowState::leased, budget::Life{static_cast<std::uint16_t>(i++ % slots), 1}}.pack());
      }
    }
  }
  void tick() {
    ++now_;
    keep(keeper_.tick(now_, {active_.get(), slots}, {draining_.get(), slots}, [](budget::Life life) { return life.generation != 1; }));
    supervise::publish(segment_, supervise::Summary{}, now_);
  }
  double micros(std::uint64_t n) {
    return nanos_each(n,
                      [this](std::uint64_t k) {
                        for (std::uint64_t i = 0; i < k; ++i) tick();
                      }) /
           1000;
  }
  // The least that any reader of the same rows and statistics pays: one look at each line.
  double look(std::uint64_t n) {
    return nanos_each(n,
                      [this](std::uint64_t k) {
                        for (std::uint64_t i = 0; i < k; ++i) {
                          std::uint64_t sum = 0;
                          for (std::uint32_t server = 0; server < servers; ++server) {
                            for (const shm::Row& row : segment_.rows(server)) sum += row.owner.load(std::memory_order_relaxed);
                          }
                          for (std::uint32_t slot = 0; slot < slots; ++slot) {
                            for (std::uint32_t pool = 0; pool < servers; ++pool) sum += segment_.pool_stats(slot, pool).acquires.get();
                          }
                          keep(sum);
                        }
                      }) /
           1000;
  }

 private:
  static shm::Segment make(std::uint32_t rows) {
    shm::Shape shape;
    shape.max_workers = slots;
    for (std::uint32_t i = 0; i < servers; ++i) {
      shape.servers.push_back({"server" + std::to_string(i), rows});
      shape.pools.push_back({"pool" + std::to_string(i), "stub", i, 0});
    }
    return shm::Segment::create(shape);
  }
  static std::vector<config::Server> configured(std::uint32_t rows) {
    std::vector<config::Server> all(servers);
    for (std::uint32_t i = 0; i < servers; ++i) {
      all[i].name = "server" + std::to_string(i);
      all[i].total = rows;
      all[i].capacity = rows;
    }
    return all;
  }

  shm::Segment segment_;
  supervise::BudgetKeeper keeper_;
  std::unique_ptr<bool[]> active_ = std::make_unique<bool[]>(slots), draining_ = std::make_unique<bool[]>(slots);
  std::int64_t now_ = 1;
};

void ticks(const char* name, std::uint32_t rows) {
  Master master(rows);
  const Pairs pairs = take_turns(
      11, [&] { return master.micros(20); }, [&] { return master.look(20); });
  report(name, pairs, "us", "× one look at each row and each pool's statistics", at_most(1000, pairs.value()));
}

}  // namespace

int main() {
  claims("permits.claim_100_empty", 100, 0, 100 / workers, 200);
  claims("permits.claim_100_last", 100, 99, 100 / workers, 200);
  claims("permits.borrow_100", 100, 50, 0, 0);
  claims("permits.claim_5000_empty", 5000, 0, 5000 / workers, 0);
  claims("permits.claim_5000_last", 5000, 4999, 5000 / workers, 0);
  ticks("master.tick_256x4_1024_rows", 1024);
  ticks("master.tick_256x4_5000_rows", 5000);
}
