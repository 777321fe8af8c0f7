/// The moment that `strftime_now` tells, without a zone.
package struct TemplateClock: Equatable, Sendable {
    package var year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0

    package init() {}

    package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// `2026-03-05T14:07:09`, or the date alone.
    package init?(iso text: String) {
        let parts = text.split(whereSeparator: { "-T: ".contains($0) }).map { Int($0.prefix { $0 != "." }) }
        guard parts.count == 3 || parts.count == 5 || parts.count == 6 else { return nil }
        let numbers = parts.compactMap { $0 } + [0, 0, 0]
        guard numbers.count == parts.count + 3, (1...9999).contains(numbers[0]),
            (1...12).contains(numbers[1]),
            (1...31).contains(numbers[2]), (0...23).contains(numbers[3]), (0...59).contains(numbers[4]),
            (0...59).contains(numbers[5])
        else { return nil }
        self.init(
            year: numbers[0], month: numbers[1], day: numbers[2], hour: numbers[3], minute: numbers[4],
            second: numbers[5])
    }

    package static var now: TemplateClock { Mathematics.now() }

    private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November",
        "December",
    ]

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    /// Days before the year's first.
    private static func daysBefore(_ year: Int) -> Int {
        let past = year - 1
        return past * 365 + past / 4 - past / 100 + past / 400
    }

    /// Counted from 1.
    private var dayOfYear: Int {
        let lengths = [31, Self.isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return lengths.prefix(month - 1).reduce(day, +)
    }

    /// Sunday is 0.
    private var weekday: Int { (Self.daysBefore(year) + dayOfYear) % 7 }

    /// ISO 8601's year and week.
    private var isoWeek: (year: Int, week: Int) {
        let monday = (weekday + 6) % 7
        let week = (dayOfYear - 1 - monday + 10) / 7
        func weeks(_ year: Int) -> Int {
            let first = (Self.daysBefore(year) + 1) % 7
            return first == 4 || (first == 3 && Self.isLeap(year)) ? 53 : 52
        }
        if week < 1 { return (year - 1, weeks(year - 1)) }
        return week > weeks(year) ? (year + 1, 1) : (year, week)
    }

    /// C's `strftime` in the C locale, with glibc's flags `-`, `_`, `0`, `^` and `#`.
    func format(_ format: String) throws -> String {
        var result = ""
        var rest = Substring(format).unicodeScalars
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var spelled = "%"
            var flag: Unicode.Scalar?
            var upper = false
            while let next = rest.first, "-_0^#".unicodeScalars.contains(next) {
                if next == "^" || next == "#" { upper = true } else { flag = next }
                spelled.unicodeScalars.append(next)
                rest.removeFirst()
            }
            guard let code = rest.popFirst() else {
                result += spelled
                break
            }
            spelled.unicodeScalars.append(code)
            let text = field(code, flag) ?? spelled
            result += upper ? PythonText.upper(text) : text
        }
        return result
    }

    private func field(_ code: Unicode.Scalar, _ flag: Unicode.Scalar?) -> String? {
        func number(_ value: Int, _ width: Int, space: Bool = false) -> String {
            let digits = String(value)
            if flag == "-" { return digits }
            let fill = flag == "_" || (space && flag != "0") ? " " : "0"
            return String(repeating: fill, count: max(0, width - digits.utf8.count)) + digits
        }
        let hour12 = hour % 12 == 0 ? 12 : hour % 12
        switch code {
        case "a": return String(Self.days[weekday].prefix(3))
        case "A": return Self.days[weekday]
        case "b", "h": return String(Self.months[month - 1].prefix(3))
        case "B": return Self.months[month - 1]
        case "c": return parts("a", " ", "b", " ", "e", " ", "T", " ", "Y")
        case "C": return number(year / 100, 2)
        case "d": return number(day, 2)
        case "D", "x": return parts("m", "/", "d", "/", "y")
        case "e": return number(day, 2, space: true)
        case "f": return "000000"
        case "F": return parts("Y", "-", "m", "-", "d")
        case "g": return number(isoWeek.year % 100, 2)
        case "G": return number(isoWeek.year, 4)
        case "H": return number(hour, 2)
        case "I": return number(hour12, 2)
        case "j": return number(dayOfYear, 3)
        case "k": return number(hour, 2, space: true)
        case "l": return number(hour12, 2, space: true)
        case "m": return number(month, 2)
        case "M": return number(minute, 2)
        case "n": return "\n"
        case "p": return hour < 12 ? "AM" : "PM"
        case "P": return hour < 12 ? "am" : "pm"
        case "r": return parts("I", ":", "M", ":", "S", " ", "p")
        case "R": return parts("H", ":", "M")
        case "S": return number(second, 2)
        case "t": return "\t"
        case "T", "X": return parts("H", ":", "M", ":", "S")
        case "u": return String(weekday == 0 ? 7 : weekday)
        case "U": return number((dayOfYear + 6 - weekday) / 7, 2)
        case "V": return number(isoWeek.week, 2)
        case "w": return String(weekday)
        case "W": return number((dayOfYear + 6 - (weekday + 6) % 7) / 7, 2)
        case "y": return number(year % 100, 2)
        case "Y": return flag == nil ? String(year) : number(year, 4)
        case "z", "Z": return ""
        case "%": return "%"
        default: return nil
        }
    }

    /// Several fields and what stands between them.
    private func parts(_ parts: Unicode.Scalar...) -> String {
        parts.map { $0.isLetter ? field($0, nil) ?? "" : String($0) }.joined()
    }
}
