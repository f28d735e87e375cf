import PackedStrings

/// Reads request lines by a table of verbs.
///
/// One pass over the line, without a copy before the values themselves. What is wrong is said in terms of the verb's
/// usage: what was got, what was expected. A line that does not parse has changed nothing.
package struct RequestParser: Sendable {
    package let syntaxes: [VerbSyntax]
    package let limits: Limits
    /// The verbs' names as numbers, in the order of `syntaxes`: one comparison instead of one a letter.
    private let names: [UInt128]

    package init(_ syntaxes: [VerbSyntax], limits: Limits) {
        self.syntaxes = syntaxes
        self.limits = limits
        names = syntaxes.map { syntax in
            var name = syntax.name
            return name.withUTF8 { Self.packedUpperCase(UnsafeRawBufferPointer($0)) }!
        }
    }

    /// The verb's place in the table, its name in any case; nil if there is none.
    package func verb(named name: UnsafeRawBufferPointer) -> Int? {
        Self.packedUpperCase(name).flatMap { names.firstIndex(of: $0) }
    }

    /// Reads a line, without its LF and the CR before it.
    package func parse(_ line: UnsafeRawBufferPointer) throws(WireError) -> Request {
        var reader = WordReader(line)
        guard let name = try reader.next() else { throw WireError(.badRequest, "got an empty line") }
        guard let verb = verb(named: name) else {
            throw WireError(.unknown, "got \(quoted(name)), expected a verb (HELP lists them)")
        }
        var parse = Parse(syntax: syntaxes[verb], limits: limits, reader: reader, request: Request(verb: verb))
        try parse.arguments()
        try parse.options()
        try parse.tail()
        return parse.finish()
    }

    /// Up to 16 letters as one number, ASCII letters in upper case.
    private static func packedUpperCase(_ name: UnsafeRawBufferPointer) -> UInt128? {
        guard name.count <= 16 else { return nil }
        var packed: UInt128 = 0
        for byte in name {
            let isLower = byte &- UInt8(ascii: "a") < 26
            packed = packed << 8 | UInt128(isLower ? byte & 0xDF : byte)
        }
        return packed
    }
}

/// The state of reading one line.
private struct Parse {
    let syntax: VerbSyntax
    let limits: Limits
    var reader: WordReader
    var request: Request

    init(syntax: VerbSyntax, limits: Limits, reader: WordReader, request: Request) {
        self.syntax = syntax
        self.limits = limits
        self.reader = reader
        self.request = request
    }

    consuming func finish() -> Request { request }

    // MARK: Fixed arguments

    mutating func arguments() throws(WireError) {
        for argument in syntax.arguments {
            guard let word = try reader.next() else {
                if case .optionalWord = argument { return }
                throw missingWords()
            }
            switch argument {
            case .collection, .firstCollection:
                request.collection = try collectionName(word)
            case .secondCollection:
                request.secondCollection = try collectionName(word)
            case .id:
                try IDText.decode(word, into: &request.ids)
            case .step:
                request.step = try step(word)
            case .k:
                request.k = try number(word, named: "k", max: limits.kMax)
            case .count:
                request.count = try number(word, named: "n", max: min(limits.idsMax, Limits.drawsMax))
            case .version:
                guard NumberText.unsigned(word) == UInt64(Limits.protocolVersion) else {
                    let got = quotedNumber(word)
                    throw WireError(.badRequest, "got protocol \(got), expected \(Limits.protocolVersion)")
                }
            case .optionalWord:
                request.word = String(decoding: word, as: UTF8.self)
            }
        }
    }

    private func collectionName(_ word: UnsafeRawBufferPointer) throws(WireError) -> String {
        guard isName(word) else {
            throw WireError(
                .badRequest,
                "got collection \(quoted(word)), expected 1 to \(Limits.nameBytesMax) of A-Z a-z 0-9 _ -"
            )
        }
        return String(decoding: word, as: UTF8.self)
    }

    private func step(_ word: UnsafeRawBufferPointer) throws(WireError) -> Int64? {
        if isDash(word) { return nil }
        guard let step = NumberText.unsigned(word), step <= UInt64(Int64.max) else {
            throw WireError(.badRequest, "got step \(quoted(word)), expected 0 to \(Int64.max) or -")
        }
        return Int64(step)
    }

    /// How much is asked for: 1 to `max`.
    private func number(_ word: UnsafeRawBufferPointer, named name: String, max: Int) throws(WireError) -> Int {
        guard let number = NumberText.unsigned(word), number > 0 else {
            throw WireError(.badRequest, "got \(name) \(quoted(word)), expected 1 to \(max)")
        }
        guard number <= max else {
            throw WireError(.limit, "got \(name) \(quotedNumber(word)), expected at most \(max)")
        }
        return Int(number)
    }

    // MARK: Options

    mutating func options() throws(WireError) {
        while let nameCount = reader.optionNameCount, let word = try reader.next() {
            let name = UnsafeRawBufferPointer(rebasing: word[..<nameCount])
            let value = UnsafeRawBufferPointer(rebasing: word[(nameCount + 1)...])
            guard let option = syntax.options.first(where: { equalsIgnoringCase(name, $0.name.rawValue) }) else {
                throw WireError(.badRequest, "got option \(quoted(name)), \(optionsExpected())")
            }
            guard request.value(of: option.name) == nil else {
                throw WireError(.badRequest, "got \(option.name.rawValue)= twice, expected it once")
            }
            let parser = OptionParser(option: option, limits: limits, idCount: idCount)
            request.options.append((option.name, try parser.parse(value)))
        }
        for option in syntax.options where option.isRequired && request.value(of: option.name) == nil {
            throw WireError(.badRequest, "got no \(option.name.rawValue)=, expected \(syntax.usage)")
        }
    }

    /// The ids so far: those of the options count too.
    private var idCount: Int {
        var count = request.ids.count
        for option in request.options where option.name == .except || option.name == .like {
            if case .strings(let strings) = option.value { count += strings.count }
        }
        return count
    }

    private func optionsExpected() -> String {
        if syntax.options.isEmpty { return "expected none: \(syntax.usage)" }
        return "expected " + syntax.options.map { $0.name.rawValue + "=" }.joined(separator: " ")
    }

    // MARK: Tail

    mutating func tail() throws(WireError) {
        switch syntax.tail {
        case .nothing: break
        case .ids:
            try tailIDs()
            return
        case .vectorThenIDs:
            try tailVector()
            try tailIDs()
            return
        case .vectorThenJSON:
            try tailVector()
            if let text = try reader.rest() { request.json = try JSONText.minifiedObject(text) }
        case .vectorOrLike:
            let hasLike = request.value(of: .like) != nil
            if !hasLike { try tailVector() }
            if hasLike, !reader.isAtEnd {
                throw WireError(.badRequest, "got more words after like=, expected \(syntax.usage)")
            }
        case .json:
            guard let text = try reader.rest() else { throw missingWords() }
            request.json = try JSONText.minifiedObject(text)
        case .estimates:
            try tailEstimates()
        }
        if let word = try reader.next() {
            throw WireError(.badRequest, "got \(quoted(word)) too many, expected \(syntax.usage)")
        }
    }

    private mutating func tailIDs() throws(WireError) {
        guard !reader.isAtEnd else { throw missingWords() }
        request.ids = try IDText.decodeList(&reader, countMax: limits.idsMax - idCount, limit: limits.idsMax)
    }

    private mutating func tailVector() throws(WireError) {
        guard let word = try reader.next() else { throw missingWords() }
        request.vector = try VectorText.read(word)
    }

    private mutating func tailEstimates() throws(WireError) {
        guard !reader.isAtEnd else { throw missingWords() }
        while let id = try reader.next() {
            guard let gap = try reader.next(), let count = try reader.next() else { throw missingWords() }
            guard request.ids.count < limits.idsMax else {
                throw WireError(.limit, "got more than \(limits.idsMax) ids, expected at most that")
            }
            try IDText.decode(id, into: &request.ids)
            request.gaps.append(
                try estimate(gap, "a gap, a number above 0, or -") { $0 > 0 }
            )
            request.counts.append(
                try estimate(count, "a count, 0 to \(NumberText.text(Limits.countMax)), or -") {
                    $0 >= 0 && $0 <= Limits.countMax
                }
            )
        }
    }

    private func estimate(
        _ word: UnsafeRawBufferPointer,
        _ expected: @autoclosure () -> String,
        _ isAllowed: (Double) -> Bool
    ) throws(WireError) -> Double {
        if isDash(word) { return .nan }
        guard let number = NumberText.double(word), number.isFinite, isAllowed(number) else {
            throw WireError(.badRequest, "got \(quoted(word)), expected \(expected())")
        }
        return number
    }

    private func missingWords() -> WireError {
        let got = reader.wordCount - 1
        return WireError(
            .badRequest,
            "got \(got) \(got == 1 ? "word" : "words") after \(syntax.name), expected \(syntax.usage)"
        )
    }
}

// MARK: Small judgements about words

func isDash(_ word: UnsafeRawBufferPointer) -> Bool {
    word.count == 1 && word[0] == UInt8(ascii: "-")
}

/// Whether `word` may name a collection or a writer.
func isName(_ word: UnsafeRawBufferPointer) -> Bool {
    (1...Limits.nameBytesMax).contains(word.count)
        && word.allSatisfy { byte in
            (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- 0x30 < 10 || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "-")
        }
}

func equalsIgnoringCase(_ word: UnsafeRawBufferPointer, _ lowerCase: String) -> Bool {
    let expected = lowerCase.utf8
    return word.count == expected.count
        && zip(word, expected).allSatisfy { byte, letter in
            byte == letter || (byte | 0x20 == letter && letter &- UInt8(ascii: "a") < 26)
        }
}

/// A number as it was sent, without quotes; anything else quoted.
func quotedNumber(_ word: UnsafeRawBufferPointer) -> String {
    word.count <= 40 && NumberText.unsigned(word) != nil ? String(decoding: word, as: UTF8.self) : quoted(word)
}
