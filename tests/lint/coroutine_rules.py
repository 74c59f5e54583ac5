#!/usr/bin/env python3
"""Patterns around co_await that g++ 12.2 miscompiles (use after free, double free), and coroutines that outlive what they use.

  lambda      a capturing lambda literal in the same full expression as a co_await: name it first, then std::move it
  braces      a braced temporary, or {a, b}, in the same full expression as a co_await: name it first
  in-braces   a co_await inside a braced initialiser
  ternary     a co_await inside ?:
  binding     a structured binding on a co_await
  invoked     a capturing lambda coroutine called where it is written: its captures die at the first suspension
  detached    co_spawn(…, asio::detached) outside of tests: an exception would be lost; give a handler that looks at it
  catch       a co_await in a catch handler (ill-formed)

Works on text, not on types: `{}` without arguments passes; a braced temporary of trivial members can be excused by a comment
`// coroutine_rules: trivial` on its line. docs/architecture.md says why ("Compiler rules").
"""
import re
import sys
from dataclasses import dataclass

import sources

CLOSER = {"(": ")", "[": "]", "{": "}"}
# A `{` after one of these opens a block; after anything else it initialises something.
BLOCK_WORD = re.compile(r"(?:^|[^\w])(?:else|do|try|const|noexcept|override|final|mutable|constexpr|consteval)$")
DECLARES = re.compile(r"^(?:template\b.*>\s*)?(?:(?:export|inline|static|typedef|extern)\s+)*(?:namespace|struct|class|union|enum|extern)\b", re.S)
HEAD = re.compile(r"\s*(?:else\s+)?(?:for|if|while|switch)\s*(?:constexpr\s*)?\(")


@dataclass
class Group:
    """A pair of brackets. role: block, init, paren, square, capture (a lambda's introducer)."""
    kind: str
    role: str
    begin: int
    end: int
    parent: "Group | None"
    before: str  # what stands before it, from the start of its statement


def groups_of(text: str) -> list[Group]:
    root = Group("{", "block", -1, len(text), None, "")
    groups, stack, statement = [root], [root], [0]
    for position, character in enumerate(text):
        if character in "([{":
            before = text[statement[-1]:position]
            group = Group(character, role_of(character, before, stack[-1], text, position), position, len(text), stack[-1], before)
            groups.append(group)
            stack.append(group)
            statement.append(position + 1)
        elif character in ")]}" and len(stack) > 1 and CLOSER[stack[-1].kind] == character:
            closed = stack.pop()
            closed.end = position
            statement.pop()
            if closed.role == "block" and stack[-1].role == "block":
                statement[-1] = position + 1
        elif character == ";":
            statement[-1] = position + 1
    return groups


def role_of(character: str, before: str, parent: Group, text: str, position: int) -> str:
    left = before.rstrip()
    if character == "(":
        return "paren"
    if character == "[":
        if left.endswith("[") or text[position + 1:position + 2] == "[" or parent.role == "attribute":
            return "attribute"
        introduces = not left or left[-1] in "(,={;&|!?:{}<>+-" or re.search(r"\b(?:co_await|co_return|co_yield|return)$", left)
        binding = re.search(r"\bauto\s*&{0,2}$", left)
        return "binding" if binding else "capture" if introduces else "square"
    if re.search(r"->\s*[\w:<>,\s*&]+$", left) and ")" in left[:left.rindex("->")]:
        return "block"  # a trailing return type
    if not left:
        return "block" if parent.role == "block" else "init"
    if left[-1] in ");":
        return "block"
    if left[-1] == "}":  # after a member initialiser a{b}, otherwise not reached: a block's end starts a statement
        return "block"
    if left[-1] == "]":
        return "init" if not re.search(r"\[[^\[\]]*\]$", left) or re.search(r"[\w>\])]\s*\[[^\[\]]*\]$", left) else "block"
    if left[-1] == ":" and not left.endswith("::"):
        return "block"
    if BLOCK_WORD.search(left) or DECLARES.match(left.lstrip()):
        return "block"
    return "init"


def innermost(groups: list[Group], position: int) -> Group:
    return max((group for group in groups if group.begin < position < group.end), key=lambda group: group.begin)


def block_of(group: Group) -> Group:
    while group.role != "block":
        group = group.parent
    return group


def expression_of(text: str, groups: list[Group], position: int) -> tuple[int, int]:
    """Begin and end of the full expression around a position: its statement, or the head of an if, for, while, switch."""
    block = block_of(innermost(groups, position))
    nested = [group for group in groups if group.role == "block" and group.begin > block.begin and group.end < block.end]
    direct = [group for group in nested if block_of(group.parent) is block]
    begin = block.begin + 1
    end = block.end
    cursor = begin
    while cursor < block.end:
        inside = next((group for group in direct if group.begin == cursor), None)
        if inside:
            lambda_body = inside.parent is not block or re.search(r"\[[^\]]*\][^;]*$", text[begin:inside.begin]) and not HEAD.match(text[begin:inside.begin])
            if not lambda_body:  # a nested statement: the full expression ends before it
                if cursor > position:
                    end = cursor
                    break
                begin = inside.end + 1
            cursor = inside.end + 1
            continue
        if text[cursor] == ";":
            if cursor > position:
                end = cursor
                break
            begin = cursor + 1
        cursor += 1
    while head := HEAD.match(text, begin, end):  # `if (a) b`: a and b are two
        opened = head.end() - 1
        closed = next(group.end for group in groups if group.begin == opened)
        if position > closed:
            begin = closed + 1
        else:
            return opened + 1, min(closed, end)
    return begin, end


def own(text: str, groups: list[Group], begin: int, end: int) -> str:
    """The span with the bodies of lambdas blanked: they hold full expressions of their own."""
    piece = list(text[begin:end])
    for group in groups:
        if group.role == "block" and begin <= group.begin and group.end <= end:
            for index in range(group.begin + 1, group.end):
                piece[index - begin] = " "
    return "".join(piece)


def check(name: str, source: str) -> list[str]:
    text = sources.blank(source)
    text = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.)*(?:\\\n[^\n]*)*", lambda match: re.sub(r"[^\n]", " ", match.group(0)), text, flags=re.M)
    groups = groups_of(text)
    lines = source.split("\n")
    findings: dict[tuple[int, str], str] = {}

    def report(position: int, rule: str, what: str) -> None:
        line = sources.line_of(text, position)
        findings.setdefault((line, rule), f"{name}:{line}: {rule}: {what}")

    for match in re.finditer(r"\bco_await\b", text):
        at = match.start()
        around = innermost(groups, at)
        begin, end = expression_of(text, groups, at)
        span = own(text, groups, begin, end)
        inside = [group for group in groups if begin <= group.begin and group.end <= end and not span[group.begin - begin].isspace()]
        for group in inside:
            if group.role == "capture" and text[group.begin + 1:group.end].strip():
                report(group.begin, "lambda", "a capturing lambda beside co_await; name it first, then std::move it")
            if group.role == "init" and text[group.begin + 1:group.end].strip():
                if "coroutine_rules: trivial" in lines[sources.line_of(text, group.begin) - 1]:
                    continue
                if group.begin < at < group.end:
                    continue  # said below
                report(group.begin, "braces", "a braced temporary beside co_await; name it first, then std::move it")
            if group.role == "binding":
                report(group.begin, "binding", "a structured binding on co_await; name the result first")
        outer = around
        while outer.begin >= begin:
            if outer.role == "init":
                report(at, "in-braces", "co_await inside braces; await into a named variable first")
            outer = outer.parent
        for question in re.finditer(r"\?", span):
            holder = innermost(groups, begin + question.start())
            left = max(holder.begin + 1, begin)
            right = min(holder.end, end)
            if not left <= at < right:
                continue
            depth = [group for group in inside if group.parent is holder]
            flat = "".join(" " if any(group.begin <= begin + i <= group.end for group in depth) else c for i, c in enumerate(span))
            here = question.start()
            first = max([flat.rfind(",", left - begin, here)] + [left - begin - 1] + [m.end() - 1 for m in re.finditer(r"(?<![=!<>+\-*/|&^%])=(?!=)|\breturn\b|\bco_return\b", flat[:here]) if m.start() >= left - begin])
            last = flat.find(",", here, right - begin)
            if first < at - begin < (last if last >= 0 else right - begin):
                report(at, "ternary", "co_await inside ?:; use if and else")
        catching = around
        while catching is not None:
            if catching.role == "block" and re.search(r"\bcatch\s*\([^{}]*\)\s*$", catching.before):
                report(at, "catch", "co_await in a catch handler; leave the handler first")
            if catching.role == "block" and re.search(r"\]\s*(?:\([^{}]*\))?[^{}()]*$", catching.before):
                break  # a lambda's body
            catching = catching.parent

    for group in groups:
        if group.role != "capture" or not text[group.begin + 1:group.end].strip():
            continue
        body = next((other for other in groups if other.role == "block" and other.begin > group.end and other.parent is group.parent), None)
        if body and re.fullmatch(r"\s*(?:\(.*\))?[^;{}()]*", text[group.end + 1:body.begin], re.S) and re.match(r"\s*\(", text[body.end + 1:]):
            if re.search(r"\bco_(?:await|return)\b", text[body.begin:body.end]):
                report(group.begin, "invoked", "a capturing lambda coroutine called in place; use a function with parameters by value")
    for match in re.finditer(r"\bco_spawn\s*\(", "" if name.startswith("tests/") else text):
        call = next(group for group in groups if group.begin == match.end() - 1)
        arguments = own(text, groups, call.begin, call.end)
        if re.search(r"\bdetached\s*$", arguments):
            report(match.start(), "detached", "co_spawn without a handler; give one that looks at the exception")
    return [findings[key] for key in sorted(findings)]


BAD = {
    "lambda": [
        "awaitable<void> f() { co_await g([x] { return x; }); }",
        "awaitable<void> f() { auto r = co_await pool.with([&](auto& c) -> awaitable<int> { co_return co_await c.run(); }); }",
        "awaitable<void> f() { if (x) co_await g(1, [this] {}); }",
        "awaitable<void> f() { return_(h([=]() mutable { return 1; }), co_await g()); }",
    ],
    "braces": [
        "awaitable<void> f() { co_await g(Request{a, b}); }",
        "awaitable<void> f() { co_await g({a, b}); }",
        "awaitable<void> f() { auto x = h(Point{1}, co_await g()); }",
        "awaitable<void> f() { if (co_await g(User{name})) { h(); } }",
    ],
    "in-braces": [
        "awaitable<void> f() { User u{co_await a(), co_await b()}; }",
        "awaitable<void> f() { co_return Response{co_await g()}; }",
        "awaitable<void> f() { std::vector<int> v = {co_await g(), 2}; }",
    ],
    "ternary": [
        "awaitable<void> f() { auto r = ok ? co_await a() : b(); }",
        "awaitable<void> f() { co_return (co_await g()) ? 1 : 2; }",
        "awaitable<void> f() { h(1, ok ? 2 : co_await g()); }",
        "awaitable<void> f() { auto r = co_await g() ? 1 : 2; }",
    ],
    "binding": [
        "awaitable<void> f() { auto [a, b] = co_await g(); }",
        "awaitable<void> f() { for (const auto& [k, v] : co_await g()) h(k, v); }",
    ],
    "invoked": [
        "void f() { co_spawn(e, [this]() -> awaitable<void> { co_await run(); }(), handler); }",
        "void f() { go([x]() -> awaitable<int> { co_return x; }()); }",
    ],
    "detached": ["void f() { asio::co_spawn(executor, run(), asio::detached); }", "void f() { co_spawn(e, g(h(1)), boost::asio::detached); }"],
    "catch": ["awaitable<void> f() { try { g(); } catch (const Error& e) { co_await h(); } }"],
}
GOOD = [
    "awaitable<void> f() { auto h = [x] { return x; }; co_await g(std::move(h)); }",
    "awaitable<void> f() { co_await g([] { return 1; }); }",
    "awaitable<void> f() { Request r{a, b}; co_await g(std::move(r)); }",
    "awaitable<void> f() { co_await g(Options{}); }",
    "awaitable<void> f() { auto x = co_await g(a ? 1 : 2); }",
    "awaitable<void> f() { co_await (a ? b : c); }",
    "awaitable<void> f() { int x = a ? b : c; co_await g(x); }",
    "awaitable<void> f() { for (const auto& [k, v] : map) co_await g(k, v); }",
    "awaitable<void> f() { for (const auto& [k, v] : map) { co_await g(k, v); } }",
    "awaitable<void> f() { auto r = co_await g(); auto [a, b] = r; }",
    "awaitable<void> f() { co_await g(); h([x] { return x; }); }",
    "awaitable<void> f() { if (a) { co_await g(); } else { h(Point{1, 2}); } }",
    "auto h = [self]() -> awaitable<void> { co_await self->run(); };",
    "void f() { co_spawn(e, [self]() -> awaitable<void> { co_await self->run(); }, handler); }",
    "void f() { asio::co_spawn(e, run(), [](std::exception_ptr e) { if (e) look(e); }); }",
    "struct W : Worker {\n  explicit W(int a) : a_{a} { go(); }\n  awaitable<void> run() override { co_await until(); }\n  int a_{1};\n};",
    "awaitable<void> f() { // co_await g([x] {})\n  const char* s = \"co_await g({1, 2}) ? 1 : 2\"; co_await h(s); }",
    "awaitable<void> f() { try { co_await g(); } catch (const Error& e) { failed = true; } if (failed) co_await h(); }",
    "awaitable<void> f() { while (!done) { co_await timer.async_wait(token); } Point p{1, 2}; }",
    "awaitable<void> f() { switch (s) { case A: { co_await g(); break; } default: h(Point{1}); } }",
    "template <class T> requires(sizeof(T) > 1) awaitable<T> f() { co_return co_await g<T>(); }",
    "awaitable<void> f() { co_await g(within(2s), array[i], \"SELECT '{1,2}'\"); }",
    "awaitable<void> f() { co_await g(Limit{2s}); // coroutine_rules: trivial\n }",
    "namespace a::b { awaitable<int> f() { co_return 1'000'000 + co_await g(); } }",
]


def prove() -> None:
    for rule, snippets in BAD.items():
        for snippet in snippets:
            found = check("x", snippet)
            assert any(f": {rule}: " in finding for finding in found), f"{rule} not found in: {snippet}\n{found}"
            assert all(f": {rule}: " in finding for finding in found), f"more than {rule} found in: {snippet}\n{found}"
    for snippet in GOOD:
        assert check("x", snippet) == [], f"{snippet}\n{check('x', snippet)}"


def main() -> None:
    prove()
    files = sources.cpp("framework", "workers", "apps", "tests")
    findings = []
    for path in files:
        findings += check(path.relative_to(sources.ROOT).as_posix(), path.read_text())
    sources.finish("coroutine_rules", findings, f"{len(files)} files")


if __name__ == "__main__":
    sys.exit(main())
