#include <sluice/drivers/postgres/traces.hpp>

#include <sluice/drivers/postgres/tokens.hpp>

#include <algorithm>
#include <cctype>
#include <span>
#include <string>
#include <unordered_set>

namespace sluice::postgres {
namespace {

using Piece = std::span<const Token>;
using Words = std::unordered_set<std::string_view>;

// They take parameters, and leave nothing but for the functions in them.
const Words& queries() {
  static const Words words = {"select", "with", "values", "table", "insert", "update", "delete", "merge"};
  return words;
}

// First words of what ends with its transaction or concerns all sessions alike.
const Words& passing() {
  static const Words words = {"explain", "begin",    "start",  "commit",     "end",     "rollback", "abort",  "savepoint",
                              "release", "create",   "alter",  "drop",       "show",    "comment",  "grant",  "revoke",
                              "refresh", "truncate", "vacuum", "analyze",    "reindex", "cluster",  "lock",   "notify",
                              "fetch",   "move",     "close",  "checkpoint", "copy",    "security", "import", "reassign"};
  return words;
}

// Functions that change the session, or run a text as a statement.
bool changes_session(std::string_view function) {
  if (function.starts_with("pg_advisory_") || function.starts_with("pg_try_advisory_")) return function.find("_xact_") == function.npos;
  for (const std::string_view start :
       {"set_config", "setseed", "set_limit", "dblink", "pg_replication_origin_session", "pg_backup_start", "pg_start_backup",
        "pg_create_logical_rep", "pg_create_physical_rep", "pg_copy_logical_rep", "pg_copy_physical_rep", "query_to_xml", "cursor_to_xml", "ts_stat",
        "ts_rewrite", "crosstab", "connectby", "xpath_table"}) {
    if (function.starts_with(start)) return true;
  }
  return false;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Is it TEMP or TEMPORARY from there on, behind the words that may stand before it?
bool temporary(Piece piece, std::size_t at) {
  static const Words before = {"or", "replace", "local", "global"};
  while (at < piece.size() && piece[at].kind == Token::Kind::word && before.count(piece[at].text)) ++at;
  return at < piece.size() && (piece[at].is_word("temp") || piece[at].is_word("temporary"));
}

void look(Piece piece, Traces& traces) {
  while (!piece.empty() && piece.front().is_sign('(')) piece = piece.subspan(1);
  if (piece.empty()) return;
  const std::string_view first = piece[0].kind == Token::Kind::word ? std::string_view(piece[0].text) : std::string_view();
  const auto word_at = [&](std::size_t i, std::string_view word) { return i < piece.size() && piece[i].is_word(word); };
  const bool passes = first == "set" ? word_at(1, "local") || word_at(1, "transaction") || word_at(1, "constraints")
                                     : queries().count(first) || passing().count(first);
  traces.state |= !passes;
  traces.statements |= first == "discard" || first == "deallocate";

  bool updates = false, settings = false;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const Token& token = piece[i];
    if (token.kind == Token::Kind::sign) continue;
    const std::string name = token.kind == Token::Kind::quoted ? lower(token.text) : token.text;
    traces.state |= changes_session(name) || name.starts_with("pg_temp");
    traces.seed |= name == "setseed";
    settings |= name == "pg_settings";
    updates |= token.is_word("update");
    if (token.is_word("create")) traces.state |= temporary(piece, i + 1);
    if (token.is_word("into") && i > 0 && !word_at(i - 1, "insert") && !word_at(i - 1, "merge")) traces.state |= temporary(piece, i + 1);
    if (first == "explain") traces.state |= token.is_word("execute") || token.is_word("declare");
  }
  traces.state |= updates && settings;
}

}  // namespace

Traces traces_of(std::string_view sql) {
  const Scan scanned = scan(sql);
  Traces traces;
  traces.state = !scanned.sure;
  const auto ends = [](const Token& token) { return token.is_sign(';'); };
  Piece rest = scanned.tokens;
  std::size_t pieces = 0;
  bool query = false;
  while (!rest.empty()) {
    const auto size = static_cast<std::size_t>(std::find_if(rest.begin(), rest.end(), ends) - rest.begin());
    const Piece piece = rest.first(size);
    look(piece, traces);
    if (size > 0) ++pieces;
    const auto start = std::find_if(piece.begin(), piece.end(), [](const Token& token) { return !token.is_sign('('); });
    if (start != piece.end()) query = start->kind == Token::Kind::word && queries().count(start->text);
    rest = rest.subspan(std::min(size + 1, rest.size()));
  }
  if (scanned.sure && pieces == 1 && query) traces.parameters = scanned.highest;
  return traces;
}

}  // namespace sluice::postgres
