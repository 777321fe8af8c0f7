import Testing

@testable import DoraText

@Suite("No template hangs, crashes or fills the memory")
struct TemplateLimitTests {
    /// Smaller than usual, so that the tests are quick.
    private static let limits: TemplateLimits = {
        var limits = TemplateLimits()
        limits.steps = 200_000
        limits.outputBytes = 1 << 20
        return limits
    }()

    static let bombs: [String] = [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l }}",
        "{% set ns = namespace(l=1) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ 'x' * 10000000000 }}", "{{ [0] * 10000000000 }}", "{{ 10 ** 10 ** 10 ** 10 ** 10 }}",
        "{{ 99 ** 99999 }}",
        "{{ '%999999999d' % 1 }}", "{{ '%.999999999f' % 1 }}", "{{ '{:999999999}'.format(1) }}",
        "{{ 'a'.center(999999999) }}", "{{ 'a'.ljust(99999999999999999999) }}",
        "{{ 'a'|indent(999999999, true) }}",
        "{{ 'a\t'.expandtabs(999999999) }}", "{{ [1]|tojson(indent=999999999) }}",
        "{{ [1]|batch(999999999, 0)|list }}",
        "{{ [1]|slice(999999999)|list }}", "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
        "{{ range(100001) }}",
        "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}{% for i in range(999999) %}{% endfor %}",
    ]

    @Test(arguments: bombs)
    func bomb(_ template: String) {
        #expect {
            _ = try ChatTemplate(parsing: template, name: "bomb", limits: Self.limits).render(messages: [])
        } throws: { error in
            (error as? TemplateError)?.kind == .limit
        }
    }

    static let deep: [String] = [
        "{{ " + String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000) + " }}",
        "{{ " + String(repeating: "[", count: 5000) + "1" + String(repeating: "]", count: 5000) + " }}",
        "{{ " + String(repeating: "not ", count: 5000) + "1 }}",
        "{{ " + String(repeating: "-", count: 5000) + "1 }}",
        String(repeating: "{% if 1 %}", count: 5000) + String(repeating: "{% endif %}", count: 5000),
        "{{ " + String(repeating: "1 if 1 else ", count: 5000) + "1 }}",
        "{% set " + String(repeating: "(", count: 5000) + "a" + String(repeating: ")", count: 5000)
            + " = 1 %}",
    ]

    @Test(arguments: deep)
    func nestingIsRefused(_ template: String) {
        #expect {
            _ = try ChatTemplate(parsing: template, name: "deep")
        } throws: { error in
            (error as? TemplateError)?.message.contains("nested more than") == true
        }
    }

    @Test func chainsAreNoNesting() throws {
        let sum = "{{ 1" + String(repeating: " + 1", count: 5000) + " }}"
        #expect(try ChatTemplate(parsing: sum, name: "sum").render(messages: []) == "5001")
        let filters = "{{ ' a '" + String(repeating: "|trim", count: 5000) + " }}"
        #expect(try ChatTemplate(parsing: filters, name: "filters").render(messages: []) == "a")
    }

    /// Cut, doubled and swapped pieces of the rules: any answer will do, but one must come.
    @Test func mutations() {
        var random = Generator(state: 7)
        let pieces = [
            "{{", "}}", "{%", "%}", "{#", "-", "'", "\"", "(", ")", "[", "|", ".", "for i in ", "é",
            "\u{300}", "\\", "0", "ns", "%", "**", "~",
        ]
        for _ in 0..<3000 {
            guard let rule = TemplateFixtures.rules.randomElement(using: &random) else { return }
            var text = Array(rule.template.unicodeScalars)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let start = Int.random(in: 0...text.count, using: &random)
                let end = min(text.count, start + Int.random(in: 0...3, using: &random))
                let piece = Bool.random(using: &random) ? pieces.randomElement(using: &random) ?? "" : ""
                text.replaceSubrange(start..<end, with: piece.unicodeScalars)
            }
            _ = try? ChatTemplate(parsing: String(text), name: "mutation", limits: Self.limits)
                .render(messages: [], variables: rule.data)
        }
    }

    /// Numerical Recipes' quick generator: the same mutations on every run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }
}
