#include <sluice/drivers/postgres/hidden_values.hpp>

#include <doctest/doctest.h>

using sluice::postgres::hide_values;

TEST_CASE("What PostgreSQL quotes of data is hidden, up to the last quote") {
  const auto hidden = [](const char* message) { return hide_values(message, "22P02", {"SELECT $1::int"}); };
  CHECK(hidden("invalid input syntax for type integer: \"hunter2\"") == "invalid input syntax for type integer: (value hidden)");
  CHECK(hidden("invalid input syntax for type integer: \"a \"b\" c\"") == "invalid input syntax for type integer: (value hidden)");
  CHECK(hidden("value \"99999999999\" is out of range for type integer") == "value (value hidden) is out of range for type integer");
  CHECK(hidden("cut in the middle: \"hunter2") == "cut in the middle: (value hidden)");
  // As translations quote.
  CHECK(hidden("ungültige Eingabesyntax für Typ integer: »hunter2«") == "ungültige Eingabesyntax für Typ integer: (value hidden)");
  CHECK(hidden("syntaxe en entrée invalide pour le type integer : « hunter2 »") == "syntaxe en entrée invalide pour le type integer : (value hidden)");
  CHECK(hidden("la sintaxis de entrada no es válida para tipo integer: «hunter2» aquí") == "la sintaxis de entrada no es válida para tipo integer: (value hidden) aquí");
  CHECK(hidden("division by zero") == "division by zero");
  CHECK(hidden("invalid byte sequence for encoding \"UTF8\": 0xc3 0x28") == "invalid byte sequence for encoding (value hidden): (value hidden)");
  CHECK(hidden("character with byte sequence 0xe2 0x82 in encoding \"UTF8\" has no equivalent") ==
        "character with byte sequence (value hidden) in encoding (value hidden) has no equivalent");
}

TEST_CASE("Of other errors the names stay that the statement or the server tells, as whole words in any case") {
  const auto hidden = [](const char* message) {
    return hide_values(message, "42P01", {"SELECT Id FROM \"Or ders\" WHERE x = $1", "orders_pkey", ""});
  };
  CHECK(hidden("relation \"Or ders\" does not exist") == "relation \"Or ders\" does not exist");
  CHECK(hidden("column \"id\" of constraint \"orders_pkey\"") == "column \"id\" of constraint \"orders_pkey\"");
  CHECK(hidden("relation \"hunter2\" does not exist") == "relation (value hidden) does not exist");
  CHECK(hidden("relation \"orders\" does not exist") == "relation (value hidden) does not exist");
  CHECK(hidden("column \"id\" of \"a\" \"id\" b\"") == "column \"id\" of (value hidden)");
  CHECK(hidden("syntax error at or near \"\"") == "syntax error at or near \"\"");
  CHECK(hide_values("no \"hunter2\" here", "P0001", {""}) == "no \"hunter2\" here");
}
