/// Strings as Python sees them: sequences of code points, compared code point by code point. (Swift's own
/// operations compare up to canonical equivalence and count grapheme clusters.)
extension String {
    func hasSameBytes(as other: String) -> Bool {
        let count = utf8.count
        if count != other.utf8.count { return false }
        return utf8.elementsEqual(other.utf8)
    }

    /// Python's `len`.
    var codePointCount: Int {
        var copy = self
        return copy.withUTF8 { bytes in
            var count = 0
            for byte in bytes where byte & 0xC0 != 0x80 { count += 1 }
            return count
        }
    }

    var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }

    init(_ scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self = String(view)
    }

    init(bytes: some Collection<UInt8>) { self = String(decoding: bytes, as: UTF8.self) }

    /// The code point at a place counted from 0; nil beyond the ends.
    func codePoint(at position: Int) -> String? {
        if position < 0 || position >= utf8.count { return nil }
        guard
            let index = unicodeScalars.index(
                unicodeScalars.startIndex, offsetBy: position, limitedBy: unicodeScalars.endIndex),
            index < unicodeScalars.endIndex
        else { return nil }
        return String(unicodeScalars[index])
    }

    /// Order by code points, which is the order of the bytes.
    func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}

extension Unicode.Scalar {
    /// `str.isspace`.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F,
            0x3000:
            true
        default: false
        }
    }

    /// Where `str.splitlines` breaks.
    var isLineBreak: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// `str.isprintable`.
    var isPrintable: Bool {
        if value >= 0x20, value < 0x7F { return true }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }
}

/// Where `needle` stands in `haystack`, from `start` on: Knuth, Morris and Pratt's search, which stays linear for
/// texts made to be slow.
struct SubstringSearch {
    private let needle: [UInt8]
    private let failure: [Int]

    init(_ needle: [UInt8]) {
        self.needle = needle
        var failure = [Int](repeating: 0, count: needle.count)
        var matched = 0
        for index in needle.indices.dropFirst() {
            while matched > 0, needle[matched] != needle[index] { matched = failure[matched - 1] }
            if needle[matched] == needle[index] { matched += 1 }
            failure[index] = matched
        }
        self.failure = failure
    }

    func first(in haystack: [UInt8], from start: Int = 0, to end: Int? = nil) -> Int? {
        if needle.isEmpty { return start <= (end ?? haystack.count) ? start : nil }
        var matched = 0
        var index = start
        let end = end ?? haystack.count
        while index < end {
            while matched > 0, needle[matched] != haystack[index] { matched = failure[matched - 1] }
            if needle[matched] == haystack[index] { matched += 1 }
            index += 1
            if matched == needle.count { return index - matched }
        }
        return nil
    }

    /// The last place, if any.
    func last(in haystack: [UInt8]) -> Int? {
        let reversed = SubstringSearch(needle.reversed())
        return reversed.first(in: haystack.reversed()).map { haystack.count - $0 - needle.count }
    }

    /// All places, not overlapping, at most `limit`.
    func all(in haystack: [UInt8], limit: Int = .max) -> [Int] {
        var places: [Int] = []
        var start = 0
        while places.count < limit, let place = first(in: haystack, from: start) {
            places.append(place)
            start = place + needle.count
        }
        return places
    }
}
