#include <sluice/drivers/mysql/sharing.hpp>

#include <sluice/drivers/mysql/leaves_state.hpp>
#include <sluice/drivers/mysql/tokens.hpp>

#include <unordered_set>

namespace sluice::mysql {
namespace {

using Words = std::unordered_set<std::string_view>;

constexpr std::size_t longest = 16 * 1024;

// The server's own functions that read at most, and depend on no session state that a pool's connections do not share. Not SLEEP(), which
// a KILL QUERY makes return 1 as if nothing had happened.
const Words& harmless() {
  static const Words names = {
      // aggregates and window functions
      "COUNT", "SUM", "AVG", "MIN", "MAX", "GROUP_CONCAT", "BIT_AND", "BIT_OR", "BIT_XOR", "STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE",
      "VAR_POP", "VAR_SAMP", "JSON_ARRAYAGG", "JSON_OBJECTAGG", "ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LAG",
      "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "MEDIAN", "PERCENTILE_CONT", "PERCENTILE_DISC",
      // values
      "COALESCE", "IF", "IFNULL", "NULLIF", "NVL", "NVL2", "ISNULL", "GREATEST", "LEAST", "CAST", "CONVERT", "ABS", "CEIL", "CEILING", "FLOOR",
      "ROUND", "TRUNCATE", "SIGN", "SQRT", "POW", "POWER", "EXP", "LN", "LOG", "LOG2", "LOG10", "MOD", "PI", "RAND", "SIN", "COS", "TAN", "COT",
      "ASIN", "ACOS", "ATAN", "ATAN2", "DEGREES", "RADIANS", "CRC32", "CONV", "BIN", "OCT", "HEX", "UNHEX", "FORMAT",
      // text
      "LOWER", "LCASE", "UPPER", "UCASE", "LENGTH", "CHAR_LENGTH", "CHARACTER_LENGTH", "OCTET_LENGTH", "BIT_LENGTH", "SUBSTRING", "SUBSTR", "MID",
      "SUBSTRING_INDEX", "LOCATE", "POSITION", "INSTR", "TRIM", "LTRIM", "RTRIM", "LPAD", "RPAD", "LEFT", "RIGHT", "REPLACE", "REVERSE", "REPEAT",
      "SPACE", "CONCAT", "CONCAT_WS", "ASCII", "ORD", "CHAR", "CHR", "FIELD", "FIND_IN_SET", "ELT", "STRCMP", "QUOTE", "MD5", "SHA", "SHA1", "SHA2",
      "TO_BASE64", "FROM_BASE64", "REGEXP_REPLACE", "REGEXP_SUBSTR", "REGEXP_INSTR", "MATCH", "AGAINST", "INET_ATON", "INET_NTOA", "INET6_ATON",
      "INET6_NTOA", "UUID",
      // time
      "NOW", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "CURDATE", "CURTIME", "LOCALTIME", "LOCALTIMESTAMP", "SYSDATE", "UTC_TIMESTAMP",
      "UTC_DATE", "UTC_TIME", "UNIX_TIMESTAMP", "FROM_UNIXTIME", "DATE", "TIME", "TIMESTAMP", "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR",
      "MINUTE", "SECOND", "MICROSECOND", "WEEKDAY", "DAYOFWEEK", "DAYOFMONTH", "DAYOFYEAR", "DAYNAME", "MONTHNAME", "WEEKOFYEAR", "YEARWEEK",
      "LAST_DAY", "DATE_ADD", "DATE_SUB", "ADDDATE", "SUBDATE", "ADDTIME", "SUBTIME", "DATEDIFF", "TIMEDIFF", "TIMESTAMPDIFF", "TIMESTAMPADD",
      "DATE_FORMAT", "TIME_FORMAT", "STR_TO_DATE", "MAKEDATE", "MAKETIME", "TO_DAYS", "FROM_DAYS", "TO_SECONDS", "SEC_TO_TIME", "TIME_TO_SEC",
      "EXTRACT", "PERIOD_ADD", "PERIOD_DIFF", "CONVERT_TZ",
      // JSON
      "JSON_EXTRACT", "JSON_VALUE", "JSON_QUERY", "JSON_UNQUOTE", "JSON_QUOTE", "JSON_OBJECT", "JSON_ARRAY", "JSON_CONTAINS", "JSON_CONTAINS_PATH",
      "JSON_EXISTS", "JSON_KEYS", "JSON_LENGTH", "JSON_DEPTH", "JSON_TYPE", "JSON_VALID", "JSON_SEARCH", "JSON_SET", "JSON_INSERT", "JSON_REPLACE",
      "JSON_REMOVE", "JSON_MERGE_PATCH", "JSON_MERGE_PRESERVE", "JSON_ARRAY_APPEND", "JSON_TABLE",
      // the server
      "VERSION", "DATABASE", "SCHEMA", "CONNECTION_ID", "USER", "CURRENT_USER", "SESSION_USER"};
  return names;
}

// Words of the language that may stand before a parenthesis.
const Words& keywords() {
  static const Words words = {"SELECT", "FROM", "WHERE", "AND", "OR", "XOR", "NOT", "IN", "ANY", "ALL", "SOME", "EXISTS", "BETWEEN", "LIKE", "RLIKE",
                              "REGEXP", "DIV", "IS", "AS", "ON", "USING", "JOIN", "OVER", "WINDOW", "WITHIN", "GROUP", "ORDER", "BY", "HAVING",
                              "UNION", "INTERSECT", "EXCEPT", "DISTINCT", "CASE", "WHEN", "THEN", "ELSE", "LIMIT", "OFFSET", "STRAIGHT_JOIN",
                              "VALUES", "WITH", "RECURSIVE", "ROW", "INTERVAL", "PARTITION", "INDEX", "KEY", "COLUMNS", "BINARY",
                              // types with a modifier
                              "DECIMAL", "NUMERIC", "NCHAR", "VARCHAR", "VARBINARY", "DATETIME", "FLOAT", "DOUBLE"};
  return words;
}

// They write, lock, use a sequence, or leave behind what another statement could ask for (FOUND_ROWS()).
const Words& changing() {
  static const Words words = {"INSERT", "UPDATE", "DELETE", "INTO", "PROCEDURE", "SQL_CALC_FOUND_ROWS", "NEXTVAL", "CURRVAL", "LASTVAL"};
  return words;
}

}  // namespace

sql::Sharing sharing_of(std::string_view sql) {
  using sql::Sharing;
  if (sql.size() > longest || sql.find('\\') != sql.npos || leaves_state(sql)) return Sharing::none;
  std::optional<std::vector<Token>> scanned = tokens_of(sql, true);
  if (!scanned) return Sharing::none;
  std::vector<Token>& tokens = *scanned;
  while (!tokens.empty() && tokens.back().is_sign(';')) tokens.pop_back();

  const auto is = [&](std::size_t i, std::string_view word) { return i < tokens.size() && tokens[i].is(word); };
  const auto is_sign = [&](std::size_t i, char c) { return i < tokens.size() && tokens[i].is_sign(c); };
  std::size_t start = 0;
  while (is_sign(start, '(')) ++start;
  if (!is(start, "SELECT") && !is(start, "WITH") && !is(start, "VALUES")) return Sharing::none;
  for (std::size_t i = start; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (token.is_sign(';') || token.is_sign('@') || (token.kind == Token::Kind::word && changing().count(token.text))) return Sharing::none;
    if (token.is("FOR") && (is(i + 1, "UPDATE") || is(i + 1, "SHARE"))) return Sharing::none;
    if (token.is("LOCK") && is(i + 1, "IN")) return Sharing::none;
    if ((token.is("NEXT") || token.is("PREVIOUS")) && is(i + 1, "VALUE")) return Sharing::none;  // of a sequence
    if (!is_sign(i + 1, '(') || token.kind == Token::Kind::sign) continue;
    // A name before a parenthesis: a function, unless the language says otherwise.
    if (i > 0 && is(i - 1, "AS")) continue;  // an alias with columns
    if (token.kind == Token::Kind::word && keywords().count(token.text)) continue;
    if (token.kind == Token::Kind::quoted || is_sign(i - 1, '.') || !harmless().count(token.text)) return Sharing::none;
  }
  return Sharing::reads;
}

}  // namespace sluice::mysql
