import Configuration
import DoraLoader
import DoraText
import FoundationEssentials

/// The options' values from where they were given: the command line, then the environment, then a file.
struct OptionReader {
    private let reader: ConfigReader

    /// - Parameters:
    ///   - flags: from the command line, by option.
    ///   - file: a JSON object of options.
    /// - Throws: `LoadError` when the file cannot be read or has a key that is no option.
    ///
    /// The file is read here: swift-configuration's own reader would pull Foundation and its tables of all languages, thirty
    /// megabytes, into the programs.
    init(flags: [ServerOption: [String]], environment: [String: String], file: String?) async throws {
        var providers: [any ConfigProvider] = [
            Self.provider("command line", flags),
            EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "dora"),
        ]
        if let file {
            providers.append(Self.provider("file", try Self.options(in: file)))
        }
        reader = ConfigReader(providers: providers)
    }

    private static func provider(_ name: String, _ options: [ServerOption: [String]]) -> InMemoryProvider {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (option, texts) in options where !texts.isEmpty {
            values[AbsoluteConfigKey([option.rawValue])] = ConfigValue(.stringArray(texts), isSecret: false)
        }
        return InMemoryProvider(name: name, values: values)
    }

    private static func options(in file: String) throws(LoadError) -> [ServerOption: [String]] {
        var options: [ServerOption: [String]] = [:]
        let fields = try JSONFields(parsing: MappedFile.contents(of: file, atMost: 1 << 20), file: file)
        for (key, value) in fields.object.members {
            guard let option = ServerOption(rawValue: key) else {
                throw LoadError(
                    .malformed, file: file, field: key, "there is no such option",
                    advice: "write options as --help does, without the dashes")
            }
            switch value {
            case .string(let text): options[option] = [text]
            case .number(let number): options[option] = [number.int.map { "\($0)" } ?? number.text]
            case .bool(let flag) where option.isFlag: options[option] = [flag ? "true" : "false"]
            case .array(let values) where values.allSatisfy({ $0.string != nil }):
                options[option] = values.compactMap(\.string)
            default:
                throw fields.mismatch(
                    key,
                    expected: option.isFlag ? "true or false" : "a string, a number or an array of strings",
                    value)
            }
        }
        return options
    }

    /// All values of an option that may be given several times.
    func strings(_ option: ServerOption) -> [String] {
        reader.stringArray(forKey: ConfigKey([option.rawValue])) ?? []
    }

    func string(_ option: ServerOption) -> String? { strings(option).last }

    func int(_ option: ServerOption, in range: ClosedRange<Int>) throws(OptionProblem) -> Int? {
        let bounds =
            range.upperBound == .max
            ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        return try value(option, "an integer, \(bounds)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    func seconds(
        _ option: ServerOption, from least: Double = Double.leastNonzeroMagnitude
    ) throws(OptionProblem) -> Duration? {
        try value(option, "a number of seconds \(least > 0 ? "above 0" : "from 0")") { text in
            Double(text).flatMap { $0 >= least && $0 <= 1e8 ? .seconds($0) : nil }
        }
    }

    /// True if it was given, and not as `false`.
    func flag(_ option: ServerOption) throws(OptionProblem) -> Bool {
        try value(option, "true or false") { ["true": true, "1": true, "false": false, "0": false][$0] }
            ?? false
    }

    func addresses(_ option: ServerOption) throws(OptionProblem) -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        for text in strings(option) {
            do { addresses.append(try ListenAddress(text)) } catch {
                throw OptionProblem(option: "--" + option.rawValue, problem: "\(error)")
            }
        }
        return addresses
    }

    func memory(_ option: ServerOption) throws(OptionProblem) -> MemorySize? {
        try value(option, "bytes, like 4GiB, or a percentage, like 25%") { MemorySize($0) }
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ option: ServerOption, as type: Choice.Type
    ) throws(OptionProblem) -> Choice? where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return try value(option, "one of \(names)") { Choice(rawValue: $0) }
    }

    func value<Value>(
        _ option: ServerOption, _ expected: String, _ read: (String) -> Value?
    ) throws(OptionProblem) -> Value? {
        guard let text = string(option) else { return nil }
        guard let value = read(text) else {
            throw OptionProblem(option: "--" + option.rawValue, problem: "'\(text)' is not \(expected)")
        }
        return value
    }
}
