import PackedStrings

/// Reads the value of one option, by the kind that its syntax names.
struct OptionParser {
    let option: OptionSyntax
    let limits: Limits
    /// The ids that the request has named so far.
    let idCount: Int

    func parse(_ value: UnsafeRawBufferPointer) throws(WireError) -> OptionValue {
        switch option.values {
        case .integer(let range, let isLimited):
            return .integer(try integer(value, in: range, isLimited: isLimited))
        case .dimension:
            return .integer(try integer(value, in: 1...UInt64(limits.dimensionMax), isLimited: true))
        case .number(let expected, let isAllowed):
            guard let number = NumberText.double(value), number.isFinite, isAllowed(number) else {
                throw refused(value, expected: expected)
            }
            return .number(number)
        case .choice(let words):
            guard let index = words.firstIndex(where: { value.elementsEqual($0.utf8) }) else {
                throw refused(value, expected: words.joined(separator: " or "))
            }
            return .choice(index)
        case .choices(let words):
            return .choices(try choices(value, of: words))
        case .id:
            var ids = PackedStrings()
            try IDText.decode(value, into: &ids)
            return .strings(ids)
        case .ids:
            return .strings(try ids(value))
        case .keys:
            return .strings(try keys(value))
        case .writerSequence:
            return try writerSequence(value)
        case .weights:
            return try weights(value)
        }
    }

    private func integer(
        _ value: UnsafeRawBufferPointer,
        in range: ClosedRange<UInt64>,
        isLimited: Bool
    ) throws(WireError) -> UInt64 {
        let expected = "\(range.lowerBound) to \(range.upperBound)"
        guard let integer = NumberText.unsigned(value) else { throw refused(value, expected: expected) }
        if integer > range.upperBound, isLimited {
            throw WireError(.limit, "got \(name)=\(quotedNumber(value)), expected at most \(range.upperBound)")
        }
        guard range.contains(integer), range.upperBound < .max || !NumberText.isTooLarge(value) else {
            throw refused(value, expected: expected)
        }
        return integer
    }

    private func choices(_ value: UnsafeRawBufferPointer, of words: [String]) throws(WireError) -> UInt32 {
        var chosen: UInt32 = 0
        for part in parts(value) {
            guard let index = words.firstIndex(where: { part.elementsEqual($0.utf8) }) else {
                throw refused(part, expected: "some of " + words.joined(separator: ","))
            }
            guard chosen & 1 << UInt32(index) == 0 else {
                throw WireError(.badRequest, "got \(words[index]) twice in \(name)=, expected it once")
            }
            chosen |= 1 << UInt32(index)
        }
        return chosen
    }

    private func ids(_ value: UnsafeRawBufferPointer) throws(WireError) -> PackedStrings {
        var ids = PackedStrings()
        for part in parts(value) {
            guard idCount + ids.count < limits.idsMax else {
                throw WireError(.limit, "got more than \(limits.idsMax) ids, expected at most that")
            }
            try IDText.decode(part, into: &ids)
        }
        return ids
    }

    private func keys(_ value: UnsafeRawBufferPointer) throws(WireError) -> PackedStrings {
        var keys = PackedStrings()
        for part in parts(value) {
            guard keys.count < Limits.keysMax else {
                throw WireError(.limit, "got more than \(Limits.keysMax) keys in \(name)=, expected at most that")
            }
            guard !part.isEmpty else {
                throw WireError(.badRequest, "got an empty key in \(name)=, expected \(option.placeholder)")
            }
            var problem: WireError?
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, part.count)) { scratch in
                do throws(WireError) {
                    let count = try IDText.decodeEscapes(part, into: scratch)
                    keys.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scratch)[..<count]))
                } catch {
                    problem = WireError(.badRequest, error.message)
                }
            }
            if let problem { throw problem }
        }
        return keys
    }

    private func writerSequence(_ value: UnsafeRawBufferPointer) throws(WireError) -> OptionValue {
        let expected = "writer:n, a writer of A-Z a-z 0-9 _ - and n from 1 to \(Int64.max)"
        guard let colon = value.firstIndex(of: UInt8(ascii: ":")) else { throw refused(value, expected: expected) }
        let writer = UnsafeRawBufferPointer(rebasing: value[..<colon])
        let digits = UnsafeRawBufferPointer(rebasing: value[(colon + 1)...])
        guard isName(writer), let number = NumberText.unsigned(digits), (1...UInt64(Int64.max)).contains(number) else {
            throw refused(value, expected: expected)
        }
        return .writerSequence(writer: String(decoding: writer, as: UTF8.self), number: Int64(number))
    }

    private func weights(_ value: UnsafeRawBufferPointer) throws(WireError) -> OptionValue {
        let numbers = value.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            .map { NumberText.double(UnsafeRawBufferPointer(rebasing: $0)) ?? .nan }
        guard numbers.count == 2, numbers.allSatisfy({ $0.isFinite && $0 >= 0 }), numbers.contains(where: { $0 > 0 })
        else {
            throw refused(value, expected: "two numbers as \(option.placeholder), neither below 0, not both 0")
        }
        return .weights(numbers[0], numbers[1])
    }

    private var name: String { option.name.rawValue }

    private func parts(_ value: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] {
        value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            .map { UnsafeRawBufferPointer(rebasing: $0) }
    }

    private func refused(_ value: UnsafeRawBufferPointer, expected: String) -> WireError {
        WireError(.badRequest, "got \(name)=\(quotedNumber(value)), expected \(expected)")
    }
}
