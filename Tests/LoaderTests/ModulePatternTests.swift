import Testing

@testable import DoraLoader

/// Expected answers are those of Python's `re.fullmatch` and `re.match`.
@Suite struct ModulePatternTests {
    private static let name = "model.layers.11.self_attn.q_proj"

    @Test(arguments: [
        ".*", #".*\.q_proj"#, #"model\.layers\.\d+\.self_attn\.(q|v)_proj"#, "model.*(?:k|q)_proj",
        ".*[pq]_proj",
        #".*\.(?:[0-9]|1[01])\.self_attn\.[^kv]_proj"#, "(?P<n>model).*", "(?!.*lm_head).*_proj",
        ".*(?<=q)_proj",
        ".*(?<!k)_proj", #"\Amodel.*proj\Z"#, "^model.*proj$", "m.{30}j", "m.{2,40}?j", "model.{,40}",
        #".*\bself_attn\b.*"#, #"[\w.]+"#, #"[^\s]+"#, "(model|(.)*)+", "x*model.*", "(?#note)model.*",
        "()model.*",
        #"model\.layers.*"#, "(?=model)(?=.*proj).*", "(?:(?:(?:m|mo)|mod)el).*",
    ])
    func wholeNamesMatch(pattern: String) throws {
        #expect(try ModulePattern(pattern).matchesWhole(Self.name))
    }

    @Test(arguments: [
        "", "q_proj", "model", #".*\.1\..*"#, ".*[^q]_proj", "(?!.*proj).*", ".*(?<!q)_proj", "MODEL.*",
        "m.{29}j",
        #".*\Bself_attn.*"#, ".*$x", "[]x].*", "model.{40,}", "a{,3}",
    ])
    func otherNamesDoNot(pattern: String) throws {
        #expect(try !ModulePattern(pattern).matchesWhole(Self.name))
    }

    @Test func aMatchAtTheStartMayLeaveARest() throws {
        #expect(try ModulePattern("model").matchesStart(of: Self.name))
        #expect(try !ModulePattern("layers").matchesStart(of: Self.name))
        #expect(try ModulePattern("").matchesStart(of: ""))
    }

    @Test func aBraceThatCountsNothingStandsForItself() throws {
        #expect(try ModulePattern("a{b}").matchesWhole("a{b}"))
        #expect(try ModulePattern("a{}").matchesWhole("a{}"))
        #expect(try ModulePattern("{a").matchesWhole("{a"))
    }

    @Test func scalarsAreComparedNotGraphemes() throws {
        #expect(try ModulePattern("..").matchesWhole("e\u{301}"))
        #expect(try !ModulePattern("\u{E9}").matchesWhole("e\u{301}"))
        #expect(try ModulePattern("..").matchesWhole("\r\u{301}"))
        #expect(try !ModulePattern(".").matchesWhole("\n"))
    }

    @Test(arguments: [
        "(", ")", "(a", "a)", "[", "[]", "[z-a]", "*", "a**", "a|*", "+a", "?", #"\"#, #"a\"#, #"\q"#,
        #"(a)\1"#,
        "(?P=n)", "(?P<n", "(?P<>a)", "(?i)a", "(?>a)", "a++", "(?(1)a)", "a{3,2}", "a{1001}", "^*",
        #"[\d-z]"#,
    ])
    func whatIsNoPatternOrCannotBeMatchedIsRefused(pattern: String) {
        #expect(throws: ModulePattern.Failure.self) { try ModulePattern(pattern) }
    }

    @Test(arguments: [
        ("(", 100_000, ""), ("(", 5_000, ")"), ("(", 4, "{1000})"), ("a", 70_000, ""), ("(?=", 90, "{1000})"),
    ])
    func hugePatternsAreRefused(opening: String, count: Int, closing: String) {
        let pattern = [opening, closing].map { String(repeating: $0, count: count) }.joined(separator: "a")
        #expect(throws: ModulePattern.Failure.self) { try ModulePattern(pattern) }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "(a*)*b", "(a|a)*b", "(a|aa)+$b", "(.*)*(.*)*(.*)*x", "(?:(?=(?:a*)*b)a)*", "(a?){50}a{50}b",
            "(?:(?<=(?:a|aa)*)a)*b",
        ])
    func patternsThatStopABacktrackingMatcherDoNotStopThisOne(pattern: String) throws {
        #expect(try !ModulePattern(pattern).matchesWhole(String(repeating: "a", count: 60)))
    }
}
