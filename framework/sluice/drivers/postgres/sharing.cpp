#include <sluice/drivers/postgres/sharing.hpp>

#include <sluice/drivers/postgres/tokens.hpp>
#include <sluice/drivers/postgres/traces.hpp>

#include <string>
#include <unordered_set>
#include <vector>

namespace sluice::postgres {
namespace {

using Words = std::unordered_set<std::string_view>;

constexpr std::size_t longest = 16 * 1024;

// Functions of pg_catalog that read at most, and depend on no session state that a pool's connections do not share. now() and its
// like tell the time of the transaction's begin, which here is after the statement was asked for.
const Words& harmless() {
  static const Words names = {
      // aggregates and window functions
      "count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg",
      "jsonb_object_agg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp", "corr", "mode", "percentile_cont",
      "percentile_disc", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value",
      "nth_value", "grouping",
      // values
      "coalesce", "nullif", "greatest", "least", "cast", "abs", "ceil", "ceiling", "floor", "round", "trunc", "sign", "sqrt", "power", "exp", "ln",
      "log", "mod", "div", "pi", "random", "width_bucket", "gcd", "lcm", "lower", "upper", "initcap", "length", "char_length", "character_length",
      "octet_length", "bit_length", "substring", "substr", "position", "strpos", "overlay", "trim", "btrim", "ltrim", "rtrim", "lpad", "rpad", "left",
      "right", "replace", "translate", "reverse", "repeat", "concat", "concat_ws", "format", "split_part", "starts_with", "ascii", "chr", "md5",
      "sha256", "encode", "decode", "quote_ident", "quote_literal", "regexp_replace", "regexp_matches", "regexp_match", "regexp_split_to_array",
      "regexp_split_to_table", "to_char", "to_date", "to_number", "to_timestamp", "to_json", "to_jsonb",
      // time
      "now", "current_timestamp", "current_time", "localtime", "localtimestamp", "transaction_timestamp", "statement_timestamp", "clock_timestamp",
      "age", "date_part", "date_trunc", "date_bin", "extract", "make_date", "make_time", "make_timestamp", "make_interval", "justify_days",
      "justify_hours", "pg_sleep",
      // arrays, ranges, sets, JSON, text search
      "array_length", "array_lower", "array_upper", "array_position", "array_positions", "array_append", "array_prepend", "array_cat", "array_remove",
      "array_to_string", "string_to_array", "cardinality", "unnest", "generate_series", "generate_subscripts", "lower_inc", "upper_inc", "isempty",
      "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange", "json_build_object", "jsonb_build_object", "json_build_array",
      "jsonb_build_array", "json_array_elements", "jsonb_array_elements", "json_array_elements_text", "jsonb_array_elements_text",
      "json_array_length", "jsonb_array_length", "json_each", "jsonb_each", "json_each_text", "jsonb_each_text", "json_object_keys",
      "jsonb_object_keys", "json_extract_path", "jsonb_extract_path", "json_extract_path_text", "jsonb_extract_path_text", "json_typeof",
      "jsonb_typeof", "jsonb_set", "jsonb_path_query", "jsonb_path_exists", "row_to_json", "to_tsvector", "to_tsquery", "plainto_tsquery",
      "websearch_to_tsquery", "phraseto_tsquery", "ts_rank", "ts_rank_cd", "ts_headline",
      // the server
      "current_setting", "current_database", "version", "pg_backend_pid", "pg_is_in_recovery", "pg_typeof", "pg_table_size", "pg_relation_size",
      "pg_total_relation_size", "pg_database_size", "pg_size_pretty", "gen_random_uuid"};
  return names;
}

// Words of the language that may stand before a parenthesis.
const Words& keywords() {
  static const Words words = {"select", "from", "where", "and", "or", "not", "in", "any", "all", "some", "exists", "between", "like", "ilike",
                              "similar", "to", "is", "as", "on", "using", "join", "lateral", "over", "filter", "within", "group", "order", "by",
                              "having", "union", "intersect", "except", "distinct", "case", "when", "then", "else", "limit", "offset", "fetch",
                              "first", "next", "values", "with", "recursive", "materialized", "rollup", "cube", "sets", "row", "array", "collate",
                              "partition", "only", "set", "returning", "returns", "default", "check", "unique", "primary", "key", "references",
                              "include", "into",
                              // types with a modifier
                              "numeric", "decimal", "varchar", "char", "character", "varying", "bpchar", "bit", "varbit", "timestamp", "timestamptz",
                              "time", "timetz", "interval", "float"};
  return words;
}

// First words of what may stand in a chain.
const Words& chainable() {
  static const Words words = {"select", "with",     "values",  "table", "insert", "update",  "delete", "merge",   "create",  "alter",
                              "drop",   "truncate", "comment", "grant", "revoke", "refresh", "vacuum", "analyze", "reindex", "cluster"};
  return words;
}

// They use what belongs to the session, or to the whole transaction; what changes the session is known already.
bool of_the_session(std::string_view function) {
  for (const std::string_view start :
       {"pg_advisory", "pg_try_advisory", "setval", "currval", "lastval", "lo_", "pg_terminate_backend", "pg_cancel_backend", "pg_export_snapshot"}) {
    if (function.starts_with(start)) return true;
  }
  return false;
}

}  // namespace

sql::Sharing sharing_of(std::string_view sql) {
  using sql::Sharing;
  if (sql.size() > longest || sql.find('\\') != sql.npos) return Sharing::none;
  const Traces traces = traces_of(sql);
  if (traces.state || traces.statements) return Sharing::none;
  Scan scanned = scan(sql);
  if (!scanned.sure || !scanned.plain) return Sharing::none;
  std::vector<Token>& tokens = scanned.tokens;
  while (!tokens.empty() && tokens.back().is_sign(';')) tokens.pop_back();

  const auto word_at = [&](std::size_t i) -> std::string_view {
    return i < tokens.size() && tokens[i].kind == Token::Kind::word ? std::string_view(tokens[i].text) : std::string_view();
  };
  const auto sign_at = [&](std::size_t i, char c) { return i < tokens.size() && tokens[i].is_sign(c); };
  std::size_t start = 0;
  while (sign_at(start, '(')) ++start;
  const std::string_view first = word_at(start);
  if (!chainable().count(first)) return Sharing::none;
  bool reads = first == "select" || first == "with" || first == "values" || first == "table";
  for (std::size_t i = start; i < tokens.size(); ++i) {
    if (sign_at(i, ';')) return Sharing::none;
    const std::string_view word = word_at(i);
    if (word == "insert" || word == "update" || word == "delete" || word == "merge" || word == "into") reads = false;
    if (word == "for" && (word_at(i + 1) == "update" || word_at(i + 1) == "share" || word_at(i + 1) == "no" || word_at(i + 1) == "key"))
      reads = false;
    if (!sign_at(i + 1, '(') || tokens[i].kind == Token::Kind::sign) continue;
    // A name before a parenthesis: a function, unless the language says otherwise.
    const std::string_view name = tokens[i].text;
    if (of_the_session(name)) return Sharing::none;
    if (tokens[i].kind == Token::Kind::word && keywords().count(name)) continue;
    if (i > 0 && word_at(i - 1) == "as") continue;  // an alias with columns
    const bool qualified = i >= 2 && sign_at(i - 1, '.') && word_at(i - 2) != "pg_catalog";
    if (qualified || tokens[i].kind == Token::Kind::quoted || !harmless().count(name)) reads = false;
  }
  return reads ? Sharing::reads : Sharing::chain;
}

}  // namespace sluice::postgres
